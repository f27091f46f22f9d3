"""Results of a demo: one distribution under several settings, and samples of prompts at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, kw_only=True)
class SettingDistribution:
    """A distribution after one setting.

    probabilities: of the shown tokens. others: of all other tokens together. kept_tokens: how many the truncation
    leaves. entropy: in nats.
    """

    name: str
    strategy_id: str
    temperature: float
    probabilities: tuple[float, ...]
    others: float
    kept_tokens: int
    entropy: float


@dataclass(frozen=True, kw_only=True)
class DistributionComparison:
    """One next-token distribution: its likeliest tokens, and their probabilities under each setting."""

    prompt: str
    tokens: tuple[str, ...]
    settings: tuple[SettingDistribution, ...]


@dataclass(frozen=True, kw_only=True)
class TemperatureSamples:
    """The samples of a prompt at one temperature. entropy: mean over steps and samples, in nats."""

    temperature: float
    texts: tuple[str, ...]
    self_bleu: float | None
    entropy: float

    @property
    def distinct(self) -> int:
        """The number of different texts."""
        return len(set(self.texts))

    @property
    def repeats(self) -> list[int | None]:
        """For each sample, the index of the first sample with the same text; None for that first one itself."""
        # index() finds the first occurrence, so a text that occurs once has its own index.
        first = [self.texts.index(text) for text in self.texts]
        return [None if original == index else original for index, original in enumerate(first)]


@dataclass(frozen=True, kw_only=True)
class PromptSamples:
    """A prompt with its samples at each temperature; `label` names its kind, if the demo compares kinds of prompts."""

    label: str
    prompt: str
    columns: tuple[TemperatureSamples, ...]


@dataclass(frozen=True, kw_only=True)
class DemoResults:
    """All results of a demo."""

    title: str
    model: str
    seed: int
    comparison: DistributionComparison | None
    prompts: tuple[PromptSamples, ...]


SUMMARY_HEADINGS = ("T", "distinct outputs", "Self-BLEU", "mean H (nats)")


def summary(prompts: Sequence[PromptSamples]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return, for each label, a line of text cells per temperature: totals and means over the prompts of the label."""
    sections = []
    # Kinds of prompts are not averaged: a story and an explanation react differently to temperature.
    for label in dict.fromkeys(prompt.label for prompt in prompts):
        labeled = [prompt for prompt in prompts if prompt.label == label]
        by_temperature = zip(*(prompt.columns for prompt in labeled), strict=True)
        sections.append((label or "all prompts", [_summary_line(columns) for columns in by_temperature]))
    return sections


def _summary_line(columns: Sequence[TemperatureSamples]) -> tuple[str, ...]:
    """Return the cells of `SUMMARY_HEADINGS` for the samples at one temperature; a missing value is a dash."""
    # One sample has no Self-BLEU; the mean is over prompts that have it.
    scores = [column.self_bleu for column in columns if column.self_bleu is not None]
    distinct, samples = sum(column.distinct for column in columns), sum(len(column.texts) for column in columns)
    return (
        f"{columns[0].temperature:g}",
        f"{distinct} of {samples}",
        f"{fmean(scores):.1f}" if scores else "–",
        f"{fmean(column.entropy for column in columns):.2f}",
    )
