"""The scorecard on the page: every row names its claim, and numbers are equally precise."""

import re

from edt.statistics.verdicts import Evidence
from edt.study.experiments.claims import CLAIMS, _difference_text, _scorecard, _summary


def evidence(about, difference, lo, hi, **more):
    return Evidence(about=about, difference=difference, lo=lo, hi=hi, **more)


BY_CLAIM = {
    "edt_beats_fixed": [evidence("one", -4.6, -5.0, -3.98), evidence("two", 3.98, 3.35, 4.6)],
    "token_beats_instance": [evidence("one", -1.0, -2.0, -0.5, usable=False, why="at the boundary")],
}


def test_each_row_names_its_claim_so_that_sorting_keeps_them_together():
    table = _scorecard(BY_CLAIM)
    assert table.columns[:5] == ["the paper says", "on", "verdict", "difference", "no verdict because"]
    assert all(re.match(r"\d\. ", row[0]) for row in table.rows)
    assert [row[1] for row in table.rows if row[0].startswith("1. EDT beats fixed")] == ["overall", "one", "two"]
    assert [row[2] for row in table.rows if row[0].startswith("1. ")] == ["contradicted", "supported", "contradicted"]
    assert next(row[4] for row in table.rows if row[0].startswith("5. ") and row[1] == "one") == "at the boundary"
    assert set(table.secondary) == {"figure", "experiment"}  # the difference and the reason are in sight


def test_differences_have_three_significant_digits():
    assert _difference_text(evidence("t", 3.98, 3.35, 4.6)) == "+3.98 [+3.35, +4.60]"
    assert _difference_text(evidence("t", -12.3456, -100.2, 0.0016)) == "-12.3 [-100, +0.00160]"


def test_the_summary_counts_the_verdicts_and_names_the_claims():
    lines = _summary(BY_CLAIM)
    assert f"Contradicted: 1 of {len(CLAIMS)}. EDT beats fixed temperature on EDA in every task (1)." in lines
    assert any(line.startswith(f"Undetermined at this scale: 1 of {len(CLAIMS)}.") for line in lines)
    assert any(line.startswith(f"Not measured: {len(CLAIMS) - 2} of {len(CLAIMS)}.") for line in lines)
    assert not any(line.startswith("Supported") for line in lines)
