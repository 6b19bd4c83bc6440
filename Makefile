# `make run` and `make test` are all the set-up there is.

PYTHON ?= python3
BIN := .venv/bin
DATA_DIR ?= data
STATIC := $(shell find static -type f 2>/dev/null)

.PHONY: run cluster test chaos lint format messages bench clean

run: .venv/.run $(DATA_DIR)/.static
	@exec $(BIN)/python manage.py serve

cluster: .venv/.run
	@exec $(BIN)/python deploy/cluster.py

chaos: .venv/.test
	$(BIN)/python -m tests.cluster.chaos

# Three parts beside each other, of which two mostly wait: for browsers, and for processes that are killed and come back.
# Random faults go with the browsers, so that all three take about as long. ARGS narrows all of them down.
PROCESSES := tests/cluster tests/faults tests/test_serving.py tests/test_sessions.py
CHAOS := tests/cluster/test_chaos.py

test: .venv/.test
	@$(MAKE) --no-print-directory lint & lint=$$!; \
	$(BIN)/python -m pytest $(PROCESSES) --ignore $(CHAOS) $(ARGS) & processes=$$!; \
	$(BIN)/python -m pytest --ignore tests/browser $(PROCESSES:%=--ignore %) $(ARGS) & others=$$!; \
	$(BIN)/python -m pytest $(CHAOS) tests/browser $(ARGS); browsers=$$?; \
	wait $$lint; lint=$$?; wait $$processes; processes=$$?; wait $$others; others=$$?; \
	echo "Lint: exit $$lint; tests in browsers: exit $$browsers; of processes: exit $$processes; all others: exit $$others."; \
	exit $$((lint + browsers + processes + others))

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

# Catalogues of what users read: collect the strings into locale/*/LC_MESSAGES/django.po, keeping translations, and
# compile them. Needs GNU gettext; nothing else does, because the compiled catalogues are committed too.
messages: .venv/.test
	$(BIN)/python manage.py makemessages --locale de --locale zh_Hans --add-location file --no-wrap \
	    --ignore .venv --ignore data --ignore bench --ignore deploy --ignore tests
	$(BIN)/python manage.py compilemessages --locale de --locale zh_Hans --ignore .venv

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
