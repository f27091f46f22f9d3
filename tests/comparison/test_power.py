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


def test_a_small_pilot_is_warned_about(tmp_path, caplog):
    """The standard deviation of n normal values has the standard error σ/√(2(n − 1)): of 9, a quarter."""
    paths = [write(tmp_path / f"{n}.jsonl", rows_of(k, n=9, seed=n)) for n, k in ((0, 0.8), (1, 0.6))]
    power_tables(PowerRequest(a=paths[0], b=paths[1], by=["rouge_l", "self_bleu"]))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "has 9 examples, which show a standard deviation to about ±25 % and" in warning
    assert "needs to about ±50 %; take 30 or more." in warning
    draws = np.random.default_rng(0).normal(size=(20_000, 9))
    assert draws.std(axis=1, ddof=1).std() == pytest.approx(0.25, abs=0.01)
    caplog.clear()
    rows = [{**row, "cluster_id": str(number // 90)} for number, row in enumerate(rows_of(0.8, n=120))]
    paths = [write(tmp_path / f"c{n}.jsonl", rows) for n in (0, 1)]
    power_tables(PowerRequest(a=paths[0], b=paths[1], by=["rouge_l"]))
    assert "has 4 clusters of examples, which" in caplog.text
    caplog.clear()
    paths = [write(tmp_path / f"{n}.jsonl", rows_of(k, n=30, seed=n)) for n, k in ((0, 0.8), (1, 0.6))]
    power_tables(PowerRequest(a=paths[0], b=paths[1], by=["rouge_l"]))
    assert not caplog.text


def test_a_difference_that_does_not_vary_is_a_sentence_and_no_table(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", rows_of(0.8))
    out = tmp_path / "power.csv"
    words = ["study", "power", path, path, "by=[rouge_l,sacrebleu,self_bleu]", "margins.rouge_l=0.5", f"out={out}"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert shown.count("no table: the difference is the same on every example") == 3
    assert "or give sd.rouge_l." in shown
    assert "0.00" not in shown
    assert "nan" not in shown
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["detectable"] for row in rows} == {""}
    assert {row["examples_needed"] for row in rows} == {""}
    assert all(row["note"].startswith("the difference is the same") for row in rows)
    other = write(tmp_path / "b.jsonl", [{**row, "text": f"{row['text']} ."} for row in rows_of(0.8)])
    tables = {one.metric: one for one in power_tables(PowerRequest(a=path, b=other, by=["rouge_l", "sacrebleu"]))}
    # The one that varies is planned alone: the other is no test.
    assert [bool(tables[name].unknown) for name in ("rouge_l", "sacrebleu")] == [True, False]
    assert tables["sacrebleu"].tests == 1


def test_the_temperatures_of_the_scale_are_no_pair_of_a_pilot(tmp_path, capsys):
    words = ["task=mini_xlsum", "task.limit=4", "sampling.samples=2", "sampling.max_new_tokens=12"]
    words += ["metrics.bootstrap.resamples=20", "eda_scale.t0=[0,1]"]

    def run(name, *more):
        assert main(["run", *words, *more, f"paths.runs={tmp_path / name}"]) == 0
        capsys.readouterr()
        (path,) = (found.parent for found in (tmp_path / name).glob("*/manifest.json"))
        return path

    several = run("several", "strategy=edt", "strategy.t0=[0.7,1]", "strategy.theta=0.5")
    assert main(["study", "power", str(several), "by=[rouge_l]"]) == 0
    said = capsys.readouterr()
    assert "edt(t0=0.7,theta=0.5) − edt(t0=1,theta=0.5), 4 examples" in said.out
    assert "left out: 2 fixed temperatures that edt run decoded for EDA's scale (fixed(t0=0), fixed(t0=1))" in said.err
    # Named, one of them is a setting like others.
    assert main(["study", "power", f"{several}:edt(t0=1,theta=0.5)", f"{several}:fixed(t0=1)", "by=[rouge_l]"]) == 0
    assert "edt(t0=1,theta=0.5) − fixed(t0=1), 4 examples" in capsys.readouterr().out

    single = run("single", "strategy=edt", "strategy.t0=1", "strategy.theta=0.5")
    message = refused(capsys, "study", "power", str(single), "by=[rouge_l]")
    assert "which holds edt(t0=1,theta=0.5) and 2 fixed temperatures that edt run decoded for EDA's scale" in message
    assert "edt study power" in message
    # Asked for later, with more samples, it is no longer one that was only decoded along.
    run("single", "strategy=fixed", "strategy.t0=1", "sampling.samples=3")
    assert main(["study", "power", str(single), "by=[rouge_l]"]) == 0
    assert "edt(t0=1,theta=0.5) − fixed(t0=1)" in capsys.readouterr().out.replace(
        "fixed(t0=1) − edt(t0=1,theta=0.5)", "edt(t0=1,theta=0.5) − fixed(t0=1)"
    )
    # Asked for by the user, temperatures are all there is.
    asked = run("asked", "strategy=fixed", "strategy.t0=[0,1]")
    assert main(["study", "power", str(asked), "by=[rouge_l]"]) == 0
    assert "fixed(t0=0) − fixed(t0=1)" in capsys.readouterr().out


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
