"""Arms against a control: what is counted, what is paired, and what a run is too small to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.announced import Announced, planned_tasks
from egcfg_lsp.bench.compare import NOT_RUN, ArmRow, Comparison, compare
from egcfg_lsp.bench.rates import Pairs, Rate
from egcfg_lsp.bench.task import TaskResult
from tests.bench.results import STATS, announced, arm_results, run_configuration


def compared(
    *results: Sequence[TaskResult],
    control: str | None = None,
    runs: Sequence[Announced] = (),
    **configuration: Any,
) -> Comparison:
    every = [result for group in results for result in group]
    return compare(run_configuration(**configuration), runs, every, control)


def row_of(comparison: Comparison, label: str) -> ArmRow:
    (row,) = [row for row in comparison.rows if row.label == label]
    return row


@pytest.mark.parametrize(
    ("control", "other", "pairs", "n_common", "gain", "rsr", "verdict"),
    [
        ("----++++", "++++++++", Pairs(4, 0), 8, 0.5, 1.0, "too few differ to tell"),
        ("------++", "++++++++", Pairs(6, 0), 8, 0.75, 1.0, "better"),
        ("++++++--", "--------", Pairs(0, 6), 8, -0.75, -3.0, "worse"),
        ("-------+", "++++++--", Pairs(6, 1), 8, 0.625, 5 / 7, "n too small to tell"),
        ("+-+-", "  ++", Pairs(1, 0), 2, 0.5, 1.0, "too few differ to tell"),
        ("++++", "+--+", Pairs(0, 2), 4, -0.5, None, "too few differ to tell"),
        ("??--", "+?+-", Pairs(2, 0), 4, 0.5, 0.5, "too few differ to tell"),
        ("++  ", "  ++", Pairs(0, 0), 0, 0.0, None, "too few differ to tell"),
    ],
)
def test_pairs_gain_and_rsr_are_of_the_common_tasks(
    control: str,
    other: str,
    pairs: Pairs,
    n_common: int,
    gain: float,
    rsr: float | None,
    verdict: str,
) -> None:
    comparison = compared(arm_results("sample_t0.8", other), arm_results("greedy", control))
    assert [row.label for row in comparison.rows] == ["greedy", "sample_t0.8"]
    assert comparison.rows[0].compared is None
    row = comparison.rows[1]
    assert row.passed == Rate(other.count("+"), len(other.strip()))
    assert row.n_inconclusive == other.count("?")
    assert row.compared is not None
    assert (row.compared.pairs, row.compared.n_common) == (pairs, n_common)
    assert (row.compared.gain, row.compared.rsr) == pytest.approx((gain, rsr))
    assert row.compared.verdict == verdict


def test_p_is_adjusted_for_the_number_of_comparisons() -> None:
    greedy = arm_results("greedy", "------")
    once = compared(greedy, arm_results("a", "++++++"))
    thrice = compared(
        greedy, arm_results("a", "++++++"), arm_results("b", "+-----"), arm_results("c", "------")
    )
    alone, together = row_of(once, "a").compared, row_of(thrice, "a").compared
    assert alone is not None
    assert together is not None
    assert (alone.adjusted_p, alone.verdict) == (2 / 64, "better")
    assert together.adjusted_p == pytest.approx(3 * 2 / 64)
    assert (together.pairs.verdict, together.verdict) == ("better", "n too small to tell")
    assert "3 comparisons with greedy: p is adjusted by Holm's method." in thrice.notes


@pytest.mark.parametrize(
    ("control", "other", "smallest", "note"),
    [
        ("-" * 5, "+" * 5, None, "a: 5 tasks in common with greedy can tell nothing"),
        ("-" * 60, "-" * 60, 6 / 60, "on 0 of 60 tasks; only a difference of 10.0 points or more"),
        ("-" * 20, "+" * 3 + "-" * 17, 6 / 20, "of 30.0 points or more could be told"),
        ("-" * 5 + "+" * 95, "+" * 5 + "-" * 4 + "+" * 91, 7 / 100, "it is 1.0."),
    ],
)
def test_says_what_it_cannot_tell(
    control: str, other: str, smallest: float | None, note: str
) -> None:
    comparison = compared(arm_results("greedy", control), arm_results("a", other))
    row = row_of(comparison, "a")
    assert row.compared is not None
    assert row.compared.smallest_gain == pytest.approx(smallest)
    assert note in " ".join(comparison.notes)


def test_smallest_gain_is_significant_and_what_is_below_is_not() -> None:
    n_different, n = 9, 50
    found = compared(
        arm_results("greedy", "-" * 8 + "+" + "-" * 41), arm_results("a", "+" * 8 + "-" * 42)
    )
    compared_row = row_of(found, "a").compared
    assert compared_row is not None
    assert compared_row.smallest_gain is not None
    net = round(compared_row.smallest_gain * n)
    assert Pairs((n_different + net) // 2, (n_different - net) // 2).verdict == "better"
    assert Pairs((n_different + net) // 2 - 1, (n_different - net) // 2 + 1).p > 0.05


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, "greedy_m64"),
        ("sample_t1", "sample_t1"),
        ("best-of-n", "best-of-n_ns4"),
        ("greedy", "greedy_m64"),
        ("cfg_s3_gamma=1.5", "cfg_s3_gamma=1.5"),
    ],
)
def test_control(asked: str | None, chosen: str) -> None:
    comparison = compared(*SEVERAL, control=asked)
    assert comparison.control == comparison.rows[0].label == chosen
    assert all((row.compared is None) == (row.label == chosen) for row in comparison.rows)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("verify", r"no results of verify.*best-of-n_ns4, cfg_s3_gamma=1.*greedy_m64"),
        ("sample", r"sample is several configurations: choose one of sample_t0.2, sample_t1$"),
        ("cfg", r"cfg is several configurations.*cfg_s3_gamma=1, cfg_s3_gamma=1.5"),
        ("", r"no results of "),
    ],
)
def test_control_that_is_not_one_row(asked: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        compared(*SEVERAL, control=asked)


SEVERAL = (
    arm_results("sample_t1", "+-"),
    arm_results("sample_t0.2", "+-"),
    arm_results("greedy_m64", "+-"),
    arm_results("best-of-n_ns4", "+-"),
    arm_results("cfg_s3", "++", gamma=1.0),
    arm_results("cfg_s3", "++", gamma=1.5),
)


def test_nothing_yet() -> None:
    comparison = compared(runs=[announced(2, "greedy")])
    assert (comparison.control, comparison.rows, list(comparison.failures)) == (None, (), [])
    assert comparison.notes == ("There are no results yet.",)
    with pytest.raises(BenchError, match="none yet"):
        compared(control="greedy")


def test_one_arm_without_greedy_is_the_control() -> None:
    comparison = compared(arm_results("sample_t0.8", "+-"))
    assert comparison.control == "sample_t0.8"
    assert comparison.rows[0].compared is None


def test_price() -> None:
    stats = [
        replace(STATS, duration=float(i), output_tokens=10 * i, input_tokens=100, runs=i)
        for i in range(1, 5)
    ]
    results = [
        replace(result, stats=own, first_line_seconds=None if i else 0.5, stopped_early=bool(i))
        for i, (result, own) in enumerate(zip(arm_results("a", "+--+"), stats, strict=True))
    ]
    (row,) = compared(results).rows
    assert (row.cost, row.cost_per_solved) == pytest.approx((45, 90))
    assert (row.input_tokens, row.output_tokens, row.reused_tokens, row.runs) == (100, 25, 10, 2.5)
    assert (row.median_seconds, row.p95_seconds) == pytest.approx((2.5, 3.85))
    assert (row.median_first_line_seconds, row.n_stopped_early) == (0.5, 3)
    (none_solved,) = compared(arm_results("a", "--", first_line_seconds=None)).rows
    assert none_solved.cost_per_solved is none_solved.median_first_line_seconds is None


def test_outcomes_and_what_they_are_worth() -> None:
    (row,) = compared(
        [
            *arm_results("a", "++-?", rung="verify", outcome="verified"),
            *arm_results("a", "    -", rung="draft", outcome=""),
            *arm_results("a", "     +", rung="draft", outcome="partial"),
        ]
    ).rows
    assert row.precision == Rate(2, 4)
    assert row.by_rung == {
        "draft": {"partial": Rate(1, 1), NOT_RUN: Rate(0, 1)},
        "verify": {"verified": Rate(2, 4)},
    }
    assert [list(row.by_rung), list(row.by_rung["draft"])] == [
        ["draft", "verify"], ["partial", NOT_RUN],
    ]  # fmt: skip


def test_tasks_that_are_planned_and_missing() -> None:
    runs = [announced(3, "greedy", "a"), announced(5, "greedy", "b", host="there")]
    comparison = compared(arm_results("greedy", "+ +"), arm_results("a", "+++"), runs=runs)
    assert row_of(comparison, "greedy").missing == ("HumanEval/1", "HumanEval/3", "HumanEval/4")
    assert row_of(comparison, "a").missing == ()
    notes = " ".join(comparison.notes)
    assert "greedy: planned tasks without a result yet: 3." in notes
    assert "Planned, and without any result yet: b." in notes
    assert "Made on 2 machines" in notes
    assert planned_tasks(runs)["a"] == ("HumanEval/0", "HumanEval/1", "HumanEval/2")


def test_failures_stand_in_the_order_of_rows_and_tasks() -> None:
    comparison = compared(arm_results("a", "-" * 11), arm_results("greedy", "+?"))
    assert [(one.config, one.task_id) for one in comparison.failures] == [
        ("greedy", "HumanEval/1"),
        *(("a", f"HumanEval/{i}") for i in range(11)),
    ]


def test_seeing_the_judge_is_said() -> None:
    comparison = compared(
        arm_results("greedy", "+", judging_seen=True), arm_results("a", "+", tests_seen="")
    )
    assert row_of(comparison, "greedy").n_judging_seen == 1
    notes = " ".join(comparison.notes)
    assert "Tasks on which an assert was seen that judges too: greedy 1 of 1." in notes
    assert "no tests / the docstring's examples" in notes


@pytest.mark.parametrize(
    ("model", "dataset", "rate"),
    [
        ("qwen2.5-coder-0.5b", "humaneval", 0.616),
        ("qwen2.5-coder-0.5b", "mbpp", 0.524),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "humaneval", 0.707),
        ("Qwen2.5-Coder-7B-Instruct-Q8_0.gguf", "mbpp", 0.835),
        ("qwen2.5-coder-7b-q8_0.gguf", "mbpp", None),
        ("qwen2.5-coder-0.5b", "infilling", None),
        ("another", "humaneval", None),
    ],
)
def test_published_rate(model: str, dataset: str, rate: float | None) -> None:
    of: dict[str, Any] = {"model": {"name": model, "sha256": "0"}, "dataset": dataset}
    published = compared(arm_results("greedy", "+-"), **of).published
    assert (published.rate if published else None) == rate
    assert compared(arm_results("greedy", "+-"), **of, judge_sha256="1").published is None
    assert compared(arm_results("sample", "+-"), **of).published is None


@pytest.mark.parametrize(("verdicts", "is_inside"), [("+-", True), ("-" * 40, False)])
def test_published_rate_lies_inside_the_interval_or_not(verdicts: str, is_inside: bool) -> None:
    published = compared(arm_results("greedy", verdicts), arm_results("a", "+")).published
    assert published is not None
    assert (published.label, published.is_inside) == ("greedy", is_inside)
