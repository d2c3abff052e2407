PYTHON := .venv/bin/python
NMT := .venv/bin/attention-nmt
DEMO := runs/demo
PORT := 8500

# For `make multi30k` and `make student`: what --dataset takes, the languages, the seed and the split to score, where the runs lie.
DATA :=
SOURCE := en
TARGET := de
SEED := 1
SPLIT := test
RUNS := runs/$(SOURCE)-$(TARGET)

.PHONY: setup demo diverse multi30k student pretrained test test-long faults mutants properties coverage check docs litert-js wheel notebooks

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

FIRST := $(NMT) train --dataset $(DATA) --seed 1

# A model of each direction, and the corpus with what they make of it. Trainings go on where they were stopped.
diverse: setup
	$(if $(DATA),,$(error multi30k and student need DATA=FOLDER [SOURCE=en TARGET=de SEED=1 SPLIT=test RUNS=FOLDER]))
	$(FIRST) --source $(SOURCE) --target $(TARGET) --run-dir $(RUNS)/forward
	$(FIRST) --source $(TARGET) --target $(SOURCE) --run-dir $(RUNS)/backward
	test -d $(RUNS)/diverse || $(NMT) diversify --output $(RUNS)/diverse \
	  --forward-runs $(RUNS)/forward --backward-runs $(RUNS)/backward

# The preset of the target's name on that corpus; of a second SEED this alone is new.
multi30k student: diverse
	$(NMT) train --preset $@ --dataset $(RUNS)/diverse --source $(SOURCE) --target $(TARGET) --seed $(SEED) \
	  --run-dir $(RUNS)/$@-$(SEED)
	$(NMT) evaluate --run-dir $(RUNS)/$@-$(SEED) --dataset $(DATA) --split $(SPLIT)

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
