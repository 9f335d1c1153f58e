# What a person needs: `make demo` shows the product, `make test` runs every check, `make soak` the long ones.
VENV := .venv
PY := $(VENV)/bin/python
export DJANGO_SETTINGS_MODULE ?= config.settings.dev
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
BUNDLE := frontend/dist/.vite/manifest.json
FRONTEND := frontend/package-lock.json $(wildcard frontend/*.json frontend/*.ts frontend/*.sh) $(shell find frontend/src frontend/static -type f)

.PHONY: demo install static lint test soak
demo: install
	@exec $(PY) -m demo

install: $(STAMP) $(BUNDLE)

$(STAMP): requirements.txt
	python3 -c 'import sys; assert sys.version_info >= (3, 11), "Lynceus needs Python 3.11 or later"'
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(DEV_STAMP): $(STAMP) requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(BUNDLE): $(STAMP) $(FRONTEND)
	PYTHON=$(CURDIR)/$(PY) frontend/build.sh
	touch $@

# For a server: what whitenoise serves.
static: install
	$(PY) manage.py collectstatic --noinput --verbosity 0

lint: install $(DEV_STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy apps config demo ml
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint templates --check --lint

test: lint
	$(PY) -m tests.browser
	$(PY) -m tests.clients
	$(PY) -m pytest -n 4
	LYNCEUS_TEST_DB=sqlite $(PY) -m pytest -n 2 -m decision tests/fraud

soak: install $(DEV_STAMP)
	$(PY) -m tests.browser
	$(PY) -m benchmarks.soak
