"""mini_wmt19: a sentence of news in English and its Chinese translation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.news_sentences import NEWS_KINDS
from edt.tasks.mini.variants import with_open_slots
from edt.tasks.mini.world import World
from edt.tasks.wmt19 import WMT19


@dataclass(frozen=True, kw_only=True)
class MiniWMT19(GeneratedTask, WMT19):
    """WMT19's task on generated rows."""

    name: ClassVar[str] = "mini_wmt19"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """Return a row in WMT19's column, with an id."""
        news = world.pick(tuple(NEWS_KINDS.values()))(world)
        answer = with_open_slots(news.chinese, world.variant, "zh")
        # The order of the draws decides every text, and the rows of version 0.1.0 are pinned.
        english = news.english.text(world)
        chinese = answer.text(world)
        return {
            # Given, so that META can name the example; without it, the id would be a hash of the texts.
            "id": row_id,
            "translation": {"en": english, "zh": chinese},
            META: {row_id: answer.meta(world)},
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield WMT19's example with its meta."""
        return attach_meta(super().parse(row, split), row)
