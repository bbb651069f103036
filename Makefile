# Every target sets up .venv by itself, from the lock file; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
WORKERS ?= 3
export PREFECT_HOME ?= $(CURDIR)/$(VENV)/prefect-home
export DO_NOT_TRACK = 1

.PHONY: demo test lint bench bench-meta soak lock clean

demo: $(VENV)/.installed
	@rm -rf $(DEMO)
	@$(BIN)/athanor init $(DEMO)
	@$(BIN)/athanor meta-train $(DEMO)/prior.toml --no-card
	@$(BIN)/athanor dry-run $(DEMO)/campaign.toml --rate 400

test: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m "not soak" -n $(WORKERS) --dist loadfile

soak: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m soak

lint: $(VENV)/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy orchestrator instruments policies models flows simulators tests benchmarks
	@$(BIN)/lint-imports

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks

bench-meta: $(VENV)/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.meta --run benchmarks/results/meta-reduced.json

lock: $(VENV)/.installed
	@$(BIN)/python -m pip freeze --all --exclude-editable | sed -E '/^pip==/d; s/\+cpu$$//' > requirements.lock

clean:
	@rm -rf $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
