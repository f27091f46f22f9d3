"""ChrF against sacrebleu."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from edt.metrics.chrf import Chrf
from tests.metrics.test_bleu import streams
from tests.support.metric_samples import sample_set, texts

segments = st.lists(st.tuples(texts, texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5)


@settings(max_examples=60)
@given(rows=segments)
def test_equals_sacrebleu_corpus_chrf(rows: list[tuple[str, str, list[str]]]) -> None:
    # blank references are left out, where sacrebleu scores 0
    rows = [(first, second, [*refs, "the"]) for first, second, refs in rows]
    outputs, references = [[first, second] for first, second, _ in rows], [refs for *_, refs in rows]
    metric = Chrf()
    statistics = metric.statistics(sample_set(outputs, references))
    expected = np.mean([sacrebleu.corpus_chrf(c, streams(references)).score for c in zip(*outputs, strict=True)])
    assert float(metric.aggregate(statistics.sum(0))) == pytest.approx(float(expected), abs=1e-8)


def test_scripts_without_spaces_and_resamples_at_once() -> None:
    metric = Chrf()
    statistics = metric.statistics(sample_set([["我在北京"], ["x"]], [["我住在北京"], ["abc"]]))
    first, both = metric.aggregate(np.array([[1.0, 0.0], [1.0, 1.0]]) @ statistics)
    assert first == pytest.approx(sacrebleu.corpus_chrf(["我在北京"], [["我住在北京"]]).score)
    assert both == pytest.approx(sacrebleu.corpus_chrf(["我在北京", "x"], [["我住在北京", "abc"]]).score)


def test_a_blank_reference_cannot_be_scored() -> None:
    assert np.isnan(Chrf().statistics(sample_set([["x"], ["x"]], [[" "], ["x"]]))).all(axis=1).tolist() == [True, False]
