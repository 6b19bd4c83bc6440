# `make run` and `make test` are all the set-up there is.

PYTHON ?= python3
BIN := .venv/bin
DATA_DIR ?= data
STATIC := $(shell find static -type f 2>/dev/null)

.PHONY: run test lint format bench clean

run: .venv/.run $(DATA_DIR)/.static
	@exec $(BIN)/python manage.py serve

test: .venv/.test lint
	$(BIN)/python -m pytest

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stillwater needs Python 3.11 or newer; set PYTHON=.")'
	@echo "Making .venv ..."
	@$(PYTHON) -m venv .venv

.venv/.run: pyproject.toml | .venv/bin/python
	@echo "Installing Stillwater's dependencies into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	@echo "Installing what the tests need into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.run

$(DATA_DIR)/.static: .venv/.run $(STATIC)
	@$(BIN)/python manage.py collectstatic --no-input --clear --verbosity 0
	@touch $@
