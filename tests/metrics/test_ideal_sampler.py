"""Where the truth is known, the deciding figures must rank it first: the grammar's own answers, on the mini tasks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edt.metrics.best_of import BestOf
from edt.metrics.curves import MetricCurve, curve
from edt.metrics.factuality import DistinctCorrect
from edt.metrics.groups import statistics_of
from edt.metrics.rouge import RougeL
from edt.statistics.bootstrap import resample_weights
from edt.strategies import EDT, Fixed
from scripts.mini_scores import ROOT, decode_samples, grammar_samples, load_engine, mini_tasks

SETTINGS = [Fixed(t0=0.5), Fixed(t0=0.7), Fixed(t0=1), Fixed(t0=1.2), EDT(t0=1, theta=0.5)]
GRAMMAR, K, EXAMPLES = "grammar", 8, 24


@pytest.fixture(scope="module", params=["mini_quac", "mini_xlsum"])
def curves(request) -> dict[str, dict[str, MetricCurve]]:
    """Curves by metric and setting, the grammar among them."""
    task = replace(mini_tasks()[request.param], limit=EXAMPLES)
    examples = task.load("test").examples
    sets = decode_samples(load_engine(ROOT / "edt" / "assets" / "mini"), task, examples, SETTINGS, K)
    # Eight groups of eight: the same K, and a figure eight times as sure.
    sets[GRAMMAR] = grammar_samples(task, examples, 8 * K)
    weights = resample_weights([example.example_id for example in examples], 400, 0)
    return {
        metric.name: {name: curve(metric, statistics_of(metric, samples, K), weights) for name, samples in sets.items()}
        for metric in (DistinctCorrect(), BestOf(quality=RougeL()))
    }


def test_the_ideal_sampler_has_the_most_distinct_correct_outputs_at_every_k(curves) -> None:
    of = curves["distinct_correct"]
    for name in set(of) - {GRAMMAR}:
        # Of one output, a cold setting's is always right too.
        assert of[GRAMMAR].value_K[0] >= of[name].value_K[0], name
        assert (of[GRAMMAR].value_K[1:] > of[name].value_K[1:]).all(), name


def test_best_of_k_ranks_a_cold_setting_ahead_at_1_and_less_and_less_with_k(curves) -> None:
    """It does not rank the ideal sampler first at k = 8, and is not claimed to.

    There is one reference per example, and a setting that writes the likeliest wordings is closer to it than one that
    draws wordings as the references were drawn. What holds is that this lead falls with k, and that errors cost.
    """
    of = curves["best_of"]
    lead_K = of["fixed(t0=0.5)"].value_K - of[GRAMMAR].value_K
    assert lead_K[0] > 0
    assert (np.diff(lead_K) < 0).all()
    assert of["fixed(t0=1.2)"].value_K[-1] < of[GRAMMAR].value_K[-1]
