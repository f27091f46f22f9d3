"""mini_quac: a section about a life, and a dialogue of two or three questions, each answered by a sentence.

Unlike in QuAC, an answer is a sentence of its own and no span of the section, so its `answer_start` is -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.biographies import FACT_KINDS, Fact, new_person
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.world import World
from edt.tasks.quac import QuAC


@dataclass(frozen=True, kw_only=True)
class MiniQuAC(GeneratedTask, QuAC):
    """QuAC's task over generated dialogues."""

    name: ClassVar[str] = "mini_quac"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """A dialogue as QuAC's rows are: even ones have two questions, odd ones three."""
        life = new_person(world)
        chapters = [chapter(world, life) for chapter in FACT_KINDS]
        section = " ".join(chapter.sentence.text(world.random) for chapter in chapters)
        asked = world.shuffled(chapters)[: 2 + world.index % 2]
        questions = [_question(world, chapter, f"{row_id}_q#{turn}") for turn, chapter in enumerate(asked)]
        metas = {
            question["id"]: chapter.answer.meta(world.facts) for question, chapter in zip(questions, asked, strict=True)
        }
        return {
            "id": row_id,
            "title": life.person,
            "section_title": "Life",
            "background": "",
            "context": section,
            "qas": questions,
            META: metas,
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """QuAC's examples, one per question, with the checker's meta."""
        return attach_meta(super().parse(row, split), row)


def _question(world: World, chapter: Fact, question_id: str) -> dict[str, Any]:
    answer = {"text": chapter.answer.text(world.random), "answer_start": -1}
    return {
        "id": question_id,
        "question": chapter.question,
        "answers": [answer],
        "orig_answer": answer,
        "followup": "y",
        "yesno": "x",
    }
