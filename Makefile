# The project's commands. `make` alone prints them.
#
# Everything is installed below this folder: the runner into .venv, each lane of the tests into .nox.

PYTHON ?= python3
VENV := .venv
NOX := $(VENV)/bin/nox --non-interactive

.DEFAULT_GOAL := help
.PHONY: help demo test prove lint docs bench frontend clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 before or after the target chooses another Python than python3."

demo: ## Install, fill and run the sample site; DB=postgresql, djongo or mongodb for another database
	@$(PYTHON) -m sampleproject.demo

test: $(VENV)/ready ## Run all tests in every lane that this machine's Pythons allow
	@rm -rf .nox/run
	@$(NOX) --tags tests; broken=$$?; $(VENV)/bin/python -m tests.lanes && exit $$broken

prove: $(VENV)/ready ## Run the property tests with many more examples
	@$(NOX) --sessions prove

lint: $(VENV)/ready ## Run ruff, mypy --strict and import-linter
	@$(NOX) --sessions lint

docs: $(VENV)/ready ## Build the documentation into docs/_build/html
	@$(NOX) --sessions docs

bench: $(VENV)/ready ## Run the benchmarks
	@$(NOX) --sessions bench

frontend: ## Build the browser's files from frontend/ (needs Node 20)
	cd frontend && npm ci --no-audit --no-fund && npm run build

clean: ## Remove everything that these commands have made
	rm -rf $(VENV) $(VENV)-djongo $(VENV)-mongodb .nox build dist docs/_build *.egg-info frontend/node_modules
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The runner, beside what the demo has installed there. Each lane installs perfsuite into an environment of its own.
$(VENV)/ready: Makefile
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) here; install Python 3.11 or newer, or type: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than 3.11; type: make PYTHON=/path/to/a/newer/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make environments; type: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "nox>=2026.10.20"
	@touch $@
