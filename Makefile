PYTHON := .venv/bin/python
NMT := .venv/bin/attention-nmt
DEMO := runs/demo
PORT := 8500

# For `make multi30k`, `student` and `pair`: what --dataset takes, the languages, the seed and the split to score, where the runs lie.
DATA :=
SOURCE := en
TARGET := de
SEED := 1
SPLIT := test
RUNS := runs/$(SOURCE)-$(TARGET)

.PHONY: setup needed demo multi30k student pair pretrained test test-long faults mutants properties coverage check docs litert-js wheel notebooks

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

# What is done is marked by a file, and is not done again; a command that was stopped goes on. With `-j2` two models are trained side by side.
needed: setup
	$(if $(DATA),,$(error $(MAKECMDGOALS) needs DATA=FOLDER [SOURCE=en TARGET=de SEED=1 SPLIT=test RUNS=FOLDER]))

# A model of each direction, and the corpus with what they make of it.
$(RUNS)/forward.done: | needed
	$(NMT) train --dataset $(DATA) --seed 1 $(LANGUAGES) --run-dir $(RUNS)/forward
	touch $@

$(RUNS)/backward.done: | needed
	$(NMT) train --dataset $(DATA) --seed 1 --source $(TARGET) --target $(SOURCE) --run-dir $(RUNS)/backward
	touch $@

$(RUNS)/diverse.done: $(RUNS)/forward.done $(RUNS)/backward.done
	test -d $(RUNS)/diverse || $(NMT) diversify --output $(RUNS)/diverse \
	  --forward-runs $(RUNS)/forward --backward-runs $(RUNS)/backward
	touch $@

# The preset of the target's name on that corpus; of a second SEED this alone is new.
multi30k student: $(RUNS)/diverse.done
	$(NMT) train --preset $@ --dataset $(RUNS)/diverse $(LANGUAGES) --seed $(SEED) --run-dir $(RUNS)/$@-$(SEED)
	$(NMT) evaluate --run-dir $(RUNS)/$@-$(SEED) --dataset $(DATA) --split $(SPLIT)

# For `make pair`: the seeds of its two models. They learn what three students write together.
SEEDS := 11 12
PAIR := $(RUNS)/pair-$(subst $() ,-,$(SEEDS))

$(RUNS)/teacher-%.done: $(RUNS)/diverse.done
	$(NMT) train --preset student --steps 6000 --dataset $(RUNS)/diverse $(LANGUAGES) --seed $* --run-dir $(RUNS)/teacher-$*
	touch $@

$(RUNS)/teacher.done: $(foreach seed,1 2 3,$(RUNS)/teacher-$(seed).done)
	test -d $(RUNS)/teacher || $(NMT) save --model $(RUNS)/teacher-1 \
	  --together-with $(RUNS)/teacher-2 $(RUNS)/teacher-3 --output $(RUNS)/teacher
	touch $@

# Sources like the corpus's, by a model that fills gaps.
$(RUNS)/filler.done: | needed
	test -d $(RUNS)/gaps || $(NMT) mask --dataset $(DATA) $(LANGUAGES) --output $(RUNS)/gaps
	$(NMT) train --dataset $(RUNS)/gaps --source masked --target $(SOURCE) --steps 2000 --run-dir $(RUNS)/filler
	touch $@

$(RUNS)/invented.txt: $(RUNS)/filler.done
	test -d $(RUNS)/more-gaps || $(NMT) mask --dataset $(DATA) $(LANGUAGES) --copies 3 --seed 2 --output $(RUNS)/more-gaps
	$(NMT) translate --model $(RUNS)/filler --temperature 0.8 --input $(RUNS)/more-gaps/masked.train.txt --output $@

$(RUNS)/distilled.done: $(RUNS)/teacher.done $(RUNS)/invented.txt
	test -d $(RUNS)/distilled || $(NMT) distill --model $(RUNS)/teacher --dataset $(RUNS)/diverse \
	  --more-sources $(RUNS)/invented.txt --output $(RUNS)/distilled
	touch $@

$(RUNS)/learner-%.done: $(RUNS)/distilled.done
	$(NMT) train --preset student --dataset $(RUNS)/distilled $(LANGUAGES) --seed $* --run-dir $(RUNS)/learner-$*
	touch $@

pair: $(foreach seed,$(SEEDS),$(RUNS)/learner-$(seed).done)
	test -d $(PAIR) || $(NMT) save --model $(RUNS)/learner-$(word 1,$(SEEDS)) \
	  --together-with $(RUNS)/learner-$(word 2,$(SEEDS)) --output $(PAIR)
	$(NMT) evaluate --model $(PAIR) --dataset $(DATA) $(LANGUAGES) --split $(SPLIT)

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
