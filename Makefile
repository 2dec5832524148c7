PYTHON ?= python3.11
# A pip index for torch alone, for example PyTorch's CPU wheels (see README). Empty: pip's own.
TORCH_INDEX ?=
PY := .venv/bin/python
RUN_READY := .venv/run-ready
DEV_READY := .venv/dev-ready
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup run test e2e test-slow check bench bench-peers ladder starter gpu-classic format clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(RUN_READY) ## Make .venv with what the product needs; nothing happens when nothing changed

$(RUN_READY): requirements.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --disable-pip-version-check -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt
	touch $@

$(DEV_READY): $(RUN_READY) requirements-dev.txt
	$(PY) -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@

run: $(RUN_READY) ## Open the app in the browser, on this machine only
	$(PY) -m streamlit run dashboard/server.py

test: $(DEV_READY) check ## Lint, types and all tests that take minutes at most
	$(PY) -m pytest -n 2

e2e: $(DEV_READY) ## Drive the app in a real browser (needs Chromium installed)
	$(PY) -m pytest -m browser tests/browser -n 0

test-slow: $(DEV_READY) ## The tests that take long
	$(PY) -m pytest -n 2 -m slow --timeout 3600

check: $(DEV_READY) ## ruff, format and mypy, no tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: $(DEV_READY) ## Compare with scikit-learn, fastText and padded LSTM loops on the real data; score and kill a million rows
	$(PY) -m tests.benchmarks.peers --steps
	$(PY) -m tests.benchmarks.bulk

bench-peers: $(DEV_READY) ## The fast preset against scikit-learn and fastText; MODELS=RUN adds trained models
	$(PY) -m tests.benchmarks.peers $(MODELS)

ladder: $(RUN_READY) ## Train the presets with several seeds and print what each costs and brings; PRESETS=a,b SEEDS=n choose
	$(PY) -m core.model_ladder $(if $(PRESETS),--presets $(PRESETS)) $(if $(SEEDS),--seeds $(SEEDS))

starter: $(RUN_READY) ## Rebuild the shipped model and its card from the real data
	$(PY) -m core.starter.build distilled

gpu-classic: ## Train the script's network with any Python that has torch; set PY to choose it
	$(if $(wildcard $(PY)),$(PY),$(PYTHON)) -m core.training.gpu_classic

format: $(DEV_READY) ## Format the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## Remove the environment and all caches; the workspace stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
