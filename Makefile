# `make up` and `make test` do all the set-up they need. Prerequisites: Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Start-up time hangs on bytecode: an environment that forbids it would compile every import again, every time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up install install-test peers test lint bench coverage fuzz docs clean

up: install
	@exec $(BIN)/lockgate up examples/edge

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/.python:
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/.python
	@echo "installing pinned dependencies (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.installed-test: requirements-test.lock tests/edge/identity_provider/package-lock.json tests/edge/browser/package-lock.json \
  $(VENV)/.installed
	@echo "installing what only tests need (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	@for each in identity_provider browser; do \
	  mkdir -p $(VENV)/$$each && cp tests/edge/$$each/package*.json $(VENV)/$$each && \
	  (cd $(VENV)/$$each && ../bin/npm ci --silent --ignore-scripts --no-audit --no-fund) || exit 1; done
	@touch $@

# Clients that some tests run, built with Go. Without them these tests are not collected.
peers: $(VENV)/peers/tally $(VENV)/peers/clientgo

$(VENV)/peers/tally: $(wildcard tests/edge/peers/tally/*)
	@mkdir -p $(@D)
	@cd tests/edge/peers/tally && go build -o $(CURDIR)/$@ .

$(VENV)/peers/clientgo: $(wildcard tests/embedded/kubernetes/peers/clientgo/*)
	@mkdir -p $(@D)
	@cd tests/embedded/kubernetes/peers && go build -o $(CURDIR)/$@ ./clientgo

lint: install-test
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install-test lint
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# Longer runs of what `make test` does for a moment: odd input to every reader and server, and predictions held against
# real Envoys.
fuzz: install-test
	LOCKGATE_FUZZ=3000 $(BIN)/pytest tests/fuzz tests/xds/test_loadbalancer_routing.py tests/gateway/test_routing_envoy.py \
	  tests/edge/test_tracing_property.py tests/edge/test_comparing.py tests/trace/test_difference_property.py

# How much of each pure room its own tests run.
coverage: install-test
	$(BIN)/python -m benchmarks.coverage

bench: install-test
	$(BIN)/python -m benchmarks

# The documentation site, in build/site. Its generator has an environment of its own.
docs: install $(VENV)-docs/.installed
	$(BIN)/python docs/pictures.py
	$(VENV)-docs/bin/zensical build

$(VENV)-docs/.installed: requirements-docs.lock
	@$(PYTHON) -m venv $(VENV)-docs
	@$(VENV)-docs/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-docs build dist .mypy_cache .ruff_cache .pytest_cache
