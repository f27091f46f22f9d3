"""mini_xlsum: a short article about one event, and its lead sentence as the summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.events import EVENTS
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.variants import with_open_slots
from edt.tasks.mini.world import World
from edt.tasks.xlsum import XLSum


@dataclass(frozen=True, kw_only=True)
class MiniXLSum(GeneratedTask, XLSum):
    """XL-Sum's task on generated rows."""

    name: ClassVar[str] = "mini_xlsum"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """Return a row in XL-Sum's columns."""
        article, summary = world.pick(tuple(EVENTS.values()))(world)
        summary = with_open_slots(summary, world.variant, "en")
        return {
            "id": row_id,
            "url": "",
            "title": "",
            # Before the text: the order of the draws decides both, and the rows of version 0.1.0 are pinned.
            "summary": summary.text(world),
            "text": article.text(world),
            META: {row_id: summary.meta(world)},
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield XL-Sum's example with its meta."""
        return attach_meta(super().parse(row, split), row)
