# `make demo` and `make test` work on a fresh clone with Python 3.11 and nothing else.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# Hundreds of short processes run in the tests; they should not each compile what the one before has compiled.
unexport PYTHONDONTWRITEBYTECODE
# torch is installed first and by pip alone, so that a pinned CPU build, where there is one, is what everything else sees.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt client/pyproject.toml | sha256sum | cut -c1-12)


.PHONY: demo test test-slow test-random check format bench chaos judge-model judge-server documents screenshots clean

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

DEFAULT := -n 2 --dist loadgroup -m "not vllm and not trainers and not parity and not ray and not slow"
SEED ?= 1

test: $(STAMP)  ## the default suite; `make test-slow` runs what it leaves out
	$(BIN)/python -m pytest $(DEFAULT)

test-random: $(STAMP)  ## the same in another order: make test-random SEED=7
	$(BIN)/python -m pytest $(DEFAULT) --random-order-bucket=global --random-order-seed=$(SEED)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and not vllm and not trainers and not parity and not ray"

check: $(STAMP)  ## everything but the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd client && ../$(BIN)/mypy --strict --config-file= -p reward_client
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generate_documents --check

bench: $(STAMP)  ## ratios against the named peers; benchmarks/ says which targets they have
	$(BIN)/python -m benchmarks.text_metrics
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.engine --profile embedded --references 8
	$(BIN)/python -m benchmarks.bertscore
	$(BIN)/python -m benchmarks.clinical
	$(BIN)/python -m benchmarks.language
	$(BIN)/python -m benchmarks.guards

chaos: $(STAMP)  ## every fault under load, at most 10 minutes; needs redis-server
	$(BIN)/python -m benchmarks.chaos

MODEL ?= random
SERVER ?= vllm

judge-model:  ## the folder of a model that can read, once: make judge-model MODEL=smollm2|qwen-coder
	testbed/vllm/make_real_model.sh $(MODEL)

judge-server:  ## a real server on port 8100: make judge-server MODEL=random|smollm2|qwen-coder [SERVER=vllm|llamacpp]
ifeq ($(SERVER),llamacpp)
	testbed/llamacpp/make_environment.sh $(MODEL)
	MODEL=$(MODEL) testbed/llamacpp/serve.sh 8100
else
	@if [ "$(MODEL)" = random ]; then testbed/vllm/make_environment.sh; else testbed/vllm/make_real_model.sh $(MODEL); fi
	MODEL=$(MODEL) testbed/vllm/serve.sh 8100
endif

format: $(STAMP)
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

documents: $(STAMP)  ## rewrite what is generated: openapi.json, the settings table and the example of the README
	$(BIN)/python -m tools.generate_documents --write

screenshots: $(STAMP)  ## the pictures of the pages in docs/pictures; needs chromium
	$(BIN)/python -m tools.take_screenshots

$(STAMP): pyproject.toml constraints.txt client/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; set PYTHON=python3 (3.11 or later)"; exit 1; }
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[bertscore,offline,evaluation,excel,otel,dev]" -e ./client
	@rm -f $(VENV)/.installed-*; touch $@

clean:
	rm -rf $(VENV) .venvs build dist *.egg-info
