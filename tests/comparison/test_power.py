"""`edt study power`: examples and samples by hand, from given deviations and from pilots."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from edt.cli import main
from edt.comparison.pilot import PowerRequest, power_tables
from edt.metrics.suite import MetricsSpec
from tests.comparison.test_compare import rows_of, write
from tests.support.command_line import refused


def given(**more):
    (table,) = power_tables(PowerRequest(sd={"rouge_l": 1.8}, margins={"rouge_l": 0.5}, tests=8, **more))
    return table


def test_given_deviations_by_hand():
    """The audit's table: 150 examples × 8, sd 1.8: 0.41 alone, 0.53 as the first of Holm's eight."""
    table = given(examples=(150, 80), samples=(8,))
    assert table.alone[150, 8] == pytest.approx(0.41, abs=0.005)
    assert table.in_family[150, 8] == pytest.approx(0.53, abs=0.005)
    assert table.in_family[80, 8] == pytest.approx(0.72, abs=0.005)
    # (2.80·1.8 / 0.5)² = 101.7
    assert table.needed[8] == (102, math.ceil((3.5756 * 1.8 / 0.5) ** 2))


def test_samples_count_only_where_the_parts_are_known():
    unsplit = given(examples=(100,), samples=(4, 8, 32))
    assert unsplit.alone[100, 4] is None
    assert unsplit.alone[100, 32] == unsplit.alone[100, 8]
    sampling = given(examples=(100,), samples=(4, 8, 32), sd_between={"rouge_l": 0.0})
    assert sampling.alone[100, 8] == pytest.approx(unsplit.alone[100, 8])
    assert sampling.alone[100, 32] == pytest.approx(sampling.alone[100, 8] / 2)
    assert sampling.needed[32][0] == math.ceil(sampling.needed[8][0] / 4)


def test_self_bleu_counts_whole_groups_of_its_k():
    request = PowerRequest(sd={"self_bleu": 4.0}, sd_between={"self_bleu": 1.0}, sd_samples=8, samples=(4, 8, 12, 16))
    (table,) = power_tables(request)
    assert [table.alone[50, samples] is None for samples in (4, 8, 12, 16)] == [True, False, True, False]
    assert table.spread.variance(16) == pytest.approx(1 + 15 / 2)


def test_a_pilot_predicts_the_error_of_a_larger_study(tmp_path):
    """From 60 × 4 to 400 × 8: the standard error of independent studies of that size."""
    rows = [rows_of(keep, n=60, samples=4, seed=seed) for keep, seed in ((0.8, 0), (0.7, 1))]
    pilot = [write(tmp_path / f"{number}.jsonl", one) for number, one in enumerate(rows)]
    request = PowerRequest(a=pilot[0], b=pilot[1], by=["rouge_l"], metrics=MetricsSpec(), examples=(200,), samples=(8,))
    (table,) = power_tables(request)
    assert "60 examples × 4 samples" in table.about
    predicted = table.alone[200, 8] / 2.80
    from edt.comparison.pairing import pair_tasks
    from edt.comparison.sources import read_source
    from edt.metrics.rouge import RougeL

    means = []
    for seed in range(10, 22):
        sides = []
        for keep, offset in ((0.8, 0), (0.7, 100)):
            path = write(tmp_path / "large.jsonl", rows_of(keep, n=200, samples=8, seed=seed + offset))
            sides.append(read_source(path, "a", None))
        (pair,) = pair_tasks(*sides, samples=None, language=None, common_only=False)
        metric = RougeL()
        means.append(np.diff([metric.statistics(one)[:, 0].mean() for one in (pair.a, pair.b)])[0])
    # Twelve repetitions know a standard deviation to about a fifth.
    assert np.std(means, ddof=1) == pytest.approx(predicted, rel=0.6)


def test_self_bleu_of_a_pilot_is_split_by_groups(tmp_path):
    paths = [write(tmp_path / f"{n}.jsonl", rows_of(k, samples=4, seed=n)) for n, k in ((0, 0.8), (1, 0.6))]
    request = {"a": paths[0], "b": paths[1], "by": ["self_bleu"], "samples": (2, 4, 6)}
    (whole,) = power_tables(PowerRequest(**request))
    assert whole.spread.sampling is None
    assert whole.alone[50, 2] is None
    (groups,) = power_tables(PowerRequest(**request, metrics=MetricsSpec(group_size=2)))
    assert groups.spread.sampling > 0
    assert groups.alone[50, 6] < groups.alone[50, 2]


def test_the_tables_are_printed_and_written(tmp_path, capsys):
    words = ["study", "power", "sd.rouge_l=1.8", "sd_between.rouge_l=0", "margins.rouge_l=0.5", "tests=8"]
    assert main([*words, "examples=[100]", f"out={tmp_path / 'p.csv'}"]) == 0
    shown = capsys.readouterr().out
    assert "0.50 / 0.64" in shown
    assert "102 / 166" in shown
    with (tmp_path / "p.csv").open() as file:
        rows = {int(row["samples"]): row for row in csv.DictReader(file)}
    assert rows[8]["examples_needed"] == "102"
    assert main([*words, f"out={tmp_path / 'p.json'}"]) == 0
    assert len(json.loads((tmp_path / "p.json").read_text())) == 24
    assert main(["study", "power", "--help"]) == 0
    assert "edt study power [A [B]]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a pilot or standard deviations, one of the two"),
        (["sd.rouge_l=0"], "sd.rouge_l is 0; it must be a number above 0"),
        (["sd.rouge_l=x"], "sd.rouge_l is 'x'; it must be a number above 0"),
        (["sd.rouge_l=1", "sd_between.rouge_l=2"], "sd_between.rouge_l is 2; it is the part of sd.rouge_l"),
        (["sd.rouge_l=1", "examples=[]"], "examples is []; it must be a list of whole numbers"),
        (["sd.rouge_l=1", "samples=[0]"], "samples is [0]; it must be a list of whole numbers"),
        (["sd.rouge_l=1", "tests=0"], "tests is 0; it must be a whole number of 1 or more"),
        (["sd.rouge_l=1", "power=1"], "power is 1; it must be a number between 0 and 1"),
        (["sd.rouge_l=1", "margins.eda=1"], "margins.eda is a margin of a metric that is not there"),
        (["sd.rouge_l=1", "out=x"], "out is 'x'; it must end in .csv or .json"),
    ],
)
def test_what_cannot_be_planned_is_refused(capsys, words, message):
    assert message in refused(capsys, "study", "power", *words)


def test_groups_larger_than_the_pilot_are_refused(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", rows_of(0.8))
    message = refused(capsys, "study", "power", path, path, "by=[self_bleu]", "metrics.group_size=8")
    assert "metrics.group_size is 8, but the pilot has 3 samples" in message
