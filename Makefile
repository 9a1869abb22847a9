# make train   trains the built-in generator `glyphs` to a loss of 0.05; more options: make train ARGS="--epochs 5"
# make install makes the virtual environment alone, for the commands of the README
# make test    everything that a change must pass
# make quick   what takes under two minutes of it: lint, types, the quick tests
# make docs    builds the documentation: docs/_build/index.html
# make lowest  installs the lowest versions that pyproject.toml allows elsewhere, and tries them: gigabytes
# make prove   every fault against its check, every check on healthy runs: hours; writes docs/checks.md
# make real    detectors of drawn scenes, judged on real photographs: see docs/real.md
# make attack  damaged and malicious files at every reader: minutes, or hours; writes docs/attack.md
# make clean   removes what was made here; checkpoints stay

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Byte code is made once, for all processors at once, and not by the first program that imports a module.
# uv gives up on a file after a minute, and with it the install: on a busy machine that is no failure.
INSTALL := UV_COMPILE_BYTECODE_TIMEOUT=0 $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

.DELETE_ON_ERROR:
.PHONY: help train install test quick docs lowest prove real attack clean

help:
	@sed -n 's/^# make/make/p' Makefile

train: $(VENV)/.installed
	$(BIN)/python -m yolo_proc train --target-loss 0.05 $(ARGS)

install: $(VENV)/.installed

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd export/java && mvn -q -B package
	$(BIN)/pytest -n 2

quick: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest -n 2 -m 'not slow and not java and not browser and not gpu and not lowest'

docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo docs/_build/index.html

lowest: $(VENV)/.installed-dev
	$(BIN)/pytest -m lowest tests/test_lowest.py

prove: $(VENV)/.installed-dev
	$(BIN)/python tests/prove.py $(ARGS)

real: $(VENV)/.installed-dev
	$(INSTALL) 'scikit-image>=0.25'
	$(BIN)/python benchmarks/real/run.py $(ARGS)

attack: $(VENV)/.installed-dev
	$(BIN)/python tests/attack $(ARGS)

clean:
	rm -rf export/java/target export/java/*/target
	rm -rf $(VENV) build dist docs/_build docs/reference/options.md *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are older than what they depend on only after a change of the dependencies.
$(VENV)/.installed: $(VENV)/.uv pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.installed $@

# uv installs in a fifth of the time that pip takes.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1 | head -n 1); name one: make PYTHON=python3.12" >&2; \
	  exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@
