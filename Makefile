# The commands of this repository; `make` alone lists them. Environments are made on first use, inside the checkout,
# and made again when the files that they come from change.

PYTHON ?= python3
VENV ?= .venv
OUT ?= outputs/tabletop

BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
NEWTON := .venv-newton
PHYSX := .venv-physx
CONVERTER := .venv-convert
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
NATIVE := CMakeLists.txt $(wildcard scene3d/render/csrc/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Start here
.PHONY: demo
demo: $(STAMPS)/scene3d ## photos become bodies, a can is pushed into a mug in 16 futures, the scene is exported and proven
	$(BIN)/scene3d reconstruct assets/tabletop --out $(OUT) --overwrite
	$(BIN)/scene3d edit $(OUT) --material mug=stoneware --material can=aluminium-can-full --material box=cardboard-box
	$(BIN)/scene3d export $(OUT) $(OUT).usdz --overwrite
	$(BIN)/scene3d verify $(OUT)
	$(BIN)/scene3d simulate $(OUT) --push can,1.5,-5,0,0.12 --samples 16
	@printf '  Look at it:  \033[1;36m%s\033[0m\n\n' '$(BIN)/scene3d view $(OUT)'

.PHONY: install
install: $(STAMPS)/scene3d ## only the environment: .venv with the scene3d command

##@ Develop
.PHONY: test
test: $(STAMPS)/dev ## ruff, pyright and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest

.PHONY: format
format: $(STAMPS)/dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: wheel
wheel: $(STAMPS)/dev ## source distribution and wheel in dist/
	$(BIN)/python -m build --no-isolation --outdir dist

##@ Measure
.PHONY: numbers
numbers: $(STAMPS)/dev ## every figure of the README (an hour; a second call goes on where the first stopped)
	$(BIN)/python tests/benchmarks/make_numbers.py

.PHONY: engines
engines: $(STAMPS)/newton $(STAMPS)/physx ## .venv-newton and .venv-physx (NVIDIA's licence), in which `scene3d verify` proves exports

.PHONY: converter
converter: $(STAMPS)/converter ## .venv-convert with usd-convert-gsplat, whose stages are imported and whose speed is compared

.PHONY: capture
capture: $(STAMPS)/generate ## make assets/tabletop with Mitsuba (12 s a view; views that are there are kept)
	$(BIN)/python assets/tabletop/generate.py --out assets/tabletop

##@ Tidy
.PHONY: clean
clean: ## remove build products, caches and outputs; environments stay
	rm -rf build dist outputs *.egg-info .pytest_cache .ruff_cache .hypothesis .syrupy_cache
	find scene3d dynamics sim_bridge tests assets -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## and the environments
	rm -rf $(VENV) $(NEWTON) $(PHYSX) $(CONVERTER)

.PHONY: help
help:
	@printf '\n  \033[1mscene3d\033[0m  photos of a table in, a world of Gaussian splats out\n'
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n  \033[2m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z]+:.*## / {printf "    \033[36mmake %-10s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\n  PYTHON=python3.12 picks the interpreter, OUT=folder the place of the demo scene.\n\n'

# torch comes first and alone, so that no later resolution can choose another. The build tools are installed rather
# than fetched into an isolated build, which keeps them pinned and lets a changed kernel rebuild in seconds.
$(STAMPS)/base: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "scene3d needs Python 3.11 or newer; PYTHON=... names one."; exit 1; }
	@command -v $${CXX:-c++} > /dev/null || { echo "scene3d needs a C++ compiler, e.g. the package g++."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0 -c constraints.txt
	$(PIP) -c constraints.txt scikit-build-core nanobind cmake ninja
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/scene3d: $(STAMPS)/base pyproject.toml $(NATIVE)
	$(PIP) -c constraints.txt --no-build-isolation -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/base pyproject.toml $(NATIVE)
	$(PIP) -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@ $(STAMPS)/scene3d

$(STAMPS)/generate: $(STAMPS)/base pyproject.toml $(NATIVE)
	$(PIP) -c constraints.txt --no-build-isolation -e '.[generate]'
	@touch $@ $(STAMPS)/scene3d

$(STAMPS)/newton: constraints-newton.txt
	test -x $(NEWTON)/bin/python || $(PYTHON) -m venv $(NEWTON)
	$(NEWTON)/bin/python -m pip install --quiet --disable-pip-version-check -c $< \
	  'newton[sim]' usd-core newton-usd-schemas scipy pillow
	@mkdir -p $(STAMPS) && touch $@

# PhysX comes under NVIDIA's own licence, so it is in no extra of ours and is fetched only when somebody asks for it.
$(STAMPS)/physx: constraints-physx.txt
	@echo "ovphysx is proprietary: NVIDIA's licence at https://pypi.org/project/ovphysx applies to .venv-physx (1.1 GB)."
	test -x $(PHYSX)/bin/python || $(PYTHON) -m venv $(PHYSX)
	$(PHYSX)/bin/python -m pip install --quiet --disable-pip-version-check -c $< \
	  ovphysx physx-usd-schemas newton-usd-schemas
	@mkdir -p $(STAMPS) && touch $@

# It wants one version of numpy, so it has an environment of its own; the OpenUSD libraries are borrowed from ours.
$(STAMPS)/converter: Makefile
	test -x $(CONVERTER)/bin/python || $(PYTHON) -m venv $(CONVERTER)
	$(CONVERTER)/bin/python -m pip install --quiet --disable-pip-version-check usd-convert-gsplat==0.1.15
	@mkdir -p $(STAMPS) && touch $@
