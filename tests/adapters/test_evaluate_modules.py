"""Our metrics as `evaluate` modules, loaded from their paths without a network."""

import math
from pathlib import Path

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

import edt
from edt.metrics.eda import eda

MODULES = Path(edt.__file__).parent / "adapters" / "evaluate_modules"


@pytest.fixture
def load(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    evaluate = pytest.importorskip("evaluate")
    return lambda name: evaluate.load(str(MODULES / name), cache_dir=str(tmp_path))


def test_rouge_l(load):
    texts, references = ["the cat sat on the mat", "dogs bark"], [["a cat sat there", "the cat sat"], ["dogs barked"]]
    scorer = RougeScorer(["rougeL"])
    wanted = [100 * scorer.score_multi(r, t)["rougeL"].fmeasure for t, r in zip(texts, references, strict=True)]
    found = load("rouge_l").compute(predictions=texts, references=references, per_prediction=True)
    assert found["scores"] == pytest.approx(wanted, abs=1e-8)
    assert found["rouge_l"] == pytest.approx(sum(wanted) / 2, abs=1e-8)
    single = load("rouge_l").compute(predictions=["dogs bark"], references=["dogs bark"])
    assert single == {"rouge_l": 100.0}
    stemmed = load("rouge_l").compute(predictions=["dogs bark"], references=["dog barks"], stem=True)
    assert stemmed["rouge_l"] == pytest.approx(100)
    # Hindi under the tokenizer for English is no 0; under that of its language 1 of 2 and of 1 words: 2/3
    hindi = {"predictions": ["dogs bark", "नई दिल्ली"], "references": ["dogs bark", "दिल्ली"], "per_prediction": True}
    found = load("rouge_l").compute(**hindi)
    assert found["rouge_l"] == 100
    assert math.isnan(found["scores"][1])
    assert load("rouge_l").compute(**hindi, language="hi")["scores"] == pytest.approx([100, 200 / 3])


def test_self_bleu(load):
    groups = [["a b c d e", "a b c d f", "x y z w v"], ["one two three four"] * 3]
    wanted = [
        sum(sacrebleu.sentence_bleu(t, g[:i] + g[i + 1 :]).score for i, t in enumerate(g)) / len(g) for g in groups
    ]
    found = load("self_bleu").compute(predictions=groups, per_prediction=True)
    assert found["scores"] == pytest.approx(wanted, abs=1e-8)
    assert found["self_bleu"] == pytest.approx(sum(wanted) / 2, abs=1e-8)
    with pytest.raises(ValueError, match="2 or more"):
        load("self_bleu").compute(predictions=[["alone"]])


def test_eda(load):
    found = load("eda").compute(quality=[30.0, 20.0], self_bleu=[100.0, 40.0], q_star=30.0, s_star=100.0)
    assert found["eda"] == pytest.approx(eda([30.0, 20.0], [100.0, 40.0], q_star=30.0, s_star=100.0).tolist())
    assert found["eda"][0] == pytest.approx(100 * 0.5**0.5)
