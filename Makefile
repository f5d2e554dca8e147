# `make quickstart` and `make test` work from a clean checkout; both make the virtual environment first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test check fuzz kill docs bench gpu gpu-bundle base clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -e . -c constraints.txt
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --disable-pip-version-check -q -e ".[dev]" -c constraints.txt
	touch $@

quickstart: .venv/installed  ## the whole loop on drawn scenes: table and runs/quickstart/report.html
	$(BIN)/mixpo quickstart

test: .venv/installed-dev  ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/installed-dev  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

FUZZ_SECONDS ?= 3600
FUZZ_SEED ?= 0
fuzz: .venv/installed-dev  ## damage files of runs and inputs for an hour, one process; every command must end with a sentence
	PYTHONPATH=tests $(BIN)/python -m robustness.fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

KILL_POINTS ?= 200
kill: .venv/installed-dev  ## end the quickstart and a study at 200 points at which they write, and run them again (10 minutes)
	PYTHONPATH=tests $(BIN)/python -m robustness.kill --points $(KILL_POINTS) --seed $(FUZZ_SEED)

bench: .venv/installed-dev  ## speed and memory of a training step beside TRL (an hour, nothing else running)
	$(BIN)/pip install --disable-pip-version-check -q -e ".[bench]" -c constraints.txt
	$(BIN)/python benchmarks/train_step.py
	$(BIN)/python benchmarks/memory.py --flat 10000
	$(BIN)/python benchmarks/plan.py
	$(BIN)/python benchmarks/scaling.py

gpu: .venv/installed-dev  ## on a real GPU: exactness, first losses, sampling, speed and memory beside TRL (8 minutes)
	$(BIN)/pip install --disable-pip-version-check -q -e ".[bench]" -c constraints.txt
	$(BIN)/python benchmarks/gpu.py

# What a machine with a GPU and without network may lack or have too old; `python benchmarks/gpu.py --wheels wheels` there.
GPU_PYTHON ?= 3.12
GPU_WHEELS ?= transformers tokenizers safetensors pydantic pydantic_core annotated-types typing-inspection \
	typing_extensions trl==1.16.0 datasets dill multiprocess
gpu-bundle:  ## wheels/, to be copied beside the checkout (20 MB)
	$(PYTHON) -m pip download --disable-pip-version-check -q --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) \
		$(addprefix --platform manylinux,_2_28_x86_64 _2_17_x86_64 2014_x86_64) -c constraints.txt -d wheels $(GPU_WHEELS)

docs: .venv/installed-dev  ## the documentation as a site, in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

base: .venv/installed  ## create the base model that ships with the package anew (about an hour on 2 cores)
	$(BIN)/mixpo run recipes/base.yaml
	rm -rf src/mixpo/base
	cp -r runs/base/checkpoints/text/model src/mixpo/base

clean:
	rm -rf .venv runs site
