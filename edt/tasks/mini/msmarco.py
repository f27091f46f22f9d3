"""mini_msmarco: a question, three passages of which one answers it, and the answer as a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.questions import KINDS
from edt.tasks.mini.world import World
from edt.tasks.msmarco import MSMarco

PASSAGES = 3
"""Passages of a question: one that answers it, the others of other kinds about other subjects. Their
years and figures are alike, so the question's relation decides which to copy."""


@dataclass(frozen=True, kw_only=True)
class MiniMSMarco(GeneratedTask, MSMarco):
    """MS MARCO's task over generated rows."""

    name: ClassVar[str] = "mini_msmarco"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """A row in MS MARCO's columns (the hub's form: `passages` is a dict of lists)."""
        entries = [kind(world) for kind in world.shuffled(KINDS)[:PASSAGES]]
        asked = entries[0]
        order = world.shuffled(range(PASSAGES))
        return {
            "query_id": row_id,
            "query": asked.query,
            "query_type": asked.query_type,
            "passages": {
                "is_selected": [int(index == 0) for index in order],
                "passage_text": [entries[index].passage.text(world.random) for index in order],
                "url": [""] * PASSAGES,
            },
            "answers": [asked.answer.text(world.random)],
            "wellFormedAnswers": [],
            META: {row_id: asked.answer.meta(world.facts)},
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """MS MARCO's example with the checker's meta."""
        return attach_meta(super().parse(row, split), row)
