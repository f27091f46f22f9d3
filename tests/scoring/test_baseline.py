"""Paired differences to a baseline: their values, their intervals, how the baseline is chosen, and where they show."""

import csv

import numpy as np
import pytest

import edt
from edt.cli import main
from edt.errors import ConfigError
from edt.metrics.suite import MetricsSpec
from edt.scoring.baseline import as_scored, check_baseline
from edt.scoring.score import score_runs
from edt.store.parts import read_scores
from edt.strategies import EDT, Fixed
from tests.support.command_line import refused
from tests.support.small_runs import run_of

STRATEGIES = [Fixed(t0=0), Fixed(t0=1), EDT(t0=1, theta=1)]


@pytest.fixture
def real_text(monkeypatch):
    """A random model translates nothing, so quality would be 0: put words into its mouth."""
    from edt.decoding import row_records

    monkeypatch.setattr(row_records, "cut_at_stop", lambda text, stops: f"第{len(text) % 12}句话,的确。")


def scores_of(run, baseline=None):
    scores = score_runs([run], MetricsSpec(), samples=None, baseline=baseline)
    return {(s.split, s.strategy_id, s.metric): s for s in scores}


def test_a_difference_is_that_of_the_values_and_its_interval_that_of_compare(ask, real_text):
    run = run_of(ask(STRATEGIES))
    scores = scores_of(run, baseline="fixed(t0=1)")
    one, base = scores["test", "edt(t0=1,theta=1)", "eda"], scores["test", "fixed(t0=1)", "eda"]
    assert (one.baseline, one.baseline_origin) == ("fixed(t0=1)", "as set by baseline")
    assert one.difference == pytest.approx(one.value - base.value, abs=1e-12)
    assert (base.difference, base.difference_lo, base.difference_hi) == (0, None, None)

    # The same comparison by the Python interface, which has its own path to the resamples.
    compared = edt.compare(edt.read_samples(run.folder), baseline="fixed(t0=1)", quality="sacrebleu", language="zh")
    rows = compared[compared["strategy"] != "fixed(t0=1)"]
    with_interval = 0
    for row in rows.to_dict("records"):
        own = scores.get(("test", row["strategy"], row["metric"]))
        # The frame has an EDA of another scale, and NaN where a record has None.
        if own is None or row["metric"] == "eda":
            continue
        bounds = [np.nan if bound is None else bound for bound in (own.difference_lo, own.difference_hi)]
        assert [own.difference, *bounds] == pytest.approx([row["difference"], row["lo"], row["hi"]], nan_ok=True)
        with_interval += own.difference_lo is not None
    assert with_interval


def test_the_best_fixed_temperature_of_the_split_is_chosen_by_eda_and_called_optimistic(ask, real_text):
    scores = scores_of(run_of(ask(STRATEGIES)))
    eda = {name: scores["test", name, "eda"].value for name in ("fixed(t0=0)", "fixed(t0=1)")}
    (baseline,) = {s.baseline for s in scores.values()} - {""}
    assert baseline == min(eda, key=eda.get)
    origin = scores["test", "edt(t0=1,theta=1)", "eda"].baseline_origin
    assert "the best of 2 fixed temperatures by EDA" in origin
    assert "optimistic" in origin


def test_with_dev_the_choice_is_made_there(ask, real_text):
    scores = scores_of(run_of(ask(STRATEGIES, splits=("dev", "test"))))
    eda = {name: scores["dev", name, "eda"].value for name in ("fixed(t0=0)", "fixed(t0=1)")}
    on_test = scores["test", "edt(t0=1,theta=1)", "eda"]
    assert on_test.baseline == min(eda, key=eda.get)
    assert on_test.baseline_origin.endswith("chosen on dev")
    assert "optimistic" in scores["dev", "edt(t0=1,theta=1)", "eda"].baseline_origin


def test_without_eda_the_best_quality_decides(ask, real_text):
    scores = scores_of(run_of(ask(STRATEGIES, samples=1)))
    quality = {name: scores["test", name, "sacrebleu"].value for name in ("fixed(t0=0)", "fixed(t0=1)")}
    one = scores["test", "edt(t0=1,theta=1)", "sacrebleu"]
    assert one.baseline == max(quality, key=quality.get)
    assert "by quality" in one.baseline_origin
    assert scores["test", "edt(t0=1,theta=1)", "eda"].difference is None


@pytest.mark.parametrize("strategies", [[EDT(t0=1, theta=1)], STRATEGIES])
def test_none_and_a_run_without_fixed_temperatures_have_no_differences(ask, strategies):
    options = {"baseline": "none"} if len(strategies) > 1 else {}
    assert {(s.baseline, s.difference) for s in scores_of(run_of(ask(strategies)), **options).values()} == {("", None)}


def test_scores_keep_their_differences_on_disk(ask, real_text):
    run = run_of(ask(STRATEGIES))
    scores = score_runs([run], MetricsSpec(), samples=None, baseline=None)
    assert read_scores(run) == scores
    frame = edt.read_scores(run.folder)
    assert {"baseline", "difference", "difference_lo", "difference_hi"} <= set(frame.columns)
    assert np.isclose(frame.loc[frame["strategy"] == frame["baseline"], "difference"], 0).all()


def test_an_unknown_baseline_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"did you mean 'fixed\(t0=0.7\)'.*quotes"):
        check_baseline("fixed(t0=0.75)", ["fixed(t0=0.7)"])
    for known in (None, "none", "best_fixed", "edt(t0=1,theta=1)"):
        check_baseline(known, ["edt(t0=1,theta=1)"])


def test_stored_scores_show_another_baseline_only_after_scoring(ask, real_text):
    scores = score_runs([run_of(ask(STRATEGIES))], MetricsSpec(), samples=None, baseline="fixed(t0=0)")
    assert as_scored(scores, None) == as_scored(scores, "fixed(t0=0)") == scores
    assert not any(score.baseline for score in as_scored(scores, "none"))
    with pytest.raises(ConfigError, match=r"edt score 'baseline=fixed\(t0=1\)'"):
        as_scored(scores, "fixed(t0=1)")


def test_a_baseline_that_only_an_unfinished_run_plans_is_refused_and_one_that_some_runs_lack_is_noted(
    ask, real_text, caplog
):
    whole, planned = run_of(ask(STRATEGIES[:2])), run_of(ask([*STRATEGIES, Fixed(t0=0.3)], seed=1))
    third = run_of(ask(STRATEGIES, seed=2))
    # As after an interruption: the manifest plans what no part holds.
    for part in planned.parts():
        part.unlink()
    for baseline in ("fixed(t0=0.3)", "edt(t0=1,theta=1)"):
        with pytest.raises(ConfigError, match=r"one of: best_fixed, none, fixed\(t0=0\), fixed\(t0=1\)\."):
            score_runs([whole, planned], MetricsSpec(), samples=None, baseline=baseline)

    scores = score_runs([whole, third], MetricsSpec(), samples=None, baseline="edt(t0=1,theta=1)")
    assert {s.generation_id: s.baseline for s in scores} == {
        whole.generation_id: "", third.generation_id: "edt(t0=1,theta=1)",
    }  # fmt: skip
    assert f"{whole.folder}): no differences to edt(t0=1,theta=1), which the run does not hold" in caplog.text

    # The same of stored scores: what has another baseline has no difference to this one.
    mixed = [*scores_of(whole, "fixed(t0=0)").values(), *scores_of(third, "fixed(t0=1)").values()]
    shown = as_scored(mixed, "fixed(t0=1)")
    assert {s.baseline for s in shown if s.generation_id == whole.generation_id} == {""}
    assert {s.baseline for s in shown if s.generation_id == third.generation_id} == {"fixed(t0=1)"}
    assert "another baseline than fixed(t0=1): fixed(t0=0)" in caplog.text


def test_the_baseline_on_the_command_line(capsys, tmp_path):
    words = ["task=mini_xlsum", "task.limit=3", "sampling.samples=2", "sampling.max_new_tokens=6"]
    words += [f"paths.runs={tmp_path}", "metrics.bootstrap.resamples=20"]
    assert main(["run", *words, "strategy=edt", "eda_scale.t0=[0,1]", "baseline=fixed(t0=0.7)"]) == 0
    shown = capsys.readouterr().out
    assert "Δ is the difference to fixed(t0=0.7) (as set by baseline)" in shown
    assert "not adjusted for the number of comparisons" in shown
    (line,) = [line for line in shown.splitlines() if " fixed(t0=0.7)  " in line]
    assert line.count("baseline") == 2

    (table,) = (tmp_path / "studies").glob("*/table.csv")
    rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["metric"] == "eda"]
    by_family = {row["family"]: row for row in rows}
    edt_row = by_family["edt"]
    assert (edt_row["baseline"], by_family["grammar"]["baseline"]) == ("fixed(t0=0.7)", "")
    greedy = next(row for row in rows if row["strategy_id"] == "fixed(t0=0)")
    assert float(greedy["difference_lo"]) <= float(greedy["difference"]) <= float(greedy["difference_hi"])
    assert "Δ EDA ↓" in table.with_name("table.md").read_text()
    assert "delta_eda" in table.with_name("report.html").read_text()

    runs = f"runs={tmp_path}"
    assert main(["report", runs, "baseline=none"]) == 0
    assert "Δ" not in capsys.readouterr().out
    assert main(["score", runs, "baseline=edt(t0=0.7,theta=0.5)"]) == 0
    assert "Δ is the difference to edt(t0=0.7,theta=0.5)" in capsys.readouterr().out
    unknown = "baseline=edt(t0=0.7,theta=0.6)"
    assert "did you mean" in refused(capsys, "score", runs, unknown)
    assert "did you mean" in refused(capsys, "run", *words, "strategy=edt", unknown)
    assert f"edt score '{unknown}'" in refused(capsys, "report", runs, unknown)
