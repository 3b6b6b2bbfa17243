"""Our own Python confines itself, then becomes the project's: before that nothing of a workspace is
executed, nor does a variable of the user's reach a process.

On standard input the length of an order (8 digits) and the order; what follows is for the program
that it becomes. Does not know what that program is.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from .confinement import ConfinementError, confine

FAILED = 125
"""Exit status of a launch that has executed nothing; the last line of standard error says why."""


def main() -> None:
    order: dict[str, Any] = json.loads(read_exactly(int(read_exactly(8))))
    try:
        confine(order["confinement"], order["descriptors"])
        os.chdir(order["folder"])
        os.execve(order["command"][0], order["command"], order["environment"])
    except ConfinementError as error:
        sys.stderr.write("%s\n" % error)
    except OSError as error:
        sys.stderr.write("not run: %s could not be started (%s)\n" % (order["command"][0], error))
    sys.stderr.flush()
    os._exit(FAILED)


def read_exactly(n_bytes: int) -> bytes:
    """From standard input, and not a byte more. Raises EOFError."""
    parts = bytearray()
    while len(parts) < n_bytes:
        part = os.read(0, n_bytes - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
