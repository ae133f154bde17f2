# Reproduce SAKE: one target a table. `make` lists them. PRESET=mini (default), small or paper; SEEDS=0,1,2.
# PRECISION=float32 trains in it where the preset says bfloat16: runs of their own.
# RERUN=1 trains the runs of small and paper that are not here, although their rows are committed.
# JOBS=<n> runs are made at a time, which share the cores (default: one a core, as memory allows; one on a GPU).
# DATA=<folder or file of `data pack --to`> is searched first for data sets and weights (the same as SAKEREPRO_REAL_DATA).
# PAGE_ARGS='--no-browser --port=8866' are arguments of `make page`.
# PYTHON=<interpreter> uses an environment of your own instead of .venv (for instance the one of environment.yml).

PRESET ?= mini
SEEDS ?= 0
JOBS ?=
LAB_ARGS ?=
SYSTEM_PYTHON ?= python3
# for `make all` the longest first, so that two workers end together; table1 shows the rows of systems
ITEMS := systems table3 table4 splits figure5 length forgetting table5 table2 table1 teachers images generalised cost quickdraw figure3 figure4

ifdef PYTHON
  PY := $(PYTHON)
  READY :=
  DOCS :=
else
  PY := .venv/bin/python
  READY := .venv/ready $(if $(filter small,$(PRESET)),.venv/small)
  DOCS := .venv/docs
endif

# set before any process starts: neither acts later
export PYTHONHASHSEED := 0
export CUBLAS_WORKSPACE_CONFIG := :4096:8

ifdef PRECISION
  export SAKEREPRO_PRECISION := $(PRECISION)
endif
ifdef RERUN
  export SAKEREPRO_RERUN := $(RERUN)
endif
ifdef DATA
  export SAKEREPRO_REAL_DATA := $(abspath $(DATA))
endif

# the items of mini are short: two at a time, one run each, keep two cores busier than one item with two runs
ifeq ($(PRESET),mini)
  ALL := -j$(or $(JOBS),2) JOBS=1
else
  ALL := -j1
endif

.DEFAULT_GOAL := help
.PHONY: help setup all status tables teacher model $(ITEMS) test unit replay lint bench gpu lock lab page docs clean

help: ## list the targets
	@grep -hE '^[a-z0-9%$$() -]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  %-10s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with the exact versions of constraints.txt (any other target does it too)

.venv/ready: pyproject.toml constraints.txt
	@echo "Setting up .venv (about 5 GB with PyTorch; a few minutes, once) ..."
	@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: SYSTEM_PYTHON=python3.12 make ...")'
	@test -x .venv/bin/python || $(SYSTEM_PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.venv/small .venv/docs: .venv/%: .venv/ready pyproject.toml
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

all: $(READY) ## every item, then REPRODUCING.md; a run that several items need is made once
	@$(MAKE) --no-print-directory $(ALL) $(ITEMS)
	@$(PY) -m sakerepro tables

table1: ## Table 1: SAKE, L_benchmark alone and the pretrained network; real-valued and binary
systems: ## Table 1 on equal terms: all ten systems with the same data, network and budget
table2: ## Table 2: binary codes of 32, 64 and 128 bits
table3: ## Table 3: lambda1 and lambda2
table4: ## Table 4: backbones and losses; sketches and photos as queries
table5: ## Table 5: lambda_SAKE; classes inside and outside the original domain
splits: ## section 4.2: three random splits
forgetting: ## sections 1, 3.2, 4.3: what training forgets of the original domain
figure3: ## Figure 3: the ten nearest photos
figure4: ## Figure 4: t-SNE maps of the unseen classes
figure5: ## Figure 5: SAKE's gain by similarity to the original domain
cost: ## section 1: what L_SAKE costs in training
length: ## section 1: forgetting over the epochs, on classes held out of the seen ones
quickdraw: ## not in the paper: doodles of Quick, Draw! search photos of seen and of unseen classes
generalised: ## not in the paper: all ten systems with photos of seen classes in the gallery, too
images: ## not in the paper: SAKE and L_B with a fifth, two fifths and all of the training images
teachers: ## not in the paper: SAKE with a better and a worse teacher, and with shuffled logits

$(ITEMS): $(READY)
	@$(PY) -m sakerepro item $@ --preset $(PRESET) --seeds $(SEEDS) $(if $(JOBS),--jobs $(JOBS))

teacher: $(READY) ## train anew the small teachers of mini that ship with the package
	@$(PY) -m sakerepro teacher

model: $(READY) $(if $(PYTHON),,.venv/small) ## train anew the network that ships with the package: SAKE of small, in half precision (15 minutes)
	@$(PY) -m sakerepro train --preset small
	@rm -rf build/sake-sketchy
	@$(PY) -m sakerepro export $$($(PY) -c 'import sakerepro as sr; print(sr.preset("small").id)') --half build/sake-sketchy
	@rm -rf sakerepro/models/sake-sketchy && mv build/sake-sketchy sakerepro/models

status: $(READY) ## which items are done, stale (versions, settings or notebook changed) or missing, with commit and age
	@$(PY) -m sakerepro status

tables: $(READY) ## every table, claim and REPRODUCING.md anew from the committed rows, in seconds
	@$(PY) -m sakerepro tables

test: $(if $(PYTHON),,docs) unit replay ## all tests: unit, end to end, real data if available, the pages of `docs`, and the replay of the mini notebooks

unit: $(READY) ## the tests below tests/
	@OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(or $(JOBS),2) --dist worksteal tests

replay: $(READY) ## train the mini runs afresh, execute the committed mini notebooks, compare rows and verdicts
	@$(PY) tests/replay.py --jobs $(or $(JOBS),2)

lint: $(READY) ## ruff (rules and format), mypy, and the directions of the imports
	@$(PY) -m ruff check . && $(PY) -m ruff format --check --quiet . && $(PY) -m mypy && $(PY) -c 'import importlinter.cli as c; raise SystemExit(c.lint_imports(no_cache=True))'

bench: $(READY) ## speed and memory beside other libraries (installs them): a table and a curve in results/bench/
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@$(PY) -m benchmarks

gpu: $(READY) ## on a GPU: speed of training, ranking and ITQ, then runs of small (DATA=<folder>), four minutes each
	@$(PY) -m benchmarks.gpu_bench
	@$(PY) -m benchmarks.gpu_small

lab: $(READY) ## JupyterLab on the notebooks; LAB_ARGS='--no-browser --port 9999' passes flags to it
	@$(PY) -m jupyterlab --ServerApp.root_dir=. $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS) notebooks/00_index.ipynb

page: $(READY) ## the drawing notebook as a web page, by voila (adds it to the environment)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[page]'
	@$(PY) -m voila notebooks/explore_draw_and_retrieve.ipynb $(PAGE_ARGS)

docs: $(READY) $(DOCS) ## a site of the documents, notebooks, names and commands (extra `docs`): build/docs/docs/index.html
	@$(PY) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going -c docs . build/docs
	@echo build/docs/docs/index.html

lock: ## write constraints.txt anew from the newest versions (in a fresh environment)
	rm -rf .venv-lock && $(SYSTEM_PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test,docs,onnx]'
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude-editable --exclude sakerepro > constraints.txt.tmp && mv constraints.txt.tmp constraints.txt
	rm -rf .venv-lock

clean: ## remove what can be made again (cache/), not runs and results
	rm -rf cache .pytest_cache .ruff_cache .mypy_cache
