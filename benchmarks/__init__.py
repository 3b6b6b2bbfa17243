"""What the hot paths cost, as figures with an aim: `python -m benchmarks`, explained in `README.md`.

A ratio is taken from rounds of both sides in turn, in one process, so that a busy machine slows
both; times in milliseconds are for information. Does not say whether suggestions are good.
"""

from __future__ import annotations

import os

from egcfg_lsp.model.llama.client import QUIET_WAITING

# As in the worker; libgomp reads it when llama_cpp is imported, which the modules of this package do.
for _name, _value in QUIET_WAITING.items():
    os.environ.setdefault(_name, _value)
