PYTHON := .venv/bin/python
DEMO := runs/demo
PORT := 8500
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: setup demo test check

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

test: setup
	$(PYTHON) -m pytest

check: setup
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
