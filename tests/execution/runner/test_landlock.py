from __future__ import annotations

import pytest

from egcfg_lsp.execution.runner import landlock


@pytest.mark.parametrize(
    ("version", "n_rights", "n_bytes", "net", "scoped"),
    [
        (1, 13, 8, 0, 0),
        (2, 14, 8, 0, 0),
        (3, 15, 8, 0, 0),
        (4, 15, 16, 3, 0),
        (5, 16, 16, 3, 0),
        (6, 16, 24, 3, 3),
        (9, 16, 24, 3, 3),
    ],
)
def test_what_each_version_handles(
    version: int, n_rights: int, n_bytes: int, net: int, scoped: int
) -> None:
    data = landlock.attributes(version)
    assert len(data) == n_bytes
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, n_bytes, 8)]
    assert words == [(1 << n_rights) - 1, net, scoped][: n_bytes // 8]
