# Every target installs what it needs; nothing but python3 (3.11 or newer), make and the package
# index is taken for granted.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

ROUNDS ?= 20
SEED ?= 0

.PHONY: setup demo test chaos check format lock build clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml layers/core/requirements.in
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$($(PYTHON) --version) was found; 3.11 or newer is needed: make PYTHON=python3.13"; exit 1; }
	@echo "setup: installing the locked dependencies into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/forecast-sync demo

test: setup
	@echo "test: unit, contract, integration, workflow and e2e, with a real Postgres and the local cloud"
	@$(BIN)/python -m pytest

# Every fault in its long form and through PgBouncer where there is one, then rounds of random faults.
chaos: setup
	@echo "chaos: every fault in its long form, then $(ROUNDS) rounds of random ones with seed $(SEED)"
	@$(BIN)/python -m pytest -m "slow or not slow" tests/chaos tests/workflow/test_retries.py \
	  tests/workflow/test_redrive.py $(if $(shell PATH=$$PATH:/usr/sbin command -v pgbouncer),--pooled)
	@$(BIN)/python -m tests.chaos.rounds --rounds $(ROUNDS) --seed $(SEED)

check: setup
	@echo "check: format, lint, types, template"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy layers/core/forecast_sync scripts/forecast_sync_ops tests
	@$(BIN)/cfn-lint template.yaml

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock:
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra local --extra dev -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --python-version 3.13 --python-platform aarch64-manylinux2014 \
	  --generate-hashes --no-header --no-emit-index-url -o layers/core/requirements.txt layers/core/requirements.in

clean:
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis
