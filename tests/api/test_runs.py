"""Run folders as frames."""

import pandas as pd
import pytest

import edt
from edt.errors import DataError, StoreError
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.scoring.score import score_runs
from edt.store.parts import read_generations
from tests.support.small_runs import run_of

STRATEGIES = [edt.Fixed(t0=0), edt.EDT(t0=1, theta=0.5)]


@pytest.fixture
def run(ask):
    made = run_of(ask(strategies=STRATEGIES, splits=("dev", "test")))
    score_runs([made], MetricsSpec(bootstrap=BootstrapSpec(resamples=20)), samples=None)
    return made


def test_every_output_of_a_run_is_a_row(run):
    frame = edt.read_samples(run.folder)
    assert len(frame) == len(read_generations(run)) == 12 * 2 * 2
    assert frame.groupby("split")["prompt_id"].nunique().to_dict() == {"dev": 6, "test": 6}
    row = frame.to_dict("records")[0]
    assert isinstance(row["references"], list)
    assert all(type(token) is int for token in row["token_ids"])
    assert row["prompt"].startswith("Translate: ")
    assert "trace_entropy" not in frame.columns
    assert "trace_entropy" in edt.read_samples(str(run.folder), trace=True).columns


def test_rows_come_by_example_then_strategy_then_sample(run):
    frame = edt.read_samples(run.folder)
    keys = ["prompt_id", "strategy", "sample"]
    order = [frame[name].unique().tolist() for name in keys]
    expected = [[p, s, k] for p in order[0] for s in order[1] for k in sorted(order[2])]
    assert frame[keys].values.tolist() == expected


def test_a_folder_of_runs_holds_all_of_them(run):
    frame = edt.read_samples(run.folder.parent)
    pd.testing.assert_frame_equal(frame, edt.read_samples([run.folder]))


def test_scores_have_the_parameters_as_columns(run):
    scores = edt.read_scores(run.folder)
    columns = {"model", "task", "split", "strategy", "family", "t0", "theta", "metric", "value", "signature"}
    assert columns <= set(scores.columns)
    assert set(scores["strategy"]) == {strategy.strategy_id for strategy in STRATEGIES}


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(StoreError, match="no run in"):
        edt.read_samples(tmp_path)


def test_rows_say_which_run_they_are_from_and_runs_are_scored_one_by_one(run, ask):
    other = run_of(ask(strategies=STRATEGIES, splits=("dev", "test"), seed=1))
    score_runs([other], MetricsSpec(bootstrap=BootstrapSpec(resamples=20)), samples=None)
    folders = [run.folder, other.folder]
    labels = {run.folder.name: "seed 0", other.folder.name: "seed 1"}
    for frame in (edt.read_samples(folders), edt.read_scores(folders)):
        assert dict(zip(frame["run"], frame["run_label"], strict=True)) == labels

    frame = edt.read_samples(folders)
    frame = frame[frame["split"] == "test"]
    with pytest.raises(DataError, match=rf"2 values of 'run' .*samples\['run'\] == '{run.folder.name}'.*groupby"):
        edt.score(frame, quality=None)
    one = edt.score(frame[frame["run"] == other.folder.name], quality=None, resamples=10)
    assert set(one["strategy"]) == {strategy.strategy_id for strategy in STRATEGIES}
