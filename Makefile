# Everything a newcomer needs: `make demo` and `make test` set up what they use by themselves.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-matrix check bench notebook clean

demo: $(VENV)/.demo  ## The whole story on three short real videos and drawn actions, offline; writes demo/index.html
	@$(BIN)/clipdex demo --out demo

test: check  ## Format, lint, types, tests, and the built wheel in an environment of its own
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile
	$(BIN)/python tests/wheel.py

test-matrix: $(VENV)/.dev  ## Before a release: other code paths, threads, places, versions; CELLS="busy path" chooses
	$(BIN)/python tests/matrix.py $(CELLS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev  ## Measure; prints tables and writes benchmarks/results/*.json; takes an hour
	for name in extraction search heads teach startup; do $(BIN)/python -W ignore benchmarks/$$name.py || exit 1; done

notebook: $(VENV)/.dev  ## Run the notebook and keep its output in it
	$(BIN)/python notebooks/execute.py notebooks/story.ipynb

# constraints.txt pins torch to a release whose CPU build is small where an index offers one; see README.
$(VENV)/.base: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): torch first, which takes a minute or more"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	@touch $@

$(VENV)/.demo: $(VENV)/.base
	@echo "Installing Clipdex with what the demo needs"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "Installing Clipdex with its development tools"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo bank
