"""Which metrics a task can name as its quality, and what is refused before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from edt.errors import ConfigError
from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.suite import MetricsSpec


@dataclass(frozen=True, kw_only=True)
class Brevity:
    """A metric of a user's: shorter is better."""

    name: ClassVar[str] = "brevity"
    higher_is_better: ClassVar[bool] = True

    def statistics(self, samples: SampleSet) -> Statistics:
        return mean_statistics([100.0 - len(texts[0]) for texts in samples.texts])

    def aggregate(self, totals: Statistics) -> Floats:
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        return "brevity"


@dataclass(frozen=True, kw_only=True)
class Length(Brevity):
    name: ClassVar[str] = "length"
    higher_is_better: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class Impostor(Brevity):
    name: ClassVar[str] = "self_bleu"


NAMES = ["rouge_l", "sacrebleu", "chrf", "exact_match", "contains", "token_f1", "factuality", "distinct_correct"]


ALSO = ("distinct_n", "vendi", "rep_4")


@pytest.mark.parametrize("name", NAMES)
def test_every_built_in_metric_of_texts_can_be_the_quality(name: str) -> None:
    names = [metric.name for metric in MetricsSpec().metrics(name, ())]
    assert names == [name, "self_bleu", "best_of", *ALSO, "empty_share"]


@pytest.mark.parametrize("key", ["brevity", "mine"])
def test_a_metric_of_the_users_is_the_quality_by_its_key_or_name_and_listed_once(key: str) -> None:
    spec = MetricsSpec(extra={"mine": Brevity(), "other": Length()})
    assert [m.name for m in spec.metrics(key, ("token_f1",))] == [
        "brevity", "self_bleu", "best_of", "token_f1", *ALSO, "length", "empty_share",
    ]  # fmt: skip


def test_further_metrics_are_named_for_every_task() -> None:
    spec = MetricsSpec(also=["chrf", "number_precision", "chrf"])  # type: ignore[arg-type]
    names = [metric.name for metric in spec.metrics("chrf", ("entity_precision",))]
    assert names == ["chrf", "self_bleu", "best_of", "entity_precision", "number_precision", "empty_share"]
    assert [metric.name for metric in MetricsSpec(also=()).metrics("rouge_l", ())] == [
        "rouge_l", "self_bleu", "best_of", "empty_share",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"metrics\.also is 'chrf'; it must be a list of names, such as \[chrf\]"):
        MetricsSpec(also="chrf")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"no metric is called 'vendy' \(did you mean 'vendi'\?\)"):
        MetricsSpec(also=("vendy",)).metrics("rouge_l", ())


def test_what_cannot_be_a_quality_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"called 'exactmatch' \(did you mean 'exact_match'\?\).*metrics\.extra\.NAME"
    ):
        MetricsSpec().metrics("exactmatch", ())
    with pytest.raises(ConfigError, match=r"quality is 'length', of which a higher value is not better"):
        MetricsSpec(extra={"length": Length()}).metrics("length", ())
    with pytest.raises(ConfigError, match="two metrics are called 'self_bleu'"):
        MetricsSpec(extra={"mine": Impostor()}).metrics("rouge_l", ())
    with pytest.raises(ConfigError, match=r"metrics\.extra\.mine is str, which is no metric"):
        MetricsSpec(extra={"mine": "brevity"})  # type: ignore[dict-item]


def test_a_language_without_its_tokenizer_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_mecab(language: str) -> None:
        raise ConfigError(f"BLEU for target language '{language}' needs a tokenizer that is not installed.")

    monkeypatch.setattr("edt.metrics.suite.bleu_tokenizer", without_mecab)
    with pytest.raises(ConfigError, match="'ja' needs a tokenizer"):
        MetricsSpec().check("rouge_l", (), "ja")
    monkeypatch.setattr("edt.metrics.suite.bleu_tokenizer", bleu_tokenizer)
    MetricsSpec().check("rouge_l", (), "de")
