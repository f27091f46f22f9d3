"""mini_msmarco: a question, three passages of which one answers it, and the answer as a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.questions import QUESTION_KINDS
from edt.tasks.mini.variants import with_open_slots
from edt.tasks.mini.world import World
from edt.tasks.msmarco import MSMarco

_PASSAGES = 3
"""Passages per question: one answers it, the others are of other kinds about other subjects.

Their years and figures look alike, so the model must read the question to know which to copy.
"""


@dataclass(frozen=True, kw_only=True)
class MiniMSMarco(GeneratedTask, MSMarco):
    """MS MARCO's task on generated rows."""

    name: ClassVar[str] = "mini_msmarco"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """Return a row in MS MARCO's columns (the hub's form: `passages` is a dict of lists)."""
        # The first is asked; the others only lend their passages.
        questions = [kind(world) for kind in world.shuffled(tuple(QUESTION_KINDS.values()))[:_PASSAGES]]
        question = questions[0]
        answer = with_open_slots(question.answer, world.variant, "en")
        order = world.shuffled(range(_PASSAGES))

        return {
            "query_id": row_id,
            "query": question.query,
            "query_type": question.query_type,
            "passages": {
                "is_selected": [int(index == 0) for index in order],
                "passage_text": [questions[index].passage.text(world) for index in order],
                "url": [""] * _PASSAGES,
            },
            "answers": [answer.text(world)],
            "wellFormedAnswers": [],
            # All facts, because the prompt also states those of the distractors.
            META: {row_id: answer.meta(world)},
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield MS MARCO's example with its meta."""
        return attach_meta(super().parse(row, split), row)
