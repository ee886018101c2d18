# Everything a user or a developer runs. On a fresh machine: python3 (3.11+) with pip and venv, make, git.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash

.PHONY: install demo up test bench soak lint clean

# The stamp is remade when the dependencies change; the project itself is installed editable.
install: .venv/installed
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nostro needs Python 3.11 or newer; say which with: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## three DAGs over five sandbox banks, from start to end
	PYTHONPATH=include $(BIN)/python -m nostro_demo demo

up: install  ## the same Airflow and sandbox, left running; Ctrl-C stops all
	PYTHONPATH=include $(BIN)/python -m nostro_demo up

# A real Airflow takes both cores, and so do sixteen processes at once: one after the other.
test: install  ## the whole test suite
	$(BIN)/python -m pytest --ignore=tests/airflow
	$(BIN)/python -m pytest tests/airflow

bench: .venv/bench-installed  ## each figure beside its peers and its floor; a table alone: make bench TABLES=warm
	PYTHONPATH=include $(BIN)/python tests/bench $(TABLES)
.venv/bench-installed: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	touch $@

# The long profiles, an hour each at most. A test asks for its profile's name in NOSTRO_SOAK, and draws from the seed.
SOAKS := tokens
SOAK_tokens := tests/property/test_token_answers.py
SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))

soak: install  ## a long profile: make soak PROFILE=tokens; a run again, with the seed that it printed: SEED=...
ifneq ($(filter $(PROFILE),$(SOAKS)),)
	@echo "make soak PROFILE=$(PROFILE) SEED=$(SEED)"
	NOSTRO_SOAK=$(PROFILE) $(BIN)/python -m pytest $(SOAK_$(PROFILE)) --hypothesis-seed=$(SEED)
else
	@printf 'make soak PROFILE=%s\n' $(SOAKS)
	@test -z "$(PROFILE)"
endif

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy plugins/nostro
	$(BIN)/mypy include
	$(BIN)/lint-imports

clean:
	rm -rf .venv .demo dist
