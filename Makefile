PYTHON := .venv/bin/python
NMT := .venv/bin/attention-nmt
DEMO := runs/demo
PORT := 8500

# For `make multi30k`, `student`, `pair` and `learner`: one corpus, as --dataset takes it, the languages, the split to score, where the runs lie.
DATA :=
SOURCE := en
TARGET := de
SPLIT := test
RUNS := runs/$(SOURCE)-$(TARGET)

.PHONY: setup corpus demo multi30k student pair learner pretrained test test-long faults mutants properties coverage check docs litert-js wheel notebooks

setup: .venv/installed

# The project itself is installed, too, as a link to this folder: its commands and scripts run from any directory.
.venv/installed: requirements.txt pyproject.toml
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(NMT) train --preset demo --run-dir $(DEMO)
	$(NMT) evaluate --run-dir $(DEMO) --split test
	$(NMT) export --run-dir $(DEMO) --output $(DEMO)/export
	@echo "Serving it at port $(PORT) and translating 'the red dress':"
	@$(NMT) serve --model-dir $(DEMO)/export --name nmt --port $(PORT) & server=$$!; \
	trap 'kill $$server' EXIT; \
	$(NMT) client --address localhost:$(PORT) --name nmt --wait-s 60 "the red dress"

LANGUAGES := --source $(SOURCE) --target $(TARGET)

# What is there is not made again; a command that was stopped goes on. With `-j2` two models are trained side by side.
corpus: setup
	$(if $(DATA),,$(error $(MAKECMDGOALS) needs DATA=FOLDER [SOURCE=en TARGET=de SPLIT=test RUNS=FOLDER SEED=1]))
	@mkdir -p $(RUNS); test -e $(RUNS)/corpus || echo '$(DATA)' > $(RUNS)/corpus
	@grep -qxF '$(DATA)' $(RUNS)/corpus || { echo "$(RUNS) is of `cat $(RUNS)/corpus`; RUNS=FOLDER names another" >&2; exit 1; }

# A model of each direction, and the corpus with what they make of it.
$(RUNS)/forward/done: | corpus
	$(NMT) train --dataset $(DATA) --seed 1 $(LANGUAGES) --run-dir $(@D)
	touch $@

$(RUNS)/backward/done: | corpus
	$(NMT) train --dataset $(DATA) --seed 1 --source $(TARGET) --target $(SOURCE) --run-dir $(@D)
	touch $@

DIVERSE := $(RUNS)/diverse/$(SOURCE).train.txt

$(DIVERSE): $(RUNS)/forward/done $(RUNS)/backward/done
	$(NMT) diversify --output $(@D) --forward-runs $(RUNS)/forward --backward-runs $(RUNS)/backward

# The preset of the target's name on that corpus; of a second SEED this alone is new.
SEED := 1

$(RUNS)/multi30k-%/done: $(DIVERSE)
	$(NMT) train --preset multi30k --dataset $(RUNS)/diverse $(LANGUAGES) --seed $* --run-dir $(@D)
	touch $@

$(RUNS)/student-%/done: $(DIVERSE)
	$(NMT) train --preset student --dataset $(RUNS)/diverse $(LANGUAGES) --seed $* --run-dir $(@D)
	touch $@

multi30k student: %: $(RUNS)/%-$(SEED)/done
	$(NMT) evaluate --run-dir $(RUNS)/$@-$(SEED) --dataset $(DATA) --split $(SPLIT)

# Two students as one model.
PAIR := $(RUNS)/pair

$(PAIR)/config.json: $(RUNS)/student-1/done $(RUNS)/student-2/done
	$(NMT) save --model $(RUNS)/student-1 --together-with $(RUNS)/student-2 --output $(@D)

pair: $(PAIR)/config.json
	$(NMT) evaluate --model $(PAIR) --dataset $(DATA) $(LANGUAGES) --split $(SPLIT)

# Sources like the corpus's, by a model that fills gaps.
GAPS := masked.train.txt

$(RUNS)/gaps/$(GAPS): | corpus
	$(NMT) mask --dataset $(DATA) $(LANGUAGES) --output $(@D)

$(RUNS)/filler/done: $(RUNS)/gaps/$(GAPS)
	$(NMT) train --dataset $(RUNS)/gaps --source masked --target $(SOURCE) --steps 2000 --run-dir $(@D)
	touch $@

$(RUNS)/more-gaps/$(GAPS): | corpus
	$(NMT) mask --dataset $(DATA) $(LANGUAGES) --copies 3 --seed 2 --output $(@D)

$(RUNS)/invented.txt: $(RUNS)/filler/done $(RUNS)/more-gaps/$(GAPS)
	$(NMT) translate --model $(RUNS)/filler --temperature 0.8 --input $(RUNS)/more-gaps/$(GAPS) --output $@

# A student of what the pair writes of the corpus and of invented texts: a greedy search loses less with it.
$(RUNS)/distilled/$(SOURCE).train.txt: $(PAIR)/config.json $(RUNS)/invented.txt
	$(NMT) distill --model $(PAIR) --dataset $(RUNS)/diverse --more-sources $(RUNS)/invented.txt --output $(@D)

$(RUNS)/learner-%/done: $(RUNS)/distilled/$(SOURCE).train.txt
	$(NMT) train --preset student --dataset $(RUNS)/distilled $(LANGUAGES) --seed $* --run-dir $(@D)
	touch $@

learner: $(RUNS)/learner-$(SEED)/done
	$(NMT) evaluate --run-dir $(RUNS)/learner-$(SEED) --dataset $(DATA) --split $(SPLIT)

# For `make pretrained`: the folder of a model, as `--model` takes it.
NAME := $(notdir $(DATA))
MODEL := $(RUNS)/$(NAME)

pretrained: setup
	$(if $(DATA),,$(error pretrained needs DATA=FOLDER [SOURCE=en TARGET=de STEPS=4000 RUNS=FOLDER]))
	test -d $(RUNS)/varied || $(NMT) vary --dataset $(DATA) --source $(SOURCE) --target $(TARGET) --output $(RUNS)/varied
	$(NMT) train --preset tatoeba --dataset $(RUNS)/varied --source $(SOURCE) --target $(TARGET) --run-dir $(RUNS)/run \
	  $(if $(STEPS),--steps $(STEPS))
	$(NMT) save --run-dir $(RUNS)/run --output $(MODEL) --storage int8
	$(NMT) evaluate --model $(MODEL) --dataset $(DATA) --split $(SPLIT)
	$(NMT) typed --model $(MODEL)

# A short form of every check, in the order of the files; `test-long` has the rest, too, in an order drawn anew.
test: setup
	$(PYTHON) -m pytest -p no:randomly -m "not long"

test-long: setup
	$(PYTHON) -m pytest

# Properties on inputs that are drawn anew, many more than in the tests.
properties: setup
	ATTENTION_NMT_EXAMPLES=500 $(PYTHON) -m pytest -p no:randomly --timeout=3600 tests/properties

# Faults put into the code: the share that some test notices, and the survivors.
mutants: setup
	$(PYTHON) -m tests.mutation

# Kills, damaged files, full disks, signals: the table of what was tried and what held.
faults: setup
	$(PYTHON) -m tests.faults

# Branches of the library that the tests reach.
coverage: setup
	$(PYTHON) -m pytest -p no:randomly --cov=attention_nmt

check: setup
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

# The site, in build/site; broken links and API pages without their object are errors.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build

# The notebooks anew, with what they print.
notebooks: setup
	$(PYTHON) -m tests.notebooks

# LiteRT.js for `attention-nmt web`, by npm; it is no part of the repository.
litert-js: setup
	$(PYTHON) -m serving.web.litert_js

wheel: setup litert-js
	$(PYTHON) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
