"""Scores of runs on a random model: where EDA's constants come from, what is missing and says so, and what is written."""

import os

import pyarrow.parquet as pq
import pytest

from edt.generation.session import generate_runs
from edt.metrics.suite import EdaSpec, MetricsSpec
from edt.scoring.score import score_runs
from edt.strategies import EDT, Fixed
from tests.support.small_runs import FIXED, run_of


def scores_of(run, spec=None, samples=None):
    scores = score_runs([run], spec or MetricsSpec(), samples=samples)
    return {(s.split, s.strategy_id, s.metric): s for s in scores}


def test_one_sample_leaves_self_bleu_and_eda_missing_not_zero(ask):
    scores = scores_of(run_of(ask(samples=1)))
    for metric in ("self_bleu", "eda"):
        score = scores["test", "fixed(t0=1)", metric]
        assert (score.value, score.lo, score.hi) == (None, None, None)
        assert "missing" in score.note
    assert scores["test", "fixed(t0=1)", "sacrebleu"].value is not None


def test_eda_without_a_fixed_family_is_missing(ask):
    score = scores_of(run_of(ask([EDT(t0=1, theta=1)])))["test", "edt(t0=1,theta=1)", "eda"]
    assert score.value is None
    assert "strategy=fixed" in score.note


def test_eda_constants_given(ask):
    spec = MetricsSpec(eda=EdaSpec(q_star=50.0, s_star=80.0))
    scores = scores_of(run_of(ask([Fixed(t0=1)])), spec)
    quality, diversity, eda = (scores["test", "fixed(t0=1)", m] for m in ("sacrebleu", "self_bleu", "eda"))
    by_hand = 100 * (((1 - quality.value / 50) ** 2 + (diversity.value / 80) ** 2) / 2) ** 0.5
    assert eda.value == pytest.approx(by_hand, abs=1e-9)
    assert "q_star:50" in eda.signature
    assert not eda.note


@pytest.fixture
def real_text(monkeypatch):
    """A random model translates nothing, so quality would be 0 and EDA missing: put words into its mouth."""
    from edt.decoding import row_records

    monkeypatch.setattr(row_records, "cut_at_stop", lambda text, limits: f"第{len(text) % 12}句话,的确。")


def test_eda_constants_come_from_dev_and_stay_frozen(ask, real_text):
    run = run_of(ask(splits=("dev", "test")))
    first = scores_of(run)
    constants = [first["dev", s.strategy_id, m].value for m in ("sacrebleu", "self_bleu") for s in FIXED]
    q_star, s_star = max(constants[:2]), max(constants[2:])
    for split in ("dev", "test"):
        q, s, eda = (first[split, "fixed(t0=1)", m].value for m in ("sacrebleu", "self_bleu", "eda"))
        assert eda == pytest.approx(100 * ((max(0, 1 - q / q_star) ** 2 + (s / s_star) ** 2) / 2) ** 0.5, abs=1e-9)
        assert not first[split, "fixed(t0=1)", "eda"].note
    run_of(ask([*FIXED, *(Fixed(t0=t / 7) for t in range(1, 7))], splits=("dev", "test")))
    later = scores_of(run)
    assert later["test", "fixed(t0=1)", "eda"] == first["test", "fixed(t0=1)", "eda"]


def test_provisional_eda_is_labelled(ask, real_text):
    score = scores_of(run_of(ask()))["test", "fixed(t0=1)", "eda"]
    assert "provisional" in score.note
    assert "is the best quality" in score.note
    assert "the largest Self-BLEU" in score.note
    assert "provisional" in score.signature


def test_dev_without_greedy_says_what_is_missing(ask, real_text):
    score = scores_of(run_of(ask([Fixed(t0=0.5), Fixed(t0=1)], splits=("dev", "test"))))["test", "fixed(t0=1)", "eda"]
    assert "provisional" in score.note
    assert "t0=0" in score.note


@pytest.mark.parametrize("splits", [("test",), ("dev", "test")])
def test_the_scale_of_a_single_fixed_setting_says_so_and_is_not_frozen(ask, real_text, splits):
    warm, edt = Fixed(t0=1), EDT(t0=1, theta=1)
    score = scores_of(run_of(ask([warm, edt], splits=splits)))["test", "edt(t0=1,theta=1)", "eda"]
    assert "single fixed setting" in score.note
    assert "strategy=fixed_sweep" in score.note
    assert "provisional" in score.signature

    more = scores_of(run_of(ask([*FIXED, edt], splits=splits)))["test", "edt(t0=1,theta=1)", "eda"]
    assert "single" not in more.note
    assert ("provisional" in more.signature) == (splits == ("test",))


def test_greedy_alone_is_a_scale(ask, real_text):
    run = run_of(ask([Fixed(t0=0), EDT(t0=1, theta=1)], splits=("dev", "test")))
    score = scores_of(run)["test", "edt(t0=1,theta=1)", "eda"]
    assert score.note == ""
    assert "constants:dev" in score.signature


def test_constants_do_not_hang_on_what_is_scored_together(ask, real_text, tmp_path):
    run = run_of(ask(splits=("dev", "test")))
    other = run_of(ask(splits=("dev", "test"), seed=1))
    first = scores_of(run)["test", "fixed(t0=1)", "eda"]
    run_of(ask([*FIXED, *(Fixed(t0=t / 7) for t in range(1, 7))], splits=("dev", "test")))
    together = score_runs([run, other], MetricsSpec(), samples=None)
    wanted = (first.generation_id, "test", "fixed(t0=1)", "eda")
    assert [s for s in together if (s.generation_id, s.split, s.strategy_id, s.metric) == wanted] == [first]


def test_scores_with_fewer_samples_than_generated(ask):
    run = run_of(ask(samples=3))
    assert {s.n_samples for s in scores_of(run, samples=2).values()} == {2}
    assert {s.n_samples for s in scores_of(run).values()} == {3}


def test_a_strategy_with_fewer_samples_than_others_is_named(ask, caplog):
    run_of(ask([Fixed(t0=1)], samples=3))
    run = run_of(ask([EDT(t0=1, theta=1)], samples=2))
    assert {s.n_samples for s in scores_of(run).values()} == {2}
    (said,) = [message for message in caplog.messages if "scored" in message]
    assert "2 of up to 3 samples are scored, since edt(t0=1,theta=1) of wmt19 has no more" in said
    assert "samples=3" in said

    caplog.clear()
    run_of(ask([EDT(t0=1, theta=1)], samples=3))
    scores_of(run)
    assert not any("scored" in message for message in caplog.messages)


def test_records_have_the_designs_columns(ask):
    run = run_of(ask([EDT(t0=1, theta=0.5, top_p=0.9)]))
    scores_of(run)
    columns = set(pq.read_schema(run.parts()[0]).names)
    wanted = (
        "task split example_id cluster_id strategy_id family granularity sample token_ids text finish_reason t_mean "
        "t_min t_max h_mean floored_steps prompt_tokens truncated_tokens t0 theta top_p"
    )
    assert set(wanted.split()) <= columns
    columns = set(pq.read_schema(run.scores_path).names)
    wanted = "task split strategy_id t0 theta top_p metric value lo hi n_examples n_samples signature generation_id"
    assert set(wanted.split()) <= columns


def test_scores_of_several_processes_are_those_of_one(ask):
    runs = generate_runs(ask([Fixed(t0=0), Fixed(t0=1), EDT(t0=1, theta=0.5)]))
    alone = score_runs(runs, MetricsSpec(num_workers=1), samples=None)
    assert score_runs(runs, MetricsSpec(num_workers=2), samples=None) == alone


def test_processes_are_started_only_where_they_pay():
    from edt.errors import ConfigError
    from edt.metrics.suite import MetricsSpec
    from edt.scoring.compute import MIN_TEXTS_FOR_PROCESSES, number_of_processes

    assert number_of_processes(None, n_texts=MIN_TEXTS_FOR_PROCESSES - 1, n_items=9) == 1
    assert number_of_processes(None, n_texts=MIN_TEXTS_FOR_PROCESSES, n_items=9) == min(9, os.cpu_count())
    assert number_of_processes(4, n_texts=1, n_items=3) == 3
    with pytest.raises(ConfigError, match=r"metrics.num_workers is 0"):
        MetricsSpec(num_workers=0)


def test_more_resamples_than_fit_into_memory_are_an_error_with_the_number_that_would(ask, monkeypatch):
    from edt.errors import ConfigError
    from edt.metrics.suite import BootstrapSpec

    run = run_of(ask())  # six examples
    monkeypatch.setattr("edt.scoring.compute._MOST_WEIGHT_BYTES", 8 * 6 * 100)
    scores_of(run, MetricsSpec(bootstrap=BootstrapSpec(resamples=100)))
    with pytest.raises(ConfigError, match=r"resamples is 101; with 6 examples .* Up to 100 are possible"):
        scores_of(run, MetricsSpec(bootstrap=BootstrapSpec(resamples=101)))
