# Two commands matter: `make demo` and `make test`. Each creates what it needs in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= 2

.PHONY: setup demo test pytest lint ui docs audit sbom lock screenshots structure clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; call: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || { sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/quimbi demo

ui: setup
	@$(BIN)/quimbi ui

# The checks run beside the tests, which leave a core idle while they wait for a server or a disk.
test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

# One thread of numpy, as in a run's own processes (resources/workers.py): those of several would wait for each other.
pytest: export OMP_NUM_THREADS := 1
pytest: export OPENBLAS_NUM_THREADS := 1
pytest: setup
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/mypy
	$(BIN)/dagster definitions validate -w workspace.yaml

# The site, in build/site; the tests build it too. Links to elsewhere: `make docs BUILDER=linkcheck`, with a network.
BUILDER ?= html
docs: setup
	$(BIN)/python -m sphinx -b $(BUILDER) --fail-on-warning --keep-going -q docs build/site
	@echo "build/site/index.html"

# What there is of the package beside what there may be at most.
structure: setup
	@$(BIN)/python benchmarks/structure.py

# Pictures of the Dagster and MLflow pages for docs/; needs Chromium (Debian: apt-get install chromium).
screenshots: setup
	$(BIN)/python docs/screenshots.py

# What is known to be vulnerable of what is locked; asks the network.
audit: setup
	$(BIN)/pip-audit --disable-pip --require-hashes --progress-spinner off -r requirements.lock

# Parts and their licences, in CycloneDX: build/sbom.json.
sbom: setup
	@mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-file build/sbom.json

lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .quimbi .mypy_cache .ruff_cache .pytest_cache build *.egg-info
