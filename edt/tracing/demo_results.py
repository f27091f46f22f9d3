"""What a demo shows: one distribution under several settings, and samples of prompts at several temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, kw_only=True)
class SettingDistribution:
    """A distribution after one setting: its temperature, what the shown tokens and all others then have, how many
    tokens can still be drawn, and its entropy in nats.
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
    """One next-token distribution, its likeliest tokens, and what each setting makes of it."""

    prompt: str
    tokens: tuple[str, ...]
    settings: tuple[SettingDistribution, ...]


@dataclass(frozen=True, kw_only=True)
class TemperatureSamples:
    """The samples of a prompt at one temperature. entropy: mean over steps and samples, nats."""

    temperature: float
    texts: tuple[str, ...]
    self_bleu: float | None
    entropy: float

    @property
    def distinct(self) -> int:
        """How many different texts there are."""
        return len(set(self.texts))

    @property
    def repeats(self) -> list[int | None]:
        """For each sample, the first one with the same text, or None where it is that one itself."""
        first = [self.texts.index(text) for text in self.texts]
        return [None if found == place else found for place, found in enumerate(first)]


@dataclass(frozen=True, kw_only=True)
class PromptSamples:
    """A prompt with a column per temperature; the label says of which kind it is, where kinds are told apart."""

    label: str
    prompt: str
    columns: tuple[TemperatureSamples, ...]


@dataclass(frozen=True, kw_only=True)
class DemoResults:
    """A demo's results."""

    title: str
    model: str
    seed: int
    shapes: DistributionComparison | None
    blocks: tuple[PromptSamples, ...]


SUMMARY_HEADINGS = ("T", "distinct outputs", "Self-BLEU", "mean H (nats)")


def summary(blocks: Sequence[PromptSamples]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """What was measured, as text: per label a line for each temperature, means over the label's prompts."""
    found = []
    for label in dict.fromkeys(block.label for block in blocks):
        own = [block for block in blocks if block.label == label]
        lines = [measured([block.columns[place] for block in own]) for place in range(len(own[0].columns))]
        found.append((label or "all prompts", lines))
    return found


def measured(columns: Sequence[TemperatureSamples]) -> tuple[str, ...]:
    """The figures of `SUMMARY_HEADINGS` for the columns of one temperature; what is missing is a dash."""
    scores = [column.self_bleu for column in columns if column.self_bleu is not None]
    distinct, samples = sum(column.distinct for column in columns), sum(len(column.texts) for column in columns)
    return (
        f"{columns[0].temperature:g}",
        f"{distinct} of {samples}",
        f"{fmean(scores):.1f}" if scores else "–",
        f"{fmean(column.entropy for column in columns):.2f}",
    )
