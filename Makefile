# `make help` lists the targets. Everything is installed into .venv and .lab, nothing elsewhere but
# Debian packages, and those only where `make` runs as root.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REQUIREMENTS := requirements/dev.txt
SOURCES := src lab bench tests
# Three, also on two cores, since many tests wait. In the order of the folders, so that tests which
# share services run in the same process, and what takes long does not come last.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

LOCK := $(BIN)/uv pip compile -q --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help demo test check lint unit bench docs lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## Start two regions, replicate a real image, compare before and after
	@$(BIN)/python -m lab.demo

test: lint ## Run everything: linters, types, and all tests against real services
	$(BIN)/python -m lab prepare
	$(PYTEST)

check: lint unit ## Run what takes some minutes: linters, types, tests without services

lint: $(STAMP) ## Run the linters and the type checker
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-logo

unit: $(STAMP) ## Run the tests that need no services
	$(PYTEST) -m "not services"

bench: $(STAMP) ## Measure against peers in the same run; writes docs/benchmarks/
	$(BIN)/python -m lab prepare
	$(BIN)/python -m bench

docs: $(STAMP) ## Build the documentation into docs/_build
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build

lock: $(STAMP) ## Lock the dependencies anew, to their newest versions
	$(LOCK) --upgrade --group dev -o $(REQUIREMENTS) pyproject.toml
	$(LOCK) -c $(REQUIREMENTS) --group build -o requirements/build.txt
	$(LOCK) -c $(REQUIREMENTS) --extra notifications -o requirements/run.txt pyproject.toml

clean: ## Remove what was installed and built
	rm -rf $(VENV) .lab docs/_build .mypy_cache .ruff_cache .pytest_cache

$(STAMP): $(REQUIREMENTS) pyproject.toml
	@scripts/venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
