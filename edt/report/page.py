"""What a study's HTML page shows, as plain records; nothing here knows how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Interval = tuple[float | None, float | None, float | None]
"""A value with its bounds; None where it is missing."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting on one split of one task.

    family: the study's label, as "edt token". params: what tells the family's settings apart, by name. metrics:
    "quality", "self_bleu", "eda", "temperature" (the mean realised one) and, where they exist, "factuality",
    "distinct_correct", "empty_share".
    """

    task: str
    split: str
    family: str
    strategy_id: str
    params: Mapping[str, float | str]
    metrics: Mapping[str, Interval]
    chosen: bool = False
    """Whether it is its family's choice on dev, by EDA."""


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A table of texts; a cell that reads as a number is sorted as one."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A static figure as SVG text, made by this program."""

    title: str
    svg: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One experiment: its anchor, heading, a paragraph or more, tables and figures."""

    name: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    figures: Sequence[PageFigure] = ()


@dataclass(frozen=True, kw_only=True)
class PageToken:
    """A drawn token with the temperature it was drawn at and the entropy (nats) before it."""

    text: str
    temperature: float
    entropy: float


@dataclass(frozen=True, kw_only=True)
class PageOutput:
    """One output; `tokens` where it was traced."""

    task: str
    example_id: str
    family: str
    strategy_id: str
    sample: int
    text: str
    scores: Mapping[str, float] = field(default_factory=dict)
    tokens: Sequence[PageToken] | None = None


@dataclass(frozen=True, kw_only=True)
class PageExample:
    """What the outputs of an example answer."""

    task: str
    example_id: str
    prompt: str
    references: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """A whole study. about: model, date, commit, sizes and the like, by name. quality: each task's quality metric.
    ideal: per task, quality and Self-BLEU of the grammar's own answers, where there is a grammar.
    """

    title: str
    about: Mapping[str, str]
    quality: Mapping[str, str]
    points: Sequence[Point]
    ideal: Mapping[str, tuple[float, float]]
    sections: Sequence[Section]
    examples: Sequence[PageExample]
    outputs: Sequence[PageOutput]
