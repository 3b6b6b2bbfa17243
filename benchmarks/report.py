"""One run as one JSON object: the machine, the model, the versions, and each group's figures.

Holds no path and no name of the machine, so that it can be shown to anyone.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Figures, Setup
from egcfg_lsp.model.llama.hardware import physical_cores

PACKAGES = ("egcfg-lsp", "llama-cpp-python", "numpy")


def report(setup: Setup, groups: Mapping[str, Figures]) -> dict[str, object]:
    with setup.model.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": physical_cores(), "cpu": _cpu()},
        "model": {"name": setup.name, "sha256": sha256},
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "quick": setup.quick,
        "seed": setup.seed,
        "groups": {
            group: {name: figure.as_dict() for name, figure in figures.items()}
            for group, figures in groups.items()
        },
    }


def _cpu() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
