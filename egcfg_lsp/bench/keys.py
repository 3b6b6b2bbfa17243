"""How a person types lines into an editor: key by key, with the indentation that the editor gives.

The editor indents behind a colon or an open bracket, goes back behind a statement that leaves the
block, and empties a line of white space that is left. Does not cover closing brackets by itself,
moving the cursor, or mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

INDENT = 4
_LEAVES = re.compile(r"\s*(return|raise|break|continue|pass)\b")


def typed_texts(above: str, body: str) -> Iterator[str]:
    """What has been typed behind `above` after each key; the last text is the body.

    `above` ends with a whole line, without its line end; the first key is Enter.
    """
    typed = ""
    for line in body.split("\n"):
        indent = auto_indent((above + typed).rpartition("\n")[2])
        typed = _without_white_line(typed) + "\n"
        yield typed + " " * indent
        if not line.strip():
            typed += " " * indent
            continue
        wanted = len(line) - len(line.lstrip(" "))
        while indent != wanted:
            indent = (
                min(wanted, indent + INDENT) if indent < wanted else max(wanted, indent - INDENT)
            )
            yield typed + " " * indent
        for end in range(wanted + 1, len(line) + 1):
            yield typed + line[:end]
        typed += line


def auto_indent(line: str) -> int:
    """The columns that an editor gives the line below."""
    code = line.partition(" #")[0].rstrip()
    indent = len(line) - len(line.lstrip(" "))
    if code.endswith((":", "(", "[", "{")):
        return indent + INDENT
    return max(0, indent - INDENT) if _LEAVES.match(code) else indent


def _without_white_line(typed: str) -> str:
    head, _, last = typed.rpartition("\n")
    return typed if last.strip() else f"{head}\n" if typed else ""
