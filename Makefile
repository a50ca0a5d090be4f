# Two commands: `make demo` shows the whole program at work, `make test` checks it.
VENV ?= .venv
PYTHON ?= python3
DEMO ?= demo
BIN = $(VENV)/bin

.PHONY: demo test lint unit docs install clean dist dist-test image-test image-clean slurm-test

demo: $(VENV)/.installed
	$(BIN)/mri2qmap-tools demo $(DEMO)

test: lint unit

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p benchmarks
	$(BIN)/lint-imports

unit: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# The documentation, as HTML below site/.
docs: $(VENV)/.installed-test
	$(BIN)/mkdocs build --strict

install: $(VENV)/.installed

# torch comes first and pinned: anything unpinned may replace it by another build.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): downloads PyTorch and other packages, several gigabytes with CUDA."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[test]"
	touch $@

dist: $(VENV)/.installed-test
	rm -rf dist
	$(BIN)/python -m build

# The wheel in an empty environment, and the demo from there, away from this folder.
dist-test: dist
	rm -rf build/empty
	$(PYTHON) -m venv build/empty/venv
	build/empty/venv/bin/python -m pip install -q -c constraints.txt torch
	build/empty/venv/bin/python -m pip install -q -c constraints.txt dist/*.whl
	cd build/empty && env -u PYTHONPATH venv/bin/mri2qmap-tools demo demo

# The container image, built and run for real; says why where it cannot be.
image-test: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/system/test_image.py

# A Slurm of one node, started for real; says why where it cannot be.
slurm-test: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/system/test_cluster.py

image-clean:
	$(BIN)/python tests/helpers/image.py

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
