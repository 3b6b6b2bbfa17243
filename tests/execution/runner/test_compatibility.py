"""The runner is executed by the user's Python, which may be older than any that runs these tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from egcfg_lsp.execution import runner

FOLDER = Path(runner.__file__).parent


def test_runner_needs_no_more_than_python_3_9() -> None:
    command = [
        sys.executable,
        "-c",
        "import vermin; vermin.main()",
        "-t=3.9-",
        "--violations",
        "--no-tips",
        str(FOLDER),
    ]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_runner_imports_the_standard_library_and_pytest_only() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            tops = {name.partition(".")[0] for name in names}
            assert tops <= sys.stdlib_module_names | {"pytest", "_pytest"}, path
