# Two commands, each from nothing: `make demo` and `make test`.
# The environment in .venv is made by the first one, from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help demo test lock clean

help:
	@echo "make demo   simulate a scan, find its pits, write a report into demo/ (made anew)"
	@echo "make test   check format, lint, types, layers, and run all tests"

demo: .venv/.ready
	@rm -rf demo
	@$(BIN)/etchscope demo demo

# Two test processes on two cores: threads of PyTorch that wait for each other would take most of the time.
test: export OMP_NUM_THREADS = 1
# Each process would compile every module anew if the environment forbade it to keep them.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The stamps are written last, so that an interrupted install starts afresh.
.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    "Etchscope needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] \
	    + "; choose one: make PYTHON=python3.12 ...")'
	@echo "Making the environment .venv; this takes a minute or two, once."
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --requirement requirements.lock
	@touch $@

.venv/.ready: .venv/.locked pyproject.toml
	@$(PIP) install --no-deps --editable .
	@touch $@

# Needs pip-tools beside $(PYTHON).
COMPILE := CUSTOM_COMPILE_COMMAND="pip install pip-tools && make lock [UPGRADE=--upgrade]" \
    $(PYTHON) -m piptools compile --quiet --strip-extras \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(UPGRADE)
lock:
	$(COMPILE) --extra all --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra all --extra bench --constraint requirements.lock \
	    --output-file requirements-bench.lock pyproject.toml
	# The build without a GPU is a local one, which not every index has.
	sed -i 's/^\(torch==[0-9.]*\)+cpu$$/\1/' requirements.lock requirements-bench.lock

clean:
	rm -rf .venv
