# make tag FILES=...   tags of music        make test   everything that CI checks
# Each sets up all it needs in .venv; the first time that takes a few minutes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
INSTALL := $(PIP) -c constraints.txt
# of files whose hashes stand in release/locks; then earmark itself, built by what is among them
LOCKED := $(PIP) --require-hashes -r release/locks
EDITABLE := $(PIP) --no-deps --no-build-isolation -e .

# Published weights that lie beside the checkout need no download; each is checked by its sha256.
export EARMARK_PUBLISHED ?= $(wildcard ../shared/published)
MODEL ?= earmark

.PHONY: tag test suite test-quick coverage s3 lint docs site bench dist lock clean

# other models than our own are made from published weights, which needs more
tag: $(if $(filter earmark,$(MODEL)),$(VENV)/.core,$(VENV)/.models) ## make tag FILES="song.mp3 folder" [MODEL=earmark]
	@test -n "$(FILES)" || { echo 'usage: make tag FILES="song.mp3 folder ..."' >&2; exit 2; }
	@$(BIN)/earmark models info $(MODEL) >/dev/null 2>&1 || $(BIN)/earmark models pull $(MODEL) >/dev/null
	@$(BIN)/earmark tag --model $(MODEL) $(FILES)

test: lint suite ## everything; some twelve minutes on two cores

suite: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

test-quick: $(VENV)/.dev ## without the tests that take more than ten seconds each
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

coverage: $(VENV)/.dev ## as test-quick, and how much of the code it runs; the floor stands in pyproject.toml
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --cov --cov-report=term

s3: $(VENV)/.dev ## audio and stores in a bucket, on a server on loopback: 90 MB more
	@$(INSTALL) -r tests/s3.txt
	$(BIN)/python -m pytest tests/test_remote_s3.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev ## the pages that are made from the code
	$(BIN)/python docs/generate.py

site: $(VENV)/.dev ## the documentation as a site, in build/site; fails on a link that leads nowhere
	$(BIN)/zensical build --strict --clean

BENCH ?= -o docs/reference/performance.md
bench: $(VENV)/.dev ## how fast, beside others: half an hour; BENCH="--tiny" for a minute
	@$(INSTALL) -r benchmarks/peers.txt || echo "going on without all of benchmarks/peers.txt" >&2
	$(BIN)/python -m benchmarks $(BENCH)

dist: $(VENV)/.core ## wheel and source distribution, built twice and tried out
	@$(LOCKED)/dist.txt
	@$(BIN)/python release/dist.py

UV := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
  --custom-compile-command "make lock" -c constraints.txt
BUILD := release/locks/build.in
lock: | $(BIN)/python ## release/locks, after a change of constraints.txt or of what the core needs
	@$(PIP) uv
	@$(UV) pyproject.toml $(BUILD) -o release/locks/core.txt
	@$(UV) pyproject.toml --extra models $(BUILD) -o release/locks/models.txt
	@$(UV) $(BUILD) release/locks/dist.in -o release/locks/dist.txt

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python $(VENV)/Scripts/python.exe:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "earmark needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "no venv in $(PYTHON): on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }

$(VENV)/.core: pyproject.toml release/locks/core.txt | $(BIN)/python
	@echo "setting up earmark in $(VENV) ..." >&2
	@$(LOCKED)/core.txt
	@$(EDITABLE)
	@touch $@

$(VENV)/.models: pyproject.toml release/locks/models.txt | $(BIN)/python
	@echo "setting up earmark and what its published models need in $(VENV) ..." >&2
	@$(LOCKED)/models.txt
	@$(EDITABLE)
	@touch $@ $(VENV)/.core

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up earmark and its tests in $(VENV) ..." >&2
	@$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.core $(VENV)/.models
