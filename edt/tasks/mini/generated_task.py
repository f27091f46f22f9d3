"""The base class of the mini tasks: each row is a pure function of (seed, task, split, index)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

from edt.errors import ConfigError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row, RowSet
from edt.tasks.mini.grammar import ZIPF_EXPONENT, Slots, Tree, draw, grammar
from edt.tasks.mini.variants import Variant
from edt.tasks.mini.world import NoFactLeftError, World
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.subsets import OFFICIAL_SPLITS, OfficialSplit

META = "mini"
"""The only column that is not in the real schema: example id -> meta."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """The wordings of a text, and what a right one must state.

    notation: see `grammar`. slots: the facts in it; of several values a source names all, and an answer any one.
    required: one list per required fact, with the wordings that state it; a right text contains one of each list.
        A source has none.
    """

    notation: str
    slots: Slots
    required: Sequence[Sequence[str]]

    @property
    def tree(self) -> Tree:
        """The grammar of the text."""
        if self.required:
            return grammar(self.notation, self.slots)
        return grammar(self.notation, {name: _listed(value) for name, value in self.slots.items()})

    def text(self, world: World) -> str:
        """Draw one text."""
        return draw(self.tree, world.random, world.variant.skew)

    def meta(self, world: World) -> dict[str, Any]:
        """Return what the factuality metric and the ideal sampler read, as plain JSON.

        facts: the (subject, relation, object) triples that the example's source states.
        """
        return {
            "grammar": self.tree,
            "required": [list(wordings) for wordings in self.required],
            "facts": [list(fact) for fact in world.facts],
            # Only where it differs: the examples of the default benchmark keep their content, bit for bit.
            **({"skew": world.variant.skew} if world.variant.skew != ZIPF_EXPONENT else {}),
        }


def _listed(value: str | tuple[str, ...]) -> str:
    """Return a fact as a source states it: all its values, in the order in which they were drawn."""
    if isinstance(value, str):
        return value
    return value[0] if len(value) == 1 else f"{', '.join(value[:-1])} or {value[-1]}"


_MOST_ROWS = 1_000_000
"""All rows of a split are generated, whatever the limit; more would take hours and fill the memory."""


@dataclass(frozen=True, kw_only=True)
class GeneratedTask(DatasetTask):
    """Base of the mini tasks: rows are generated, or read from `path` in the real data set's form.

    A row does not depend on the sizes of the splits, so a larger split begins with the rows of a smaller one.

    path: a file or folder in the real data set's form; null: generate them. seed: seed of the generated rows and of the
    subset. train_size: generated rows of the split train (mini_quac: questions).
    skew, open_slots, unsettled_facts: the variant of the benchmark; see `Variant`.
    """

    extra_metrics: ClassVar[tuple[str, ...]] = ("factuality", "distinct_correct")

    # A mini task names this class before the real task, so that these sizes win over those that the real one inherits.
    dev_size: int | None = 200
    test_size: int | None = 400

    skew: float = ZIPF_EXPONENT
    """Exponent of Zipf's law by which the wordings are drawn; 0 makes all equally likely."""
    open_slots: int = 0
    """Right fillers of each of two open slots around an answer, all equally likely: steps of up to ln(open_slots) nats.
    """
    unsettled_facts: int = 0
    """Values that a source names for one fact of each answer, any of which is right; 0: every fact is settled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        changes = self.variant.changes
        if self.path is not None and changes:
            name = next(iter(changes))
            raise ConfigError(
                f"task.{name} is {changes[name]}, but the rows of task '{self.name}' are read from task.path and not "
                f"generated; leave task.{name} or task.path out."
            )

    @property
    def variant(self) -> Variant:
        """How the rows differ from the default benchmark."""
        return Variant(skew=self.skew, open_slots=self.open_slots, unsettled_facts=self.unsettled_facts)

    @abstractmethod
    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """Return one row in the real data set's schema, with the meta of its examples in the column META."""

    def row(self, split: str, index: int) -> dict[str, Any]:
        """Return row `index` of a split: a pure function of (seed, task, split, index)."""
        random = Random(f"{self.seed}/{self.name}/{split}/{index}")  # noqa: S311  reproducible, no secret
        # Some draws lead to a subject without a fact of this split: draw again, from where the sequence is now.
        while True:
            try:
                world = World(random=random, split=split, index=index, variant=self.variant)
                return self.build(world, f"{self.name}-{split}-{index:06d}")
            except NoFactLeftError:
                continue

    def row_set(self, split: Split) -> RowSet:
        """Return the generated rows of a split, or of all three for "all"."""
        if self.path is not None:
            return super().row_set(split)
        # Without the plan of the real task: each split is generated in its size, so none is drawn from another.
        names = OFFICIAL_SPLITS if split == "all" else (split,)
        parts = {name: self._generate(name) for name in names}
        counts = {name: len(rows) for name, rows in parts.items()}
        origin = {"generator": "edt.tasks.mini", "task": self.name, "seed": self.seed, "rows": counts}
        origin |= self.variant.changes
        return RowSet(rows=tuple(row for rows in parts.values() for row in rows), origin=origin)

    def shot_rows(self) -> Sequence[Row]:
        """Return as many train rows as there are shots; each gives an example or more."""
        if self.path is not None:
            return super().shot_rows()
        return [self.row("train", index) for index in range(self.shots)]

    def _generate(self, split: OfficialSplit) -> list[Row]:
        size = self.size(split)
        if size is None:
            raise ConfigError(
                f"task.{split}_size is null, but task '{self.name}' is generated and has no last row; "
                f"give a number of {self.size_unit}."
            )

        if size > _MOST_ROWS:
            raise ConfigError(
                f"task.{split}_size is {size:,}; task '{self.name}' generates {_MOST_ROWS:,} {self.size_unit} at most."
            )

        # Row by row, because only a generated dialogue says how many questions it has.
        rows: list[Row] = []
        weight = 0
        while weight < size:
            rows.append(self.row(split, len(rows)))
            weight += self.weight(rows[-1])
        return rows


def attach_meta(items: Iterator[Example | DroppedRow], row: Row) -> Iterator[Example | DroppedRow]:
    """Yield the parsed items, each example with its meta if the row was generated and has it."""
    # Added afterwards, so that the real task's `parse` reads generated and real rows alike.
    # Rows that were read from `path` have no such column.
    metas = row.get(META)
    for item in items:
        if metas is not None and isinstance(item, Example):
            yield replace(item, meta=metas[item.example_id])
        else:
            yield item


def has_grammar(examples: Sequence[Example]) -> bool:
    """Return whether all examples have the grammar of their right answers; those read from files do not."""
    return all("grammar" in example.meta for example in examples)


def ideal_texts(examples: Sequence[Example], samples: int) -> list[list[str]]:
    """Draw right answers for each example from its grammar, independently of its reference."""
    return [
        # Keyed by example and sample: fewer samples are the first of more, and no limit changes a text.
        [
            draw(e.meta["grammar"], Random(f"ideal/{e.example_id}/{k}"), e.meta.get("skew", ZIPF_EXPONENT))  # noqa: S311
            for k in range(samples)
        ]
        for e in examples
    ]
