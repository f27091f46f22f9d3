"""The scorecard on the page: every row names its claim, and numbers are equally precise."""

import re

import pytest

from edt.statistics.margin import CANNOT_TELL, GAIN, LOSS, NO_GAIN, Decision
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED, Evidence
from edt.study.experiments.claims import CLAIMS, _difference_text, _scorecard, _summary
from edt.study.experiments.primary import evidence_name


def evidence(about, difference, lo, hi, **more):
    return Evidence(about=about, difference=difference, lo=lo, hi=hi, **more)


BY_CLAIM = {
    evidence_name("edt", "fixed", "distinct_correct"): [
        evidence("one", -4.6, -5.0, -3.98),
        evidence("two", 3.98, 3.35, 4.6),
    ],
    "token_beats_instance_by_eda": [evidence("one", -1.0, -2.0, -0.5, usable=False, why="at the boundary")],
}


def test_each_row_names_its_claim_so_that_sorting_keeps_them_together():
    table = _scorecard(BY_CLAIM)
    assert table.columns[:5] == ["the paper says", "on", "verdict", "difference", "why"]
    assert all(re.match(r"\d+\. ", row[0]) for row in table.rows)
    assert [
        row[1] for row in table.rows if row[0].startswith("1. EDT beats fixed temperature in every task on distinct")
    ] == ["overall", "one", "two"]
    assert [row[2] for row in table.rows if row[0].startswith("1. ")] == ["contradicted", "supported", "contradicted"]
    assert (
        next(
            row[4]
            for row in table.rows
            if "Token level beats instance level in every task on EDA" in row[0] and row[1] == "one"
        )
        == "at the boundary"
    )
    assert set(table.secondary) == {"figure", "experiment"}  # the difference and the reason are in sight


def test_the_note_says_that_the_verdict_of_a_single_task_is_not_corrected():
    note = _scorecard(BY_CLAIM).note
    assert (
        "the verdict on a single task, and a gain under “why”, is that of the interval alone, without a correction"
        in note
    )
    assert "may say “cannot tell” of the same task" in note


def test_differences_have_three_significant_digits():
    assert _difference_text(evidence("t", 3.98, 3.35, 4.6)) == "+3.98 [+3.35, +4.60]"
    assert _difference_text(evidence("t", -12.3456, -100.2, 0.0016)) == "-12.3 [-100, +0.00160]"


def test_the_summary_counts_the_verdicts_and_names_the_claims():
    lines = _summary(BY_CLAIM)
    assert (
        f"Contradicted: 1 of {len(CLAIMS)}. EDT beats fixed temperature in every task on distinct correct outputs (1)."
        in lines
    )
    assert any(line.startswith(f"Undetermined at this scale: 1 of {len(CLAIMS)}.") for line in lines)
    assert any(line.startswith(f"Not measured: {len(CLAIMS) - 2} of {len(CLAIMS)}.") for line in lines)
    assert not any(line.startswith("Supported") for line in lines)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(GAIN, SUPPORTED), (LOSS, CONTRADICTED), (NO_GAIN, CONTRADICTED), (CANNOT_TELL, UNDETERMINED)],
)
def test_a_margin_decides_in_place_of_the_sign_and_says_why(verdict, expected):
    # the interval is above 0 throughout, which "below 0" would contradict
    found = evidence("one", 0.4, 0.2, 0.6, decision=Decision(verdict=verdict, text=f"{verdict}, in words"))
    assert found.verdict == expected
    name = evidence_name("edt", "kld", "eda")
    (row,) = [row for row in _scorecard({name: [found]}).rows if row[1] == "one"]
    assert row[2:5] == [expected, "+0.400 [+0.200, +0.600]", f"{verdict}, in words"]
    unusable = evidence("one", 0.4, 0.2, 0.6, decision=found.decision, usable=False, why="p is too large")
    assert unusable.verdict == UNDETERMINED
