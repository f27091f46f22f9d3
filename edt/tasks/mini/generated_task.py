"""From a seed to rows: each row is a pure function of (seed, task, split, index), whatever else is generated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

from edt.errors import ConfigError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row, RowSet
from edt.tasks.mini.grammar import draw, grammar
from edt.tasks.mini.world import NoFactLeftError, World
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.subsets import OFFICIAL_SPLITS, OfficialSplit

META = "mini"
"""The column that rows have beyond the real schema: example id -> meta."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """What may be said: a grammar's notation, its slots, and the wordings that must each be said (one of each)."""

    notation: str
    slots: Mapping[str, str]
    required: Sequence[Sequence[str]]

    def text(self, random: Random) -> str:
        """One text that says it."""
        return draw(grammar(self.notation, self.slots), random)

    def meta(self, facts: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
        """What the checker reads. Plain JSON; `facts` are the triples that the example's source states."""
        return {
            "grammar": grammar(self.notation, self.slots),
            "required": [list(wordings) for wordings in self.required],
            "facts": [list(fact) for fact in facts],
        }


@dataclass(frozen=True, kw_only=True)
class GeneratedTask(DatasetTask):
    """Base of the mini tasks: rows come from the generator, or from `path` in the real data set's form.

    seed: of the rows and of the subset. train_size, dev_size, test_size: how many `unit` a split has; a row depends
    on none of them, so a larger split begins with a smaller one.
    """

    extra_metrics: ClassVar[tuple[str, ...]] = ("factuality", "distinct_correct")

    dev_size: int | None = 200
    test_size: int | None = 400

    @abstractmethod
    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """One row in the real data set's schema, with the checker's meta in the column META."""

    def row(self, split: str, index: int) -> dict[str, Any]:
        """Row `index` of a split: a pure function of (seed, task, split, index)."""
        random = Random(f"{self.seed}/{self.name}/{split}/{index}")  # noqa: S311  reproducible, no secret
        while True:
            try:
                return self.build(World(random=random, split=split, index=index), f"{self.name}-{split}-{index:06d}")
            except NoFactLeftError:
                continue

    def row_set(self, split: Split) -> RowSet:
        """The generated rows of a split, or of all three for "all"."""
        if self.path is not None:
            return super().row_set(split)
        pools = OFFICIAL_SPLITS if split == "all" else (split,)
        parts = {pool: self._generated(pool) for pool in pools}
        counts = {pool: len(rows) for pool, rows in parts.items()}
        origin = {"generator": "edt.tasks.mini", "task": self.name, "seed": self.seed, "rows": counts}
        return RowSet(rows=tuple(row for rows in parts.values() for row in rows), origin=origin)

    def _generated(self, pool: OfficialSplit) -> list[Row]:
        size = self.size(pool)
        if size is None:
            raise ConfigError(
                f"task.{pool}_size is null, but task '{self.name}' is generated and has no last row; "
                f"give a number of {self.size_unit}."
            )
        rows: list[Row] = []
        held = 0
        while held < size:
            rows.append(self.row(pool, len(rows)))
            held += self.weight(rows[-1])
        return rows


def attach_meta(items: Iterator[Example | DroppedRow], row: Row) -> Iterator[Example | DroppedRow]:
    """The parsed items with the checker's meta, where the row was generated and has it."""
    metas = row.get(META)
    for item in items:
        if metas is not None and isinstance(item, Example):
            yield replace(item, meta=metas[item.example_id])
        else:
            yield item


def has_grammar(examples: Sequence[Example]) -> bool:
    """Whether all examples know the grammar of their right answers; those read from files do not."""
    return all("grammar" in example.meta for example in examples)


def ideal_texts(examples: Sequence[Example], samples: int) -> list[list[str]]:
    """Correct answers that the grammar draws for each example, independently of its reference."""
    return [
        [draw(e.meta["grammar"], Random(f"ideal/{e.example_id}/{k}")) for k in range(samples)]  # noqa: S311  no secret
        for e in examples
    ]
