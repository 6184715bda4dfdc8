# make demo    segment a small synthetic brain and look at the result
# make test    run the tests
# make gpu-tests    what needs an NVIDIA GPU: its tests, then its benchmark
# All make .venv/ first; nothing else needs to be prepared but Python 3.11+ and make.
# For GPUs with a Python that has torch already: make gpu-tests GPU_PYTHON=python3

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test gpu-tests lint clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "blockseg needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev,cpu]'
	touch $(READY)

demo: $(READY)
	$(BIN)/python demo.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

gpu-tests: $(if $(GPU_PYTHON),,$(READY))
	$(or $(GPU_PYTHON),$(BIN)/python) -m pytest -m gpu -p no:xdist
	$(or $(GPU_PYTHON),$(BIN)/python) benchmarks/bench_gpu.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo build dist *.egg-info
