"""What a task is: named examples with references, drawn from local files, the hub or a generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.errors import ConfigError, DataError, suggestion
from edt.ids import seeded_rank
from edt.records import Example, PromptParts, Split

Row = Mapping[str, Any]
"""One row of a data set in its original schema."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The wording of a prompt. Each field is a format string over the task's own field names."""

    head: str
    source: str = "{source}"
    turn: str = ""
    tail: str


@dataclass(frozen=True, kw_only=True)
class RowSet:
    """The rows of one split with where they came from. `origin` is plain JSON for the manifest."""

    rows: tuple[Row, ...]
    origin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DroppedRow:
    """A row, or a question of it, that is left out and counted."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ExampleSet:
    """The examples of one split; `available` counts them before the limit, `dropped` the rows left out by reason."""

    examples: tuple[Example, ...]
    available: int
    dropped: Mapping[str, int]
    origin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Base of all tasks.

    path: file or folder in the data set's original form; None reads the hub (or, for the mini tasks, the generator).
    limit: at most so many examples, a subset that is nested in every larger one of the same seed.
    seed: draws the subset. max_prompt_tokens: token budget of a prompt; None: the context less the new tokens.
    """

    name: ClassVar[str]
    quality: ClassVar[str]
    """Name of the quality metric: "rouge_l" or "sacrebleu"."""
    extra_metrics: ClassVar[tuple[str, ...]] = ()

    template: Template
    path: str | None = None
    limit: int | None = None
    seed: int = 0
    max_new_tokens: int = 64
    max_prompt_tokens: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"task.limit is {self.limit}; it is a number of examples, 1 or more, or null for all.")
        for name in ("max_new_tokens", "max_prompt_tokens"):
            if (tokens := getattr(self, name)) is not None and tokens < 1:
                raise ConfigError(f"task.{name} is {tokens}; it is a number of tokens, 1 or more.")
        if isinstance(self.stop, str):
            raise ConfigError(f"task.stop is the text {self.stop!r}; it is a list of texts, such as [{self.stop!r}].")
        object.__setattr__(self, "stop", tuple(self.stop))
        for name, texts in (("path", [self.path]), ("stop", self.stop)):
            if "" in texts:
                raise ConfigError(f"task.{name} holds empty text; give text, or leave it out (null, or [] for a list).")

    @property
    def target_language(self) -> str:
        """Two-letter code of the language of the references; it sets the tokenizer of BLEU and Self-BLEU."""
        return "en"

    @abstractmethod
    def row_set(self, split: Split) -> RowSet:
        """The rows of one split, before the limit."""

    @abstractmethod
    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """The examples of one row: one, several (a dialogue's questions), or the reason why it is left out."""

    def load(self, split: Split) -> ExampleSet:
        """The task's examples of one split, in the source's order.

        Raises DataError when there is none, or when two share an id.
        """
        row_set = self.row_set(split)
        parsed = [item for row in row_set.rows for item in self.parse(row, split)]
        examples = [item for item in parsed if isinstance(item, Example)]
        dropped = dict(Counter(item.reason for item in parsed if isinstance(item, DroppedRow)))
        if not examples:
            where = f"{self.path}" if self.path is not None else "its source"
            raise DataError(
                f"task '{self.name}' found no example for split '{split}' in {where} (left out: {dropped or 'none'})."
            )
        check_unique_ids((example.example_id for example in examples), self.name)
        subset = nested_subset(examples, limit=self.limit, seed=self.seed)
        return ExampleSet(examples=tuple(subset), available=len(examples), dropped=dropped, origin=row_set.origin)

    def make_example(
        self,
        *,
        split: Split,
        example_id: str,
        fields: Mapping[str, str],
        references: tuple[str, ...],
        turns: tuple[Mapping[str, str], ...] = (),
        cluster_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Example:
        """An example whose prompt is the template filled with `fields`, each earlier turn with its own fields."""
        parts = PromptParts(
            head=filled("head", self.template.head, fields),
            source=filled("source", self.template.source, fields),
            turns=tuple(filled("turn", self.template.turn, turn) for turn in turns),
            tail=filled("tail", self.template.tail, fields),
        )
        return Example(
            task=self.name,
            split=split,
            example_id=example_id,
            cluster_id=example_id if cluster_id is None else cluster_id,
            parts=parts,
            references=references,
            meta={} if meta is None else meta,
        )


def filled(part: str, wording: str, fields: Mapping[str, str]) -> str:
    """A part of a template with its fields filled in; what the fields hold is taken literally.

    Raises ConfigError when the wording names another field or is no format string.
    """
    try:
        return wording.format_map(fields)
    except KeyError as error:
        name = str(error.args[0])
        raise ConfigError(
            f"task.template.{part} names the field '{name}'{suggestion(name, fields)}; it has: {', '.join(fields)}."
        ) from error
    except (ValueError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"task.template.{part} is no format string ({error}): {wording!r}. Fields stand in {{braces}}; a literal "
            "brace is written twice."
        ) from error


def check_unique_ids(ids: Iterable[str], task: str) -> None:
    """Two examples with one id would share their noise and their records: an error that names the id."""
    seen: set[str] = set()
    for found in ids:
        if found in seen:
            raise DataError(
                f"task '{task}' has the id '{found}' twice; ids key the noise and the records, so they must differ. "
                "Remove or rename one of the two rows."
            )
        seen.add(found)


def nested_subset(examples: list[Example], *, limit: int | None, seed: int) -> list[Example]:
    """The `limit` examples that rank first in the seed's order of ids, in their original order."""
    if limit is None or limit >= len(examples):
        return examples
    ranked = sorted(examples, key=lambda example: seeded_rank(seed, example.example_id))
    kept = {example.example_id for example in ranked[:limit]}
    return [example for example in examples if example.example_id in kept]
