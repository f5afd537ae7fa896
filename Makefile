# Two commands set everything up on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint install clean bench experiments crash fuzz soak

KILLS ?= 1000
FILES ?= 10000
CARDS ?= 500

demo: $(VENV)/.installed
	$(BIN)/ctwatch demo

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks roofline

# Some 20 minutes on two cores; writes docs/experiments.md and its pictures.
experiments: $(VENV)/.installed
	$(BIN)/python -m benchmarks experiments

# kill -9 at every commit point and at random moments; what comes out must be what an undisturbed run gives.
crash: $(VENV)/.installed-dev
	$(BIN)/python -m tests.crash --kills $(KILLS)

# Damaged photographs through the real command, with bounded time and memory.
fuzz: $(VENV)/.installed-dev
	CTWATCH_FUZZ_FILES=$(FILES) $(BIN)/python -m pytest -s tests/test_fuzz.py -k "real_command or takes_long"

# Hundreds of cards in a row with readers at work and faults injected; writes docs/reliability/.
soak: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks soak --cards $(CARDS)

install: $(VENV)/.installed

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.installed: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo
