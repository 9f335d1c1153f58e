# Two targets a person needs: `make run` serves the pages, `make test` runs every check.
VENV := .venv
PY := $(VENV)/bin/python
export DJANGO_SETTINGS_MODULE ?= config.settings.dev
LYNCEUS_PORT ?= 8000
STAMP := $(VENV)/.installed
BUNDLE := frontend/dist/.vite/manifest.json
FRONTEND := frontend/package-lock.json $(wildcard frontend/*.json frontend/*.ts frontend/*.sh) $(shell find frontend/src -type f)

.PHONY: install run test lint
install: $(STAMP) $(BUNDLE)

$(STAMP): requirements.txt requirements-dev.txt
	python3 -c 'import sys; assert sys.version_info >= (3, 11), "Lynceus needs Python 3.11 or later"'
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	touch $@

$(BUNDLE): $(STAMP) $(FRONTEND)
	PYTHON=$(CURDIR)/$(PY) frontend/build.sh
	touch $@

run: install
	$(PY) manage.py migrate --verbosity 0
	$(PY) manage.py runserver 127.0.0.1:$(LYNCEUS_PORT)

lint: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy apps config demo ml
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint templates --check --lint

test: lint
	$(PY) -m pytest -n 4
	LYNCEUS_TEST_DB=sqlite $(PY) -m pytest -n 2 -m decision tests/fraud
