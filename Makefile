# make help lists what there is. All make .venv/ first; nothing else needs to be prepared
# but Python 3.11+ and make.
# For GPUs with a Python that has torch already: make gpu-tests GPU_PYTHON=python3

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
USER := $(VENV)/.user
READY := $(VENV)/.ready
PAGES := $(VENV)/.pages
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help setup setup-gpu-code demo test gpu-tests docs lint audit format clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(READY) ## make .venv/ with blockseg, as it is edited, and all tools

setup-gpu-code: $(READY) ## add Triton and TensorRT-RTX, for tests of GPU code without a card
	$(PIP) --editable '.[cpu,dev,dev-gpu]'

$(USER): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "blockseg needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --editable '.[cpu]'
	touch $(USER)

$(READY): $(USER)
	$(PIP) --no-compile --editable '.[cpu,dev]'
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true  # some are no Python 3
	touch $(READY)

# Python compiles the part of the packages that it imports, and keeps that.
demo: $(USER) ## segment a small synthetic brain and look at the result
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python demo.py

# In the order of folders: the long tests begin first, and both workers end together.
test: $(READY) ## run all tests that need no GPU
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

gpu-tests: $(if $(GPU_PYTHON),,$(READY)) ## what needs an NVIDIA GPU: its tests, then its benchmark
	$(or $(GPU_PYTHON),$(BIN)/python) -m pytest -m gpu -p no:xdist
	$(or $(GPU_PYTHON),$(BIN)/python) -m benchmarks.gpu.bench_gpu

$(PAGES): $(USER)
	$(PIP) --editable '.[cpu,docs]'
	touch $(PAGES)

# BLOCKSEG_REPOSITORY=https://…/blob/main links code, tests and results to a view of them.
docs: $(PAGES) ## write the site of the pages to build/docs/index.html; warnings are errors
	$(BIN)/python -m sphinx -E -n -W --keep-going -q -b html docs build/docs

lint: $(READY) ## format, rules, types and import contracts, as CI checks them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A report: without the network, or with findings, nothing fails.
audit: $(READY) ## list installed packages with known vulnerabilities; needs the network
	test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit && \
	  $(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit; } || true
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audit.txt
	$(VENV)/audit/bin/pip-audit --requirement $(VENV)/audit.txt --no-deps --disable-pip \
	  --progress-spinner off || echo "pip-audit: findings above, or it could not ask"

format: $(READY) ## format, and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv/ and what was built
	rm -rf $(VENV) demo build dist *.egg-info
