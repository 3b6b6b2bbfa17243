#!/usr/bin/env bash
# Builds the VS Code extension and tests it in VS Code, in a headless browser.
# SCREENSHOT_DIR=…: also writes vscode.png there.
# SERVER_COMMAND=…: the language server, a JSON array; .venv/bin/egcfg-lsp of the repository if unset.
# PYTHON=…: a Python that has the server's dependencies; .venv/bin/python if unset.
set -euo pipefail

if [ -n "${SCREENSHOT_DIR:-}" ]; then
    SCREENSHOT_DIR=$(realpath -m "$SCREENSHOT_DIR")
    export SCREENSHOT_DIR
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/setup.sh"
cd "$here/../../../editors/vscode"
npm ci --ignore-scripts
npm run package
cd "$here"
# One file after the other: a workbench, a browser and a model are enough for two cores.
node --test --test-concurrency=1 --test-reporter=spec suggestion.test.mjs completion.test.mjs shown.test.mjs trace.test.mjs
