# `make` alone says what there is. Everything runs in ./.venv, made when it is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ./retain-data
N ?= 20
MINUTES ?= 10
COUNT ?= 200
SEED ?= 1
CLUSTER ?= ./retain-cluster
PORT ?= 8081

.DEFAULT_GOAL := help
.PHONY: again bench-check bench-peers cluster faults nodes workers container-test docs hostile fuzz mutants help install serve test check format-check lint types fix coverage bench crash soak screenshots clean steps

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Make the environment in .venv, with the tools for tests

define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Retain needs Python 3.11 or newer; $(PYTHON) is older. Say make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "No virtual environment could be made; on Debian: apt install python3-venv" >&2; exit 1; }
	@for part in api bench engine journal; do test -e retain/$$part || ln -s ../$$part retain/$$part; done
endef

# What the server needs, without the tools for tests: a newcomer's first answer waits for this only.
$(VENV)/.runnable: pyproject.toml
	$(environment)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed: pyproject.toml
	$(environment)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.runnable $@

serve: $(VENV)/.runnable ## Start the server on DATA=./retain-data, at BIND=127.0.0.1:8080
	$(BIN)/retain serve --data $(DATA) $(if $(BIND),--bind $(BIND))

test: $(VENV)/.installed ## Run all tests, one process more than there are cores: many tests wait for other processes
	$(BIN)/python -m pytest -q -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --dist worksteal

again: $(VENV)/.installed ## Run the tests that failed last once more, one after the other
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

check: format-check lint types test ## What CI runs: format, lint, types, tests

format-check: $(VENV)/.installed ## Is everything formatted? (make fix does it)
	$(BIN)/ruff format --check .

lint: $(VENV)/.installed ## Look for mistakes (make fix mends what can be mended)
	$(BIN)/ruff check .

types: $(VENV)/.installed ## Check the types
	$(BIN)/mypy

fix: $(VENV)/.installed ## Format, mend what the linter can, write the generated pages
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -c 'from retain.api.config.document import page; print(page(), end="")' > docs/configuration.md

workers: $(VENV)/.installed ## All contract tests over two followers in turns and over two workers; N=20 times the kills
	RETAIN_FOLLOWERS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal tests/api/areas tests/api/settings tests/api/blobs
	RETAIN_TEST_WORKERS=2 $(BIN)/python -m pytest -q -n auto --dist worksteal tests/clients tests/api/areas/test_server.py \
		tests/api/settings/test_server.py
	RETAIN_CRASH_N=$(N) $(BIN)/python -m pytest -q -n auto tests/test_workers.py tests/engine/following

nodes: $(VENV)/.installed ## All contract and client tests with requests spread at random over three nodes; SEED=1
	RETAIN_NODES=$(SEED) $(BIN)/python -m pytest -q -n auto --dist worksteal tests/api/areas tests/api/settings tests/api/blobs
	RETAIN_NODES=$(SEED) RETAIN_TEST_NODES=3 $(BIN)/python -m pytest -q -n auto --dist worksteal tests/clients

coverage: $(VENV)/.installed ## Run all tests and show which branches none of them takes
	$(BIN)/python -m pytest -q --cov --cov-report=term-missing:skip-covered

docs: $(VENV)/.installed ## Build the documentation, which the server shows at /docs
	@$(BIN)/python -c 'import material, mkdocs_swagger_ui_tag' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/python docs/site/build.py

bench: $(VENV)/.installed ## Measure and write a report; ARGS="commit --quick" chooses
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/retain bench run $(or $(ARGS),all)
	$(BIN)/retain bench report --html bench-results/report.html

bench-peers: $(VENV)/.installed ## Install the servers that benchmarks compare with, from npm and PyPI
	npm install --no-fund --no-audit --prefix bench-peers azurite@3 s3rver@3
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' 'kinto[postgresql]'

bench-check: $(VENV)/.installed ## Fail if a request costs the processor a tenth more than it did
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/retain bench check

crash: $(VENV)/.installed ## The crash tests, N=20 times as many power cuts and faults as in make test
	RETAIN_CRASH_N=$(N) $(BIN)/python -m pytest -q -n auto --dist worksteal -o faulthandler_timeout=7200 \
		tests/journal tests/engine tests/test_crash_server.py tests/test_forgetting.py tests/api/areas/test_server.py

cluster: $(VENV)/.runnable ## Try three nodes and three PostgreSQL servers on this machine, in CLUSTER=./retain-cluster
	@$(BIN)/python -c 'import obstore, psycopg' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable '.[cluster]'
	@exec $(BIN)/python deploy/local/cluster.py --folder $(CLUSTER) --port $(PORT)

faults: $(VENV)/.installed ## Kill, pause and cut off nodes and PostgreSQL for MINUTES=10, and check every answer; ARGS="--seed 7"
	$(BIN)/python -m tests.cluster --minutes $(MINUTES) $(ARGS)

hostile: $(VENV)/.installed ## Attack a real server, an innocent client beside each attack; ARGS="resets --scale 0.1" chooses
	$(BIN)/python -m tests.hostile $(ARGS)

steps: $(VENV)/.installed ## How long the largest requests hold the event loop, in ms of the processor
	$(BIN)/python -m tests.hostile.steps $(ARGS)

fuzz: $(VENV)/.installed ## Fuzz all interfaces for MINUTES=10, then what OpenAPI describes as long again
	RETAIN_CRASH_N=$(N) $(BIN)/python -m pytest -q -n auto -o faulthandler_timeout=7200 tests/api/areas/test_fuzz.py \
		tests/api/settings/test_fuzz.py tests/api/settings/test_model.py
	$(BIN)/python -m tests.hostile.fuzz --minutes $(MINUTES) $(ARGS)
	@$(BIN)/python -c 'import schemathesis' 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[openapi]'
	$(BIN)/python -m tests.kit.described --minutes $(MINUTES)

mutants: MINUTES = 90
mutants: $(VENV)/.installed ## Change the product at random, COUNT=200 times with SEED=1: does a test notice?
	nice $(BIN)/python -m tests.mutants --count $(COUNT) --seed $(SEED) --minutes $(MINUTES) $(ARGS)

container-test: $(VENV)/.installed ## Run the Containerfile's steps in a root made by debootstrap (as root; minutes)
	RETAIN_CONTAINER_TEST=1 $(BIN)/python -m pytest -q -n 0 -o faulthandler_timeout=1800 tests/deploy

soak: $(VENV)/.installed ## All tests over and over for MINUTES=10, each round with other random numbers
	@end=$$(( $$(date +%s) + $(MINUTES) * 60 )); round=0; \
	while [ $$(date +%s) -lt $$end ]; do \
		round=$$((round + 1)); echo "round $$round"; \
		$(BIN)/python -m pytest -q -x -n auto --dist worksteal || exit 1; \
	done

screenshots: $(VENV)/.installed ## Take the pictures of README and docs anew, in Debian's Chromium
	RETAIN_SCREENSHOTS=1 $(BIN)/python -m pytest -q -n 0 tests/console -k "screenshots or pictures"

clean: ## Remove the environment and all caches (never data)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
