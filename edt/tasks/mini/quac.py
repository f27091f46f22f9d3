"""mini_quac: a section about a person, and a dialogue of two or three questions, each answered by a sentence.

Unlike in QuAC, an answer is a new sentence and not a span of the section, so its `answer_start` is -1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.mini.biographies import FACT_KINDS, Fact, new_person
from edt.tasks.mini.generated_task import META, GeneratedTask, attach_meta
from edt.tasks.mini.variants import with_open_slots
from edt.tasks.mini.world import World
from edt.tasks.quac import QuAC


@dataclass(frozen=True, kw_only=True)
class MiniQuAC(GeneratedTask, QuAC):
    """QuAC's task on generated dialogues."""

    name: ClassVar[str] = "mini_quac"

    def build(self, world: World, row_id: str) -> dict[str, Any]:
        """Return a dialogue in QuAC's schema: even rows have two questions, odd rows three."""
        person = new_person(world)
        facts = [kind(world, person) for kind in FACT_KINDS.values()]
        section = " ".join(fact.sentence.text(world) for fact in facts)

        # Two or three of the four facts, so that the section also has facts that no question needs.
        asked_facts = world.shuffled(facts)[: 2 + world.index % 2]
        asked_facts = [replace(f, answer=with_open_slots(f.answer, world.variant, "en")) for f in asked_facts]
        questions = [_question(world, fact, f"{row_id}_q#{turn}") for turn, fact in enumerate(asked_facts)]
        metas = {question["id"]: fact.answer.meta(world) for question, fact in zip(questions, asked_facts, strict=True)}
        return {
            "id": row_id,
            "title": person.name,
            "section_title": "Life",
            "background": "",
            "context": section,
            "qas": questions,
            META: metas,
        }

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield QuAC's examples, one per question, with their meta."""
        return attach_meta(super().parse(row, split), row)


def _question(world: World, fact: Fact, question_id: str) -> dict[str, Any]:
    answer = {"text": fact.answer.text(world), "answer_start": -1}
    return {
        "id": question_id,
        "question": fact.question,
        "answers": [answer],
        "orig_answer": answer,
        # Codes that complete QuAC's schema (follow up; neither yes nor no); `parse` does not read them.
        "followup": "y",
        "yesno": "x",
    }
