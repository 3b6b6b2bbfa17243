from __future__ import annotations

import pytest

from egcfg_lsp.settings import Settings, read_settings


def test_good_options() -> None:
    options = {"model": "m.gguf", "trusted": True, "deadlineSeconds": 2, "interpreter": None}
    settings, problems = read_settings(options)
    assert settings == Settings(model="m.gguf", trusted=True, deadline_seconds=2)
    assert problems == []


@pytest.mark.parametrize(
    "options",
    [
        [], 3, "x", {"model": ""}, {"model": {}}, {"trusted": 1}, {"trusted": "true"}, {1: 2},
        {"deadlineSeconds": True}, {"deadlineSeconds": float("nan")}, {"deadlineSeconds": 0},
        {"interpreter": ["python"]}, {"Trusted": True},
    ],
)  # fmt: skip
def test_bad_options_are_reported_once_and_defaulted(options: object) -> None:
    settings, problems = read_settings(options)
    assert settings == Settings()
    assert len(problems) == 1
