"""Scores and comparisons of frames: the numbers of `edt score`, references in every form, errors for people."""

import numpy as np
import pandas as pd
import pytest

import edt
from edt.errors import ConfigError, DataError
from edt.metrics.base import mean_statistics, mean_value
from edt.metrics.rouge import rouge_l
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.scoring.score import score_runs
from tests.support.small_runs import run_of

TEXTS = {
    "fixed(t0=0)": [["the cat sat", "the cat sat"], ["a dog ran off", "a dog ran off"], ["two birds", "two birds"]],
    "fixed(t0=1)": [["the cat sat", "a hat"], ["a dog", "dogs ran"], ["birds", "two birds sing"]],
    "edt(t0=1,theta=0.5)": [["the cat sat", "the cat"], ["a dog ran", "a dog"], ["two birds", "birds"]],
}
REFERENCES = ["the cat sat", ["a dog ran off", "the dog ran"], "two birds sing"]


@pytest.fixture
def samples():
    rows = [
        {"prompt_id": f"p{p}", "strategy": name, "family": name.split("(")[0], "t0": float("t0=1" in name)}
        | ({"theta": 0.5} if "theta" in name else {})
        | {"sample": k, "text": text}
        for name, prompts in TEXTS.items()
        for p, texts in enumerate(prompts)
        for k, text in enumerate(texts)
    ]
    return pd.DataFrame(rows)


def cell(frame, strategy, metric, column="value"):
    (row,) = frame[(frame["strategy"] == strategy) & (frame["metric"] == metric)].to_dict("records")
    return row[column]


def test_values_by_hand(samples):
    scores = edt.score(samples, REFERENCES)
    by_prompt = [
        np.mean(rouge_l(texts, [refs] if isinstance(refs, str) else refs, stem=False))
        for texts, refs in zip(TEXTS["fixed(t0=1)"], REFERENCES, strict=True)
    ]
    assert cell(scores, "fixed(t0=1)", "rouge_l") == pytest.approx(np.mean(by_prompt), abs=1e-8)
    assert cell(scores, "fixed(t0=0)", "self_bleu") == pytest.approx(100)
    assert cell(scores, "fixed(t0=0)", "empty_share") == 0
    # EDA's scale is that of the fixed family, which greedy decoding heads in both: EDA = 100·sqrt((0² + 1²) / 2).
    assert cell(scores, "fixed(t0=0)", "eda") == pytest.approx(100 / np.sqrt(2), abs=1e-6)
    assert "provisional" in cell(scores, "fixed(t0=0)", "eda", "note")
    assert "the largest Self-BLEU" in cell(scores, "fixed(t0=0)", "eda", "note")
    assert scores["strategy"].unique().tolist() == list(TEXTS)


def test_the_numbers_are_those_of_edt_score(ask):
    run = run_of(ask(strategies=[edt.Fixed(t0=0), edt.Fixed(t0=1), edt.EDT(t0=1, theta=0.5)], splits=("test",)))
    score_runs([run], MetricsSpec(bootstrap=BootstrapSpec(resamples=50)), samples=None)
    stored = edt.read_scores(run.folder)
    language = run.manifest.target_language
    also = ("distinct_n", "vendi", "rep_4")  # of every run; of the function when they are named
    scores = edt.score(edt.read_samples(run.folder), quality="sacrebleu", metrics=also, language=language, resamples=50)
    columns = ["strategy", "metric", "value", "lo", "hi", "n_samples", "signature"]
    pd.testing.assert_frame_equal(
        scores[columns].sort_values(["strategy", "metric"], ignore_index=True),
        stored[columns].sort_values(["strategy", "metric"], ignore_index=True),
        check_exact=False,
        rtol=1e-12,
    )


def test_differences_are_paired_and_agree_with_the_scores(samples):
    scores = edt.score(samples, REFERENCES)
    differences = edt.compare(samples, REFERENCES, baseline=edt.Fixed(t0=1))
    own, other = (cell(scores, name, "rouge_l") for name in ("edt(t0=1,theta=0.5)", "fixed(t0=1)"))
    assert cell(differences, "edt(t0=1,theta=0.5)", "rouge_l", "difference") == pytest.approx(own - other)
    assert set(differences["baseline"]) == {"fixed(t0=1)"}


def test_a_strategy_with_the_outputs_of_the_baseline_differs_by_nothing(samples):
    twin = samples.replace({"strategy": {"edt(t0=1,theta=0.5)": "twin"}})
    twin.loc[twin["strategy"] == "twin", "text"] = samples.loc[samples["strategy"] == "fixed(t0=1)", "text"].tolist()
    differences = edt.compare(twin, REFERENCES, baseline="fixed(t0=1)")
    assert cell(differences, "twin", "rouge_l", "difference") == 0
    assert cell(differences, "twin", "rouge_l", "p_value") == 1


def test_the_only_fixed_temperature_is_the_baseline(samples):
    one = samples[samples["strategy"] != "fixed(t0=0)"]
    assert set(edt.compare(one, REFERENCES)["baseline"]) == {"fixed(t0=1)"}
    with pytest.raises(ConfigError, match=r"baseline is None, and the samples hold 2 fixed temperatures; name one of"):
        edt.compare(samples, REFERENCES)
    with pytest.raises(ConfigError, match=r"baseline is 'fixed\(t0=2\)' \(did you mean"):
        edt.compare(samples, REFERENCES, baseline="fixed(t0=2)")


def test_references_come_in_order_by_name_or_with_the_samples(samples):
    expected = edt.score(samples, REFERENCES)
    by_name = dict(zip(["p2", "p0", "p1"], [REFERENCES[2], REFERENCES[0], REFERENCES[1]], strict=True))
    pd.testing.assert_frame_equal(edt.score(samples, by_name), expected)
    of_prompt = [REFERENCES[int(name[1])] for name in samples["prompt_id"]]
    column = samples.assign(references=[[refs] if isinstance(refs, str) else refs for refs in of_prompt])
    pd.testing.assert_frame_equal(edt.score(column), expected)


def test_without_references_there_is_diversity_alone(samples):
    scores = edt.score(samples, quality=None)
    assert set(scores["metric"]) == {"self_bleu", "empty_share"}


def test_a_single_sample_has_no_self_bleu_and_says_so(samples):
    scores = edt.score(samples[samples["sample"] == 1], REFERENCES)
    assert np.isnan(cell(scores, "fixed(t0=1)", "self_bleu"))
    assert "missing" in cell(scores, "fixed(t0=1)", "self_bleu", "note")
    assert np.isnan(cell(scores, "fixed(t0=1)", "eda"))


class WordCount:
    """Mean number of words."""

    name, higher_is_better = "words", True

    def statistics(self, samples):
        return mean_statistics([np.mean([len(text.split()) for text in texts]) for texts in samples.texts])

    def aggregate(self, totals):
        return mean_value(totals)

    def signature(self, samples):
        return "words"


def test_a_metric_of_ones_own(samples):
    scores = edt.score(samples, REFERENCES, metrics=[WordCount(), "sacrebleu"])
    assert cell(scores, "fixed(t0=0)", "words") == pytest.approx(3)
    assert cell(scores, "fixed(t0=0)", "sacrebleu") > 0
    assert cell(edt.score(samples, REFERENCES, quality=WordCount()), "fixed(t0=0)", "words") == pytest.approx(3)


def test_bleu_is_another_word_for_sacrebleu(samples):
    pd.testing.assert_frame_equal(
        edt.score(samples, REFERENCES, quality="bleu"), edt.score(samples, REFERENCES, quality="sacrebleu")
    )


@pytest.mark.parametrize(
    ("change", "given", "error", "words"),
    [
        (lambda s: s.to_dict(), {}, ConfigError, "samples is dict"),
        (lambda s: s[:0], {}, DataError, "it is empty"),
        (lambda s: s.drop(columns="text"), {}, DataError, "no column text"),
        (lambda s: s.assign(text=s["text"].where(s.index > 0)), {}, DataError, r"fillna\(''\)"),
        (lambda s: pd.concat([s, s[:1]]), {}, DataError, "sample 0 of prompt 'p0' under fixed.* twice"),
        (lambda s: s[1:], {}, DataError, r"between 1 and 2 samples.*samples\['sample'\] < 1"),
        (lambda s: s[s.index > 1], {}, DataError, r"fixed\(t0=0\) has no output for prompt 'p0'"),
        (lambda s: s.assign(task=["a", "b"] * 9), {}, DataError, "2 values of 'task' .*choose one"),
        (lambda s: s, {"references": None}, DataError, "quality needs references"),
        (lambda s: s, {"references": ["x"]}, DataError, "1 entries for 3 prompts"),
        (lambda s: s, {"references": {"p0": "x", "p1": "x"}}, DataError, "no entry for prompt 'p2'"),
        (lambda s: s, {"quality": "rogue_l"}, ConfigError, "no metric is called 'rogue_l' .*did you mean 'rouge_l'"),
        (lambda s: s, {"quality": "self_bleu"}, ConfigError, "of which a higher value is not better"),
        (lambda s: s, {"metrics": [WordCount]}, ConfigError, "is no metric; give a name"),
        (lambda s: s, {"q_star": 1.0}, ConfigError, "give both, or neither"),
        (lambda s: s, {"confidence": 95}, ConfigError, "confidence is 95"),
    ],
)
def test_what_cannot_be_scored_is_named(samples, change, given, error, words):
    with pytest.raises(error, match=words):
        edt.score(change(samples), **{"references": REFERENCES, **given})


def test_references_of_another_script_are_missing_until_the_language_is_given(samples):
    hindi = ["नई दिल्ली", "मुंबई", "भारत"]
    scores = edt.score(samples, hindi)
    assert np.isnan(cell(scores, "fixed(t0=0)", "rouge_l"))
    assert "language=" in cell(scores, "fixed(t0=0)", "rouge_l", "note")
    # EDA repeats why, not that its scale is 0
    assert "rouge_l is missing" in cell(scores, "fixed(t0=0)", "eda", "note")
    assert cell(edt.score(samples, hindi, language="hi"), "fixed(t0=0)", "rouge_l") == 0


def test_one_prompt_has_values_and_no_intervals(samples):
    one = samples[samples["prompt_id"] == "p0"]
    scores = edt.score(one, REFERENCES[:1])
    assert scores["lo"].isna().all()
    assert scores[["lo", "hi"]].isna().all().all()
    assert scores["value"].notna().any()
    assert edt.compare(one, REFERENCES[:1], baseline="fixed(t0=1)")["p_value"].isna().all()
