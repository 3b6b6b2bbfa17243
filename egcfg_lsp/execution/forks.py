"""What the server knows of one fork in a zygote, and how it reads what that answers; mostly pure."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass

from egcfg_lsp.execution import RunResult
from egcfg_lsp.execution.channel import Channel
from egcfg_lsp.execution.record import object_in, result_of_object

NUMBERS = itertools.count(1)
"""By which a fork is known; none is used twice."""


class ZygoteError(Exception):
    """It cannot be used, or not any more; the message is for people."""


class SlowerNeededError(Exception):
    """This way of running says nothing; the message, for people, says why."""


@dataclass
class Child:
    """Forked and confined, waiting for its order."""

    number: int
    folder: str
    channel: Channel


def new_folder(parent: str) -> str:
    """For the files of one fork."""
    return f"{parent}/{secrets.token_hex(8)}"


def result_in(record: bytes, nonce: str) -> RunResult:
    """Raises SlowerNeededError."""
    value = object_in(record)
    if value is not None and value.get("nonce") == nonce and type(value.get("slow")) is str:
        raise SlowerNeededError(value["slow"])
    return result_of_object(value, nonce)


def strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
