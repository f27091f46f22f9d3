"""Records of what a study's HTML page shows, independent of how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# These records import nothing of a study or a run, so any experiment can build a page.
Interval = tuple[float | None, float | None, float | None]
"""A value with the bounds of its confidence interval; None for what is missing."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting on one split of one task.

    family: the study's label, such as "edt token". params: the parameters that distinguish the family's settings.
    metrics: "quality", "self_bleu", "eda", "temperature" (the mean of the temperatures that were used) and, where they
    exist, "best_of", "factuality", "distinct_correct", "empty_share".
    """

    task: str
    split: str
    family: str
    strategy_id: str
    params: Mapping[str, float | str]
    metrics: Mapping[str, Interval]
    # A chosen setting is ringed in the charts and shown first in the browser of outputs.
    chosen: bool = False
    """Whether it is the family's choice on the dev split, by the study's first objective."""
    baseline: str = ""
    """The strategy that its differences are to; empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A table of texts; cells that begin with a number are sorted as numbers.

    secondary: columns that are shown on request. filters: columns by whose values a reader can filter the rows.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    secondary: Sequence[str] = ()
    filters: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A static figure as SVG text, drawn by this package."""

    title: str
    svg: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class PageChart:
    """An interactive chart: plotly's traces and layout. A trace whose `meta` names a family has the family's style."""

    title: str
    traces: Sequence[Mapping[str, object]]
    layout: Mapping[str, object]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment. name: the anchor of links to it. warnings: paragraphs ahead of the others, in red."""

    name: str
    title: str
    warnings: Sequence[str] = ()
    text: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    figures: Sequence[PageFigure] = ()
    charts: Sequence[PageChart] = ()


@dataclass(frozen=True, kw_only=True)
class PageToken:
    """A token of an output with the temperature it was drawn at and the entropy of its distribution in nats."""

    text: str
    temperature: float
    entropy: float


@dataclass(frozen=True, kw_only=True)
class PageOutput:
    """One output; `tokens` is None if it was not traced.

    n_tokens, finish_reason: its length, and what ended it ("eos", "stop" or "length"), where they are known.
    answer: what of the text is scored, None if all of it.
    """

    task: str
    example_id: str
    family: str
    strategy_id: str
    sample: int
    text: str
    answer: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    tokens: Sequence[PageToken] | None = None
    # Unknown for an output that no run decoded, so these have defaults.
    n_tokens: int | None = None
    finish_reason: str = ""


def known_means(t_mean: float | None, h_mean: float | None) -> dict[str, float]:
    """Return the mean temperature and entropy of an output under the names of the page, as far as they are known."""
    means = {"mean T": t_mean, "mean H": h_mean}
    return {name: round(value, 3) for name, value in means.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class PageExample:
    """The prompt and references of the outputs of one example.

    prompt_note: what else a reader must know of the prompt, such as that it is shown without the chat template.
    shortened_by: tokens of the prompt that the model did not read, because the budget cut them off.
    """

    task: str
    example_id: str
    prompt: str
    references: Sequence[str]
    # The page cannot know how the prompt was read; who builds it does.
    prompt_note: str = ""
    shortened_by: int = 0


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """All that the page of a study shows.

    about: facts such as model, date, commit and sizes, by name. quality: the label of each task's quality metric.
    ideal: quality and Self-BLEU of the grammar's answers, for each task that has a grammar.
    """

    title: str
    about: Mapping[str, str]
    quality: Mapping[str, str]
    points: Sequence[Point]
    ideal: Mapping[str, tuple[float, float]]
    sections: Sequence[Section]
    examples: Sequence[PageExample]
    outputs: Sequence[PageOutput]
