# The two commands of the README are `make demo` and `make test`; each does all the set-up it needs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.deltakit-ready
# The other tool runs in an environment of its own; name one that is there to spare making it.
MERGEKIT_ENV ?= .venv-mergekit
export OMP_WAIT_POLICY := PASSIVE
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo test check format clean wheel compare-mergekit

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/deltakit demo -o demo-out

test: setup
	$(BIN)/python -m pytest tests

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_packaging.py tests/test_docs.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compare-mergekit: setup $(MERGEKIT_ENV)/bin/mergekit-yaml
	$(BIN)/python bench/compare_mergekit/compare.py --mergekit $(MERGEKIT_ENV)/bin -o bench/results/compare_mergekit.md

$(MERGEKIT_ENV)/bin/mergekit-yaml:
	$(PYTHON) -m venv $(MERGEKIT_ENV) || python3 -m venv $(MERGEKIT_ENV)
	$(MERGEKIT_ENV)/bin/python -m pip install --quiet --constraint constraints.txt torch
	$(MERGEKIT_ENV)/bin/python -m pip install --quiet mergekit==0.1.5

wheel: setup
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) .venv-mergekit dist build demo-out .mypy_cache .ruff_cache .hypothesis
