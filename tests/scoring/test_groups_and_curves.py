"""Runs scored in groups of samples, and the curves over the number of samples that a scoring has stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from edt.errors import ConfigError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.report.frame import notes_in, table_rows
from edt.report.table import csv_text, markdown
from edt.scoring.compute import compute_metrics
from edt.scoring.curves import metric_curves
from edt.scoring.outputs import read_outputs
from edt.scoring.score import scale_key, score_runs
from tests.support.small_runs import run_of

BOOTSTRAP = BootstrapSpec(resamples=50)
GROUPED = MetricsSpec(group_size=2, bootstrap=BOOTSTRAP)


@pytest.fixture
def run(ask, monkeypatch):
    from edt.decoding import row_records

    # A random model's outputs have no n-gram in common: put some into its mouth.
    monkeypatch.setattr(row_records, "cut_at_stop", lambda text, limits: f"第{len(text) % 12}句话,的确。")
    return run_of(ask(splits=("dev", "test"), samples=4))


def scores_of(run, spec, samples=None):
    return {(s.split, s.strategy_id, s.metric): s for s in score_runs([run], spec, samples=samples)}


def test_groups_of_two_of_four_samples(run):
    whole, grouped = scores_of(run, MetricsSpec(bootstrap=BOOTSTRAP)), scores_of(run, GROUPED)
    name = ("test", "fixed(t0=1)")
    # a mean over samples is the same, and so is its signature
    assert grouped[*name, "sacrebleu"].value == whole[*name, "sacrebleu"].value
    assert grouped[*name, "sacrebleu"].signature == whole[*name, "sacrebleu"].signature
    # what depends on the number is another one, and says of which groups
    n_examples = whole[*name, "eda"].n_examples
    for metric in ("self_bleu", "eda", "best_of"):
        assert grouped[*name, metric].value != whole[*name, metric].value
        assert f"|n:{n_examples}x4|" in whole[*name, metric].signature
        assert f"|n:{n_examples}x2x2|" in grouped[*name, metric].signature
    # Of unequal samples, the halves of the groups are those of two runs with two samples each
    halves = [half(run, indices) for indices in ((0, 1), (2, 3))]
    for metric in ("self_bleu", "best_of"):
        assert grouped[*name, metric].value == pytest.approx(np.mean([values[metric] for values in halves]))


def half(run, indices):
    """The metrics of two samples of fixed(t0=1) on test alone."""
    (entry,) = read_outputs(run, ["test"], ["fixed(t0=1)"])
    texts = [{new: by_sample[k] for new, k in enumerate(indices)} for by_sample in entry.texts]
    (values,) = compute_metrics(run, [replace(entry, texts=texts, ends=(), temperatures=[])], MetricsSpec(), 2)
    return {name: value.value for name, value in values.items()}


def test_the_groups_are_a_column_of_scores_and_tables(run):
    scores = score_runs([run], GROUPED, samples=None)
    assert {score.group_size for score in scores} == {2}
    assert set(pq.read_table(run.scores_path)["group_size"].to_pylist()) == {2}
    header, first = csv_text(scores).splitlines()[:2]
    assert dict(zip(header.split(","), first.split(","), strict=False))["group_size"] == "2"
    assert "× 4 in groups of 2" in markdown(table_rows(scores))
    whole = score_runs([run], MetricsSpec(bootstrap=BOOTSTRAP), samples=None)
    assert {score.group_size for score in whole} == {4}
    assert "in groups" not in markdown(table_rows(whole))


def test_sections_of_other_groups_are_not_compared(run):
    scores = score_runs([run], GROUPED, samples=None)
    whole = [replace(score, split="dev", group_size=4) for score in scores if score.split == "test"]
    (note,) = [n for n in notes_in(table_rows([*scores[:0], *whole, *of_test(scores)])) if "The sections have" in n]
    assert "2 and 4 samples per example" in note
    assert "edt score metrics.group_size=2" in note
    # three samples are no groups of two
    odd = [replace(score, n_samples=3, group_size=3) for score in whole]
    (note,) = [n for n in notes_in(table_rows([*odd, *of_test(scores)])) if "The sections have" in n]
    assert "edt score samples=2" in note


def of_test(scores):
    return [score for score in scores if score.split == "test"]


def test_eda_has_constants_for_each_size_of_groups(run):
    specs = [MetricsSpec(), MetricsSpec(group_size=2), MetricsSpec(group_size=4)]
    whole, two, four = (scale_key(run.manifest, spec, 4) for spec in specs)
    assert whole == four != two
    name = ("test", "fixed(t0=1)", "eda")
    assert scores_of(run, GROUPED)[name].signature != scores_of(run, MetricsSpec())[name].signature


def test_a_size_that_does_not_divide_the_samples_is_refused(run):
    before = score_runs([run], GROUPED, samples=None)
    with pytest.raises(ConfigError, match="group_size is 3, which does not divide the 4 samples"):
        score_runs([run], MetricsSpec(group_size=3), samples=None)
    assert pq.read_table(run.scores_path).num_rows == len(before)
    assert score_runs([run], MetricsSpec(group_size=3, bootstrap=BOOTSTRAP), samples=3)


def test_a_curve_ends_at_the_score_and_reads_what_was_stored(run, monkeypatch):
    spec = MetricsSpec(bootstrap=BOOTSTRAP)
    scores = scores_of(run, spec)
    stored = {path: path.read_bytes() for path in run.statistics_folder.iterdir()}
    outputs = read_outputs(run, ["test"])
    curves = metric_curves(run, outputs, "best_of", spec, 4)
    for entry, found in zip(outputs, curves, strict=True):
        score = scores["test", entry.strategy_id, "best_of"]
        assert found.value_K[-1] == pytest.approx(score.value)
        assert found.bounds(0.95)[-1].tolist() == pytest.approx([score.lo, score.hi])
        assert (np.diff(found.value_K) >= -1e-9).all()
    assert {path: path.read_bytes() for path in run.statistics_folder.iterdir()} == stored
    assert [len(c.value_K) for c in metric_curves(run, outputs, "best_of", GROUPED, 4)] == [2] * len(outputs)


def test_the_curve_of_another_metric_is_refused(run):
    outputs = read_outputs(run, ["test"])
    with pytest.raises(ConfigError, match="self_bleu has no curve over the number of samples"):
        metric_curves(run, outputs, "self_bleu", MetricsSpec(), 4)
    with pytest.raises(ConfigError, match=r"has no metric 'best_off' \(did you mean 'best_of'\?\)"):
        metric_curves(run, outputs, "best_off", MetricsSpec(), 4)


@dataclass(frozen=True, kw_only=True)
class Grows:
    """A user's metric that changes under its name and signature."""

    name: ClassVar[str] = "grows"
    higher_is_better: ClassVar[bool] = True
    calls: ClassVar[list[int]] = []

    def sample_values(self, samples):
        self.calls.append(1)
        return np.full((len(samples.examples), samples.n_samples), float(len(self.calls)))

    def statistics(self, samples):
        return mean_statistics(self.sample_values(samples).mean(axis=-1))

    def aggregate(self, totals):
        return mean_value(totals)

    def signature(self, samples):
        return "grows"


def test_the_best_of_a_users_metric_is_computed_each_time(run):
    spec = MetricsSpec(extra={"grows": Grows()}, bootstrap=BOOTSTRAP)
    run = replace(run, manifest=replace(run.manifest, quality="grows"))
    outputs = read_outputs(run, ["test"], ["fixed(t0=1)"])
    first, second = (compute_metrics(run, outputs, spec, 4)[0]["best_of"].value for _ in range(2))
    assert second > first
