# Needs Python 3.11 or newer (with its venv module) and make; everything else is installed into .venv from
# requirements.lock. Without a GPU, pointing pip's extra index at PyTorch's CPU builds spares a large download.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
WORKERS ?= 2
TEST_ARGS ?=
DEMO_DIR ?= outputs/demo
DEMO_ARGS ?=
DEMO_METHODS := "checkpoint:$(DEMO_DIR)/training/policy", \
	"onnx:$(DEMO_DIR)/dispatcher.onnx;name=job_shop_demo_onnx", \
	"rule:all", "solver:insa", "solver:cp_sat;time_limit=5;workers=2"

# One thread a process: the work is spread over processes, and timings stay comparable between machines.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 1
export PYTHONHASHSEED ?= 0
export MPLBACKEND ?= Agg
export PIP_PROGRESS_BAR ?= off

.DEFAULT_GOAL := help
.PHONY: help venv test slow lint format demo benchmark docs docs-pages lock clean

help:  ## List the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

venv: $(VENV)/.project  ## Create or refresh .venv from requirements.lock

$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "error: '$(PYTHON)' is not Python 3.11 or newer; run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --requirement requirements.lock
	@touch $@

$(VENV)/.project: $(VENV)/.locked pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: venv  ## Install everything and run the tests (without those marked slow)
	WANDB_MODE=disabled $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" -q $(TEST_ARGS)

slow: venv  ## Run the slow tests
	WANDB_MODE=disabled $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow -q $(TEST_ARGS)

lint: venv  ## Check style, formatting, types and the direction of imports
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: venv  ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

demo: venv  ## Train a small dispatcher for three minutes, compare it with rules and CP-SAT, export it
	$(BIN)/python scripts/train.py experiment=job_shop_demo tracker=none output=$(DEMO_DIR)/training $(DEMO_ARGS)
	$(BIN)/python scripts/export.py checkpoint=$(DEMO_DIR)/training/policy output=$(DEMO_DIR)/dispatcher.onnx
	$(BIN)/python scripts/evaluate.py benchmark=taillard_small resume=false output=$(DEMO_DIR)/evaluation \
		baseline=spt_mwkr 'methods=[$(DEMO_METHODS)]'
	@echo "The dispatcher: $(DEMO_DIR)/dispatcher.onnx"
	@echo "The report:     $(DEMO_DIR)/evaluation/report.html"

benchmark: venv  ## Measure the environment beside Jumanji and RL4CO (installs them into .venv-peers)
	$(BIN)/python -m benchmarks.environment_speed

docs-pages: venv  ## Regenerate the pages and pictures under docs/ that are made from code and committed results
	$(BIN)/python scripts/docs_pages.py
	$(BIN)/python scripts/results_tables.py

docs: venv  ## Build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock:  ## Resolve pyproject.toml afresh and rewrite requirements.lock
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check install --quiet '.[dev]' setuptools
	{ echo "# Every package of the development environment, exactly; rewritten by: make lock"; \
	  .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude dispatchlab \
	  | grep -v -i -E '^(nvidia|cuda|triton|wheel)' | sed -E 's/\+(cpu|cu[0-9]+)$$//'; } > requirements.lock
	rm -rf .venv-lock

clean:  ## Remove build products and caches, keeping .venv and outputs
	rm -rf build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
