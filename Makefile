# Two commands for everybody: `make demo` and `make test`. The others are for those who change things.
# PREBUILT=cpu|cu124|metal|… takes llama-cpp-python from its project's own wheels instead of compiling.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LLAMA_WHEELS := https://abetlen.github.io/llama-cpp-python/whl/$(PREBUILT)
LLAMA := $(shell sed -n 's/^\(llama-cpp-python==[^ ]*\).*/\1/p' requirements.lock)
EXAMPLE := examples/shop/pricing.py:8

.PHONY: demo test hostile lint bench docs test-editors screenshots lock clean

demo: $(VENV)/installed
	$(BIN)/egcfg-lsp models pull
	@echo; echo "egcfg-lsp complete $(EXAMPLE) --trust"; echo; sed '$$d' examples/shop/pricing.py
	@$(BIN)/egcfg-lsp complete $(EXAMPLE) --trust

test: $(VENV)/installed-dev
	$(BIN)/pytest

hostile: $(VENV)/installed-dev
	$(BIN)/pytest -m hostile tests/hostile

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev
	@$(BIN)/egcfg-lsp models pull >&2
	@$(BIN)/python -m benchmarks

docs: $(VENV)/installed
	$(BIN)/egcfg-lsp settings > docs/settings.md

test-editors: $(VENV)/installed-dev
	$(BIN)/egcfg-lsp models pull
	$(BIN)/pytest -m editors tests/e2e/neovim
	tests/e2e/vscode/run.sh

screenshots: $(VENV)/installed-dev
	$(BIN)/egcfg-lsp models pull
	$(BIN)/python -m tests.e2e.neovim.screenshot docs/images/neovim.png
	SCREENSHOT_DIR=docs/images tests/e2e/vscode/run.sh

lock: $(VENV)/installed-dev
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	    --custom-compile-command 'make lock' --extra sandbox pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	    --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist

$(VENV)/installed: requirements.lock pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)'
ifdef PREBUILT
	$(BIN)/pip install --only-binary llama-cpp-python --extra-index-url $(LLAMA_WHEELS) $(LLAMA)
endif
	@$(BIN)/pip show -q llama-cpp-python 2>/dev/null || \
	    echo "Installing; the first time llama.cpp is compiled, about 5 minutes on 2 cores."
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	@touch $@
