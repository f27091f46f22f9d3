"""mini_wmt19: a sentence of news in English and its Chinese translation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import Dropped, Row
from edt.tasks.mini.bulletins import KINDS
from edt.tasks.mini.rows import META, Generated, with_meta
from edt.tasks.mini.world import World
from edt.tasks.wmt19 import WMT19


@dataclass(frozen=True, kw_only=True)
class MiniWMT19(Generated, WMT19):
    """WMT19's task over generated rows."""

    name: ClassVar[str] = "mini_wmt19"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """A row in WMT19's column, with an id."""
        bulletin = world.pick(KINDS)(world)
        english = bulletin.english.text(world.random)
        chinese = bulletin.chinese.text(world.random)
        return {
            "id": row_id,
            "translation": {"en": english, "zh": chinese},
            META: {row_id: bulletin.chinese.meta(world.facts)},
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | Dropped]:
        """WMT19's example with the checker's meta."""
        return with_meta(super().parse(row, split), row)
