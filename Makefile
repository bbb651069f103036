# Every target sets up .venv by itself, from the lock file; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
INTEROP := .venv-interop
PEERS := .venv-peers
CRATE := .venv-crate
NODE := tests/foreign/node
FOREIGN := .venv-foreign
BIN := $(VENV)/bin
DEMO := .demo
DOCS := .docs
WORKERS ?= 3
export PREFECT_HOME ?= $(CURDIR)/$(VENV)/prefect-home
export DO_NOT_TRACK = 1

.PHONY: demo demo-lnp test test-long test-fast lint bench bench-meta bench-peers bench-cold-peers interop crate foreign soak docs pages lock clean

demo: $(VENV)/.installed
	@rm -rf $(DEMO)
	@$(BIN)/athanor init $(DEMO)
	@$(BIN)/athanor dry-run $(DEMO)/campaign.toml --rate 400

# A second chemistry, as a package of other people's would bring it: installed into the demo's own folder, so that nothing else sees it.
demo-lnp: $(VENV)/.installed
	@rm -rf $(DEMO)-lnp
	@cp -R examples/lnp/bench $(DEMO)-lnp
	@cp -R examples/lnp $(DEMO)-lnp/package
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target $(DEMO)-lnp/site $(DEMO)-lnp/package
	@PYTHONPATH=$(CURDIR)/$(DEMO)-lnp/site $(BIN)/athanor dry-run $(DEMO)-lnp/campaign.toml --rate 40

test: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m "not long and not soak and not page and not foreign" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Whole campaigns, deaths and browsers, minutes each: CI runs them after the tests.
test-long: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m "long and not soak and not page and not foreign" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m "not long and not soak and not page and not foreign and not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

soak: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m soak

lint: $(VENV)/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy athanor orchestrator instruments policies models flows simulators tests benchmarks docs
	@$(BIN)/lint-imports

# Built from nothing: a page that is gone, or a name that the code no longer has, is found. Nothing is fetched.
docs: $(VENV)/.installed
	@rm -rf $(DOCS)
	@$(BIN)/python -m sphinx -q -W --keep-going -n -b html docs $(DOCS)/html
	@echo "$(DOCS)/html/index.html"

# Every command and block of tutorials and how-to guides, as a reader would type them; `make pages ONLY=tutorials` carries out some.
pages: $(VENV)/.installed
	@$(BIN)/python -m pytest -q -m page -n 2 --dist load $(if $(ONLY),-k "$(ONLY)") tests/documents tests/door/test_notebook.py

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks

bench-meta: $(VENV)/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.meta --run benchmarks/results/meta-reduced.json

interop: $(VENV)/.installed $(INTEROP)/.installed
	@$(BIN)/python -m benchmarks.interop.ours $(INTEROP)/cases.json
	@$(INTEROP)/bin/python -W ignore benchmarks/interop/reference.py $(INTEROP)/cases.json

bench-peers: $(VENV)/.installed $(PEERS)/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.peers.cases $(PEERS)/cases.json
	@OMP_NUM_THREADS=1 $(PEERS)/bin/python -W ignore -m benchmarks.peers.reference $(PEERS)/cases.json benchmarks/results/peers.json

bench-cold-peers: $(VENV)/.installed $(PEERS)/.installed
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.peers.cases $(PEERS)/cold.json --cold --first 1000 --seeds 10
	@OMP_NUM_THREADS=1 $(PEERS)/bin/python -W ignore -m benchmarks.peers.reference $(PEERS)/cold.json benchmarks/results/cold_peers.json

# learn2learn ships C sources of an older Python: Cython translates them anew where build_ext is named. torch asks for
# a newer setuptools than learn2learn can be built with, so that the older one comes last.
$(INTEROP)/.installed:
	@test -x $(INTEROP)/bin/python || $(PYTHON) -m venv $(INTEROP)
	@$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy scipy requests tqdm gym wheel "cython>=3"
	@$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "setuptools<70"
	@$(INTEROP)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --global-option=build_ext learn2learn==0.2.0
	@touch $@

$(PEERS)/.installed:
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 botorch==0.18.1 gpytorch==1.15.2 baybe==0.15.0 ax-platform==1.3.1
	@touch $@

# What judges exported RO-Crates and CSV on the Web. roc-validator wants another rich than Prefect; rocrate 0.14 carries the
# JSON-LD context of RO-Crate 1.1, so that nothing but the package index is asked.
crate: $(CRATE)/.installed

$(CRATE)/.installed: tests/crate/fill_cache.py
	@test -x $(CRATE)/bin/python || $(PYTHON) -m venv $(CRATE)
	@$(CRATE)/bin/python -m pip install --quiet --disable-pip-version-check roc-validator==0.13.0 csvw==4.1.1
	@$(CRATE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(CRATE)/rocrate rocrate==0.14.0
	@$(CRATE)/bin/python tests/crate/fill_cache.py $(CRATE)/rocrate/rocrate/data/ro-crate.jsonld $(CRATE)/http_cache
	@touch $@

# Software that nobody here wrote, each in a process and an environment of its own (some of it is GPL), which the tests of
# `tests/foreign` hold us against; lock files fix each package. Nothing of it is needed by `make test`.
foreign: $(VENV)/.installed $(NODE)/node_modules/.installed $(FOREIGN)/.installed
	@$(BIN)/python -m pytest -q -m foreign -n 2 --dist loadfile --no-loadscope-reorder tests/foreign

$(NODE)/node_modules/.installed: $(NODE)/package.json $(NODE)/package-lock.json
	@npm ci --prefix $(NODE) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

$(FOREIGN)/.installed: tests/foreign/requirements.txt
	@test -x $(FOREIGN)/bin/python || $(PYTHON) -m venv $(FOREIGN)
	@$(FOREIGN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement tests/foreign/requirements.txt
	@touch $@

lock: $(VENV)/.installed
	@$(BIN)/python -m pip freeze --all --exclude-editable | sed -E '/^pip==/d; s/\+cpu$$//' > requirements.lock

clean:
	@rm -rf $(DEMO) $(DEMO)-lnp $(DOCS) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): about two gigabytes, some minutes, once" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
