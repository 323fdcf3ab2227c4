# `make demo` and `make test` do all the set-up they need, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_SLOW := $(VENV)/.ready-slow
READY_DOCS := $(VENV)/.ready-docs

.PHONY: help setup demo check test test-slow docs mutants fuzz lint format bench study clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with everything that development needs

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fnet needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (Keras, TensorFlow and JAX are large: this takes a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(READY_SLOW): $(READY)
	@echo "installing what the slow tests run fnet with: PyTorch, Ray, Flax, ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[integrations]'
	@touch $@

$(READY_DOCS): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

demo: $(READY) ## Train three small models on embedded data, run them without Keras, write the report
	$(BIN)/fnet demo

check: $(READY) ## One minute of tests of what has changed, on NumPy
	$(BIN)/python -m tests.check

test: $(READY) ## The fast tests
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: $(READY_SLOW) ## The slow parity runs, and fnet with PyTorch, Ray, ONNX, ...
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m slow

docs: $(READY_DOCS) ## The site, in build/site; a warning is an error, and so is a link that leads nowhere
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site

mutants: $(READY) ## Put in small faults, one after the other, and print those that no test finds (an hour)
	$(BIN)/python -m tests.mutants --jobs 2 --slow

SECONDS ?= 600
fuzz: $(READY_SLOW) ## Look for files that break the readers: ten minutes a reader, or make fuzz SECONDS=3600
	@for target in keras h5 store; do $(BIN)/python -m tests.fuzz $$target --seconds $(SECONDS) || exit 1; done

lint: $(READY) ## Formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## Speed next to ONNX Runtime, TensorFlow and Keras on JAX, as ratios; or make bench QUICK=--quick
	@for name in startup loading models sizes applications layers; do echo "== $$name"; \
		$(BIN)/python benchmarks/$$name.py $(QUICK) --json benchmarks/results-$$name.json || exit 1; done

study: $(READY) ## The studies on real data (FNET_DATA=folder); hours; resumes where it stopped
	@$(BIN)/fnet study run all --results docs/results --runs runs/studies; done=$$?; \
		$(BIN)/fnet study report --results docs/results; exit $$done

clean: ## Remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
