# Everything works on a fresh clone with Python 3.11 or newer and pip: each target makes .venv itself.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test test-gpu lab tables lint lock clean

run: $(INSTALLED)  ## run all lessons at profile quick, then render the tables of this run
	$(BIN)/course run --profile quick
	$(BIN)/course tables --own

test: lint  ## check style, types and layers, then run all tests
	$(BIN)/python -m pytest

test-gpu: $(INSTALLED)  ## execute every lesson on CUDA; skips where there is none
	$(BIN)/python -m pytest tests/gpu

lab: $(INSTALLED)  ## open the lessons in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks

tables: $(INSTALLED)  ## render the published tables, figures and README blocks
	$(BIN)/course tables

lint: $(INSTALLED)  ## style, types, imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy utils
	$(BIN)/lint-imports

lock: $(INSTALLED)  ## write the versions in .venv into requirements.lock and environment.yml
	$(BIN)/python -m utils.cli lock

clean:  ## remove the environment and caches, keep runs/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(INSTALLED): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $(INSTALLED)
