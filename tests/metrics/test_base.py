"""The contract that all metrics share: sums of statistics, missing values, signatures, no heavy imports."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import edt
from edt.errors import DataError
from edt.metrics.answers import Contains, ExactMatch, TokenF1
from edt.metrics.base import Metric, SampleSet, mean_statistics, mean_value
from edt.metrics.bleu import SacreBleu
from edt.metrics.chrf import Chrf
from edt.metrics.empty import EmptyShare
from edt.metrics.rouge import RougeL
from edt.metrics.self_bleu import SelfBleu
from tests.support.metric_samples import sample_set

METRICS = [RougeL(), SacreBleu(), SelfBleu(), EmptyShare(), Chrf(), ExactMatch(), Contains(), TokenF1()]
TEXTS = [["the cat sat on the mat", "a dog"], ["", "the cat sat"], ["over the hill we go", "over the hill we went"]]
REFERENCES = [["the cat sat on a mat"], ["the cat sat", "a cat"], ["over the hills we go"]]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_statistics_add_up_and_a_repeated_example_counts_twice(metric: Metric) -> None:
    whole = metric.statistics(sample_set(TEXTS, REFERENCES))
    doubled = metric.statistics(sample_set([*TEXTS, TEXTS[2]], [*REFERENCES, REFERENCES[2]]))
    weighted = metric.aggregate(np.array([[1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]) @ whole)
    assert weighted.shape == (2,)
    assert weighted[0] == pytest.approx(float(metric.aggregate(doubled.sum(0))), abs=1e-10)
    assert weighted[1] == pytest.approx(float(metric.aggregate(whole.sum(0))), abs=1e-10)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_a_metric_travels_to_a_process_and_leaves_its_cache_out_of_equality(metric: Metric) -> None:
    samples = sample_set(TEXTS, REFERENCES)
    metric.statistics(samples)
    copy = pickle.loads(pickle.dumps(metric))
    assert isinstance(metric, Metric)
    assert copy == metric
    assert hash(copy) == hash(metric)
    np.testing.assert_array_equal(copy.statistics(samples), metric.statistics(samples))


def test_signatures_name_options_size_and_library() -> None:
    samples = sample_set(TEXTS, REFERENCES)
    sacrebleu, rouge = version("sacrebleu"), version("rouge_score")
    assert RougeL(stem=True).signature(samples) == f"rougeL|stem:yes|nrefs:var|best:max|n:3x2|rouge_score:{rouge}"
    assert SacreBleu().signature(samples) == (
        f"BLEU|nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|over:samples|n:3x2|sacrebleu:{sacrebleu}"
    )
    assert SelfBleu().signature(sample_set(TEXTS, language="zh")) == (
        f"selfBLEU|refs:others|case:mixed|eff:yes|tok:zh|smooth:exp|empty:identical|n:3x2|sacrebleu:{sacrebleu}"
    )
    assert EmptyShare().signature(samples) == f"emptyShare|empty:whitespace|n:3x2|edt:{edt.__version__}"


@pytest.mark.parametrize("metric", [RougeL(), SacreBleu(), Chrf(), ExactMatch()], ids=lambda metric: metric.name)
def test_quality_without_a_reference_is_refused(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"example 'e0' of task 't' has no reference"):
        metric.statistics(sample_set([["x"]], [[]]))


def test_ragged_or_empty_sample_sets_are_refused() -> None:
    with pytest.raises(DataError, match=r"'e1' of task 't' has 1 samples where the first example has 2"):
        sample_set([["a", "b"], ["c"]])
    with pytest.raises(DataError, match=r"'e0' of task 't' has 0 samples"):
        sample_set([[]])
    with pytest.raises(DataError, match=r"0 examples and outputs for 0"):
        SampleSet(examples=[], texts=[])
    with pytest.raises(DataError, match=r"1 examples and outputs for 2"):
        SampleSet(examples=sample_set([["a"]]).examples, texts=[["a"], ["b"]])


def test_empty_share_by_hand() -> None:
    statistics = EmptyShare().statistics(sample_set([["", " \n", "x", "y"], ["a", "b", "c", "d"]]))
    np.testing.assert_array_equal(statistics, [[50.0, 1.0], [0.0, 1.0]])
    assert EmptyShare().aggregate(statistics.sum(0)) == 25.0


def test_the_mean_of_nothing_is_missing() -> None:
    np.testing.assert_array_equal(mean_value(np.array([[0.0, 0.0], [6.0, 2.0]])), [np.nan, 3.0])
    np.testing.assert_array_equal(mean_statistics([4.0, 0.0]), [[4.0, 1.0], [0.0, 1.0]])


def test_metrics_import_without_torch_and_the_contract_without_scorers() -> None:
    code = (
        "import sys, edt.metrics.base; assert not {'sacrebleu', 'nltk', 'rouge_score'} & set(sys.modules);"
        "import edt.metrics.rouge, edt.metrics.bleu, edt.metrics.self_bleu, edt.metrics.eda, edt.statistics.bootstrap;"
        "import edt.metrics.suite; assert not {'torch', 'sacrebleu', 'nltk', 'rouge_score'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_scoring_benchmark_ends_in_its_figures() -> None:
    """Three prompts: it checks ours against both libraries as it runs, and says by how much ours is faster."""
    script = Path(__file__).parents[2] / "scripts/bench_score.py"
    command = [sys.executable, str(script), "--prompts", "3", "--samples", "4", "--repeats", "1"]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    assert {"self_bleu_sacrebleu_over_ours", "rouge_l_library_over_ours"} <= set(figures)
    assert figures["prompts"] == 3
