# Two commands on a fresh machine: `make dev` and `make test`. Both install what they need into .venv.

PYTHON ?= python3
# As pip does: behind a company's proxy its certificates are in the system's store.
export UV_SYSTEM_CERTS ?= 1
VENV := .venv
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help dev test test-deep chaos bench check docs lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

dev: $(VENV)/dev ## run the whole platform with a demo tenant and real data
	@$(VENV)/bin/rustok dev

test: check ## lint, types, import contracts and every fast test
	$(RUN) pytest -m "not deep" $(ARGS)

test-deep: $(VENV)/dev ## the tests that take minutes
	$(RUN) pytest -m deep --hypothesis-seed=20260203 $(ARGS)

chaos: $(VENV)/dev ## kill, cut and stop real processes and servers for hours, and write chaos-report.json
	$(RUN) tests.chaos $(ARGS)

bench: $(VENV)/bench ## measure, and print a table of ratios
	$(RUN) tests.bench $(ARGS)

check: $(VENV)/dev ## lint, format, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(VENV)/dev ## write the reference pages from the code
	$(RUN) tests.reference

lock: $(VENV)/uv ## pin every dependency by hash, without addresses
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --extra embedded pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --extra client --extra embedded --group dev pyproject.toml -o requirements-dev.lock
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --constraints requirements-dev.lock --group bench -o requirements-bench.lock
	echo uv | $(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements-uv.lock

$(VENV)/uv: requirements-uv.lock
	@echo "Installing what requirements-dev.lock pins into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Install Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/dev: $(VENV)/uv requirements-dev.lock pyproject.toml
	@$(UV) pip sync -q --require-hashes --python $(VENV)/bin/python requirements-dev.lock
	@$(UV) pip install -q --python $(VENV)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/bench: $(VENV)/dev requirements-bench.lock
	@$(UV) pip install -q --require-hashes --python $(VENV)/bin/python -r requirements-bench.lock
	@touch $@
