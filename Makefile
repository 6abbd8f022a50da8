# `make demo` and `make test` set themselves up: a fresh machine needs python3 (3.11+), its venv module and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTOS := $(shell find proto -name '*.proto')

.PHONY: demo install test check lint types compiled tools bench test-long reliability proto docs clean

demo: $(STAMP)
	$(BIN)/yidao demo

# The command `yidao` with everything that it needs, in .venv.
install: $(STAMP)

# Lint, types and import contracts, then every test that is not a long campaign.
test: $(STAMP)
	$(MAKE) --no-print-directory --jobs=2 types lint compiled tools
	$(BIN)/pytest -n 3 --dist worksteal --durations=30 -m "not long"

check: lint types

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

# Tests start hundreds of processes; each would compile all modules again where Python is told
# to write no bytecode. Likewise each process of the tests would make ready all their files;
# what is wrong with one of those is told by the tests themselves.
compiled: $(STAMP)
	$(BIN)/python -m compileall -q proto node sync catalog migrations
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --collect-only -qq -m "not long" >/dev/null || true

tools:
	.ci/tools

# `make bench ROWS=live` measures the rows whose test or file has that in its name.
bench: $(STAMP)
	$(BIN)/pytest tests/bench -o python_files='bench_*.py' -p no:xdist -q $(if $(ROWS),-k "$(ROWS)")

test-long: $(STAMP)
	$(BIN)/pytest -m long

# What the fault campaigns have counted, into docs/reliability.md.
reliability: $(STAMP)
	$(BIN)/python -m tests.faults.page

proto: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
		--python_out=proto --mypy_out=quiet:proto --grpc_python_out=proto --mypy_grpc_out=quiet:proto $(PROTOS)

# The reference pages that are made from the code.
docs: $(STAMP)
	$(BIN)/python -m yidao.node.reference docs

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
