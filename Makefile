PYTHON := .venv/bin/python
DEMO := runs/demo
PORT := 8500
export TF_CPP_MIN_LOG_LEVEL ?= 2

# For `make multi30k`: what --dataset takes, the languages, the seed and the split to score, where the runs lie.
DATA :=
SOURCE := en
TARGET := de
SEED := 1
SPLIT := test
RUNS := runs/$(SOURCE)-$(TARGET)

.PHONY: setup demo multi30k test check

setup: .venv/installed

.venv/installed: requirements.txt
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

demo: setup
	$(PYTHON) -m training.train --preset demo --run-dir $(DEMO)
	$(PYTHON) -m training.evaluate --run-dir $(DEMO) --split test
	$(PYTHON) -m serving.export --run-dir $(DEMO) --output $(DEMO)/export
	@echo "Serving it at port $(PORT) and translating 'the red dress':"
	@$(PYTHON) -m serving.server --model-dir $(DEMO)/export --name nmt --port $(PORT) & server=$$!; \
	trap 'kill $$server' EXIT; \
	$(PYTHON) -m serving.client --address localhost:$(PORT) --name nmt --wait-s 60 "the red dress"

TRAIN := $(PYTHON) -m training.train
FIRST := $(TRAIN) --dataset $(DATA) --seed 1

# Trainings go on where they were stopped, translating begins anew; of a second SEED only the last two are new.
multi30k: setup
	$(if $(DATA),,$(error multi30k needs DATA=FOLDER [SOURCE=en TARGET=de SEED=1 SPLIT=test RUNS=FOLDER]))
	$(FIRST) --source $(SOURCE) --target $(TARGET) --run-dir $(RUNS)/forward
	$(FIRST) --source $(TARGET) --target $(SOURCE) --run-dir $(RUNS)/backward
	test -d $(RUNS)/diverse || $(PYTHON) -m training.diversify --output $(RUNS)/diverse \
	  --forward-runs $(RUNS)/forward --backward-runs $(RUNS)/backward
	$(TRAIN) --preset multi30k --dataset $(RUNS)/diverse --source $(SOURCE) --target $(TARGET) --seed $(SEED) \
	  --run-dir $(RUNS)/seed-$(SEED)
	$(PYTHON) -m training.evaluate --run-dir $(RUNS)/seed-$(SEED) --dataset $(DATA) --split $(SPLIT)

test: setup
	$(PYTHON) -m pytest

check: setup
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
