"""Which names Git ignores, the user excludes, or nobody reads because they are named like secrets.

Patterns are written by strangers: what is too much or too complicated of them excludes more than it
says, never less. Does not read files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate

from pathspec import GitIgnoreSpec, Pattern

from egcfg_lsp.completion.stamps import Stamp

MAX_PATTERNS, MAX_PATTERN_LENGTH = 2_000, 1_000
"""Of one `.gitignore` or of the user's exclusions: more of them exclude everything; characters of a
pattern: a longer one does so, too."""
MAX_WILDCARDS = 3
"""Of a pattern, the last one at its end: matching takes time to the power of those before it."""
SECRETS = (
    ".env*", "*.env", "*.env.*", ".flaskenv", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*",
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg",
    "*.pgp", "*.asc", "*.age", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc",
    "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd", ".pypirc", ".npmrc", ".s3cfg",
    ".boto", ".dockercfg", ".dockerconfigjson", ".vault-token", ".vault_pass*", "kubeconfig*",
    "*.kubeconfig", "credentials*", ".credentials*", "client_secret*", "service_account*.json",
    "service-account*.json", "secret.*", "secrets", "secrets.*", ".secret*", ".ssh", ".gnupg", ".aws",
    ".azure", ".gcloud", ".kube", ".docker",
)  # fmt: skip
"""Names of files and folders that are never read, as shells match them; case does not matter.

`credentials*` costs a suite like `credentials_test.py`, which tends to hold some."""


@dataclass(frozen=True, eq=False)
class Rules:
    """What a `.gitignore` says, over what those above it say."""

    folder: str
    spec: GitIgnoreSpec
    above: Rules | None
    stamp: Stamp | None
    """Of the file they were read from; None where it must be read again."""


def ignores(rules: Rules | None, path: str, is_folder: bool) -> bool:
    """Whether Git ignores a path, no folder above which is ignored: the nearest rule decides."""
    while rules is not None:
        relative = path[len(rules.folder) :].replace(os.sep, "/").lstrip("/")
        for pattern in reversed(rules.spec.patterns):
            if _matches(pattern, relative, is_folder):
                return bool(pattern.include)
        rules = rules.above
    return False


def _matches(pattern: Pattern, relative: str, is_folder: bool) -> bool:
    """Whether a pattern matches the path itself.

    For `pathspec` it also matches what lies below a folder that it matches, and a folder all of
    which it matches. For Git such a pattern says nothing once the folder is not ignored.
    """
    found = pattern.match_file(relative)
    if found is not None and found.match.groupdict().get(_SLASH) is None:
        return True
    found = pattern.match_file(relative + "/") if is_folder else None
    return found is not None and found.match.groupdict().get(_SLASH) is not None and (
        found.match.end(_SLASH) == len(relative) + 1
    )  # fmt: skip


def spec_of(lines: Iterable[str]) -> GitIgnoreSpec:
    """The patterns of some lines; those that are none do not count, as in Git."""
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    specs = []
    for line in lines if len(lines) <= MAX_PATTERNS else ["*"]:
        if (pattern := bounded(line)) is not None:
            with suppress(ValueError, re.error):
                specs.append(GitIgnoreSpec.from_lines([pattern]))
    return GitIgnoreSpec(
        [pattern for spec in specs for pattern in spec.patterns if pattern.include is not None]
    )


def bounded(line: str) -> str | None:
    """A pattern that excludes at least what the line's does, and is matched fast; see `MAX_WILDCARDS`.

    None for a negated one that is too complicated: it would bring back more than it says.
    """
    mark = "!" if line.startswith("!") else ""
    pattern = line.removeprefix("!")
    if len(pattern) > MAX_PATTERN_LENGTH:
        return None if mark else "*"
    kept, n_wildcards = mark, 0
    for piece in _PIECE.finditer(pattern):
        kept += "*" if piece["star"] else piece[0]
        is_leading = piece["folders"] and piece.start() == 0  # as good as absent
        n_wildcards += piece.lastgroup is not None and not is_leading
        if n_wildcards == MAX_WILDCARDS:
            rest = pattern[piece.end() :]
            is_its_end = rest.strip() in ("", "/")
            return kept + rest if is_its_end else None if mark else kept
    return kept


_SECRET = re.compile("|".join(map(translate, SECRETS)))


def is_secret(relative: str) -> bool:
    return any(map(_SECRET.match, relative.lower().split("/")))


_PIECE = re.compile(
    r"\\.|\[[!^]?\]?[^\]/]*\]|(?P<folders>(?<![^/])\*\*(?![^/]))|(?P<star>\*+)|.", re.DOTALL
)
"""Of a pattern; within a name, more stars than one are one star."""
_SLASH = "ps_d"
"""The group in a pattern's expression that is the slash behind a folder that the pattern names."""
