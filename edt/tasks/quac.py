"""QuAC: questions about a Wikipedia section, asked in dialogues (Choi et al. 2018, v0.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.errors import DataError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.columns import Columns, checked, equal_lengths
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow
from edt.tasks.sources.subsets import OfficialSplit, SubsetPlan, SubsetRule

CANNOTANSWER = "CANNOTANSWER"
"""The reference of a question that the section does not answer; also the last word of every published section."""

SECTION: Columns = {"paragraphs": list}
DIALOGUE: Columns = {"id": str, "context": str, "qas": list}
QUESTION: Columns = {"id": str, "question": str, "answers": list}
ANSWER: Columns = {"text": str}
TEXTS: Columns = {"texts": list}
HUB_DIALOGUE: Columns = {
    "dialogue_id": str,
    "context": str,
    "turn_ids": list,
    "questions": list,
    "answers": (dict, list),
    "orig_answers": dict,
}


@dataclass(frozen=True, kw_only=True)
class QuAC(DatasetTask):
    """Row schema: one dialogue {id, context, qas, section_title?, title?}, qas [{id, question, answers: [{text}, ..],
    orig_answer?: {text}}, ..].

    Each question is an example; its cluster is the dialogue. Template fields: `topic` (page title and section title,
    what there is of them), `context`, `question`; in `turn`: `question`, `answer`, the gold answer of an earlier
    question (orig_answer, the one given in the dialogue). CANNOTANSWER stays a reference and a gold answer like any
    other, since to say so is the right output; the word that the authors put behind each section is taken off, the
    template's instruction names it instead.
    Splits, by dialogue: 10k questions of train; 1k questions of the other train dialogues; 1k questions of validation
    (dialogues are taken whole, so a few questions more).
    """

    name: ClassVar[str] = "quac"
    quality: ClassVar[str] = "rouge_l"
    official: ClassVar[frozenset[OfficialSplit]] = frozenset({"train", "dev"})
    unit: ClassVar[str] = "questions"
    plan: ClassVar[SubsetPlan] = {
        "train": SubsetRule(pool="train"),
        "dev": SubsetRule(pool="train", after="train"),
        "test": SubsetRule(pool="dev"),
    }

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """The dialogues of the published JSON, or of the hub's rows."""
        for where, document in located:
            yield from dialogues(document, where)

    def row_id(self, row: Row) -> str:
        """The dialogue's id."""
        return str(row["id"])

    def weight(self, row: Row) -> int:
        """The number of questions; 1 for a dialogue without any, which no slice would end at otherwise."""
        return max(1, len(row["qas"]))

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """One example per question, with the questions before it as turns."""
        titles = (str(row.get(key) or "").strip() for key in ("title", "section_title"))
        shared = {
            "topic": ", ".join(title for title in titles if title),
            "context": row["context"].strip().removesuffix(CANNOTANSWER).rstrip(),
        }
        turns: list[Mapping[str, str]] = []
        for qa in row["qas"]:
            question = qa["question"].strip()
            references = tuple(dict.fromkeys(text for answer in qa["answers"] if (text := answer["text"].strip())))
            if not references:
                yield DroppedRow(reason="no answer")
                continue
            yield self.make_example(
                split=split,
                example_id=qa["id"],
                cluster_id=self.row_id(row),
                fields={**shared, "question": question},
                references=references,
                turns=tuple(turns),
            )
            gold = (qa.get("orig_answer") or {"text": references[0]})["text"].strip()
            turns.append({"question": question, "answer": gold or references[0]})


def dialogues(document: Any, where: str) -> Iterator[Row]:
    """The dialogues of one JSON document: the whole published file, one of its dialogues, or a row of the hub."""
    if isinstance(document, Mapping) and "data" in document:
        sections = checked(document, {"data": list}, where)["data"]
        if not sections:
            raise DataError(f"{where} holds no dialogue: its list 'data' is empty. Give another task.path.")
        for number, section in enumerate(sections):
            yield from section_dialogues(section, f"{where}, data[{number}]")
    elif isinstance(document, Mapping) and "dialogue_id" in document:
        yield from_hub(document, where)
    else:
        yield checked_dialogue(document, where)


def section_dialogues(section: Any, where: str) -> Iterator[Row]:
    """The dialogues about one section, each with the section's titles."""
    titles = {key: section[key] for key in ("title", "section_title") if key in checked(section, SECTION, where)}
    for number, paragraph in enumerate(section["paragraphs"]):
        yield checked_dialogue(paragraph, f"{where}.paragraphs[{number}]") | titles


def checked_dialogue(dialogue: Any, where: str) -> dict[str, Any]:
    """The dialogue, when it, its questions and their answers have their columns."""
    checked(dialogue, DIALOGUE, where)
    for number, qa in enumerate(dialogue["qas"]):
        place = f"{where}.qas[{number}]"
        for answer in checked(qa, QUESTION, place)["answers"]:
            checked(answer, ANSWER, f"{place}.answers")
    return dict(dialogue)


def from_hub(row: Any, where: str) -> Row:
    """The dialogue of a row as the hub's parquet files have it: one list per column of the questions."""
    checked(row, HUB_DIALOGUE, where)
    lists = {
        "turn_ids": row["turn_ids"],
        "questions": row["questions"],
        "answers": answer_texts(row["answers"], where),
        "orig_answers": checked(row["orig_answers"], TEXTS, f"{where}, column 'orig_answers'")["texts"],
    }
    equal_lengths(lists, where)
    qas = [
        {"id": qa_id, "question": question, "answers": [{"text": text} for text in texts], "orig_answer": {"text": own}}
        for qa_id, question, texts, own in zip(*lists.values(), strict=True)
    ]
    titles = {"title": row.get("wikipedia_page_title"), "section_title": row.get("section_title")}
    return {"id": row["dialogue_id"], "context": row["context"], "qas": qas, **titles}


def answer_texts(answers: Any, where: str) -> Sequence[Sequence[str]]:
    """The answers' texts per question, from a struct of lists or a list of structs: `datasets` has written both."""
    place = f"{where}, column 'answers'"
    if isinstance(answers, Mapping):
        return list(checked(answers, TEXTS, place)["texts"])
    return [checked(answer, TEXTS, place)["texts"] for answer in answers]
