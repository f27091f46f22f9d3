"""QuAC: questions about a Wikipedia section, asked in dialogues (Choi et al. 2018, v0.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.errors import DataError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.columns import Columns, check_columns, check_equal_lengths, check_texts
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow
from edt.tasks.sources.subsets import OfficialSplit, SubsetPlan, SubsetRule

__all__ = ["QuAC"]

_CANNOTANSWER = "CANNOTANSWER"
"""The reference of a question that the section does not answer; also the last word of every published section."""

_SECTION: Columns = {"paragraphs": list}
_DIALOGUE: Columns = {"id": str, "context": str, "qas": list}
_QUESTION: Columns = {"id": str, "question": str, "answers": list}
_ANSWER: Columns = {"text": str}
_TEXTS: Columns = {"texts": list}
_HUB_DIALOGUE: Columns = {
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

    Each question is an example; its cluster is the dialogue.
    Template fields: `topic` (page title and section title, as far as they are given), `context`, `question`; in
    `turn`: `question` and `answer`, the gold answer of an earlier question (orig_answer, as given in the dialogue).
    CANNOTANSWER is a reference and a gold answer like any other, because it is the right output. The authors also
    append the word to each section; we remove it there, and the template's instruction names it instead.
    Splits, by dialogue: 10k questions of train; 1k questions of the other train dialogues; 1k questions of validation.
    Dialogues are taken whole, so a split may have a few questions more.

    path: file or folder with the official JSON; null: download the official files.
    """

    name: ClassVar[str] = "quac"
    quality: ClassVar[str] = "rouge_l"
    plain_stop: ClassVar[tuple[str, ...]] = ("\n",)
    official_splits: ClassVar[frozenset[OfficialSplit]] = frozenset({"train", "dev"})
    size_unit: ClassVar[str] = "questions"
    # The official test set is not public: test takes the validation dialogues, dev what train leaves.
    plan: ClassVar[SubsetPlan] = {
        "train": SubsetRule(official="train"),
        "dev": SubsetRule(official="train", excluding="train"),
        "test": SubsetRule(official="dev"),
    }

    instruction: str | None = (
        "Answer the questions in words of the text. Where the text has no answer, say CANNOTANSWER."
    )

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield the dialogues of the published JSON, or of the hub's rows."""
        for where, document in located:
            yield from _dialogues(document, where)

    def row_id(self, row: Row) -> str:
        """Return the dialogue's id."""
        return str(row["id"])

    def weight(self, row: Row) -> int:
        """Return the number of questions; 1 for a dialogue without any."""
        # A row of weight 0 would take no place in the seed's order, where every row needs one.
        return max(1, len(row["qas"]))

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield one example per question, with the questions before it as turns."""
        # `or`, not a default of `get`: a parquet row may have the key with null, which would become the topic "None".
        titles = (str(row.get(key) or "").strip() for key in ("title", "section_title"))
        shared = {
            "topic": ", ".join(title for title in titles if title),
            "context": row["context"].strip().removesuffix(_CANNOTANSWER).rstrip(),
        }

        turns: list[Mapping[str, str]] = []
        for qa in row["qas"]:
            question = qa["question"].strip()
            # Annotators often give the same answer. The best reference counts, so an equal one adds nothing.
            references = tuple(dict.fromkeys(text for answer in qa["answers"] if (text := answer["text"].strip())))
            if not references:
                # It is no turn either: later prompts would show a question with an empty answer.
                yield DroppedRow(reason="no answer")
                continue
            yield self.make_example(
                split=split,
                example_id=qa["id"],
                # One section and shared turns: intervals must resample dialogues, not questions.
                cluster_id=self.row_id(row),
                fields={**shared, "question": question},
                references=references,
                # A copy, because the list grows with the next question.
                turns=tuple(turns),
            )

            # Later questions refer to the answer of the dialogue, not to those of other annotators.
            gold = (qa.get("orig_answer") or {"text": references[0]})["text"].strip()
            turns.append({"question": question, "answer": gold or references[0]})


def _dialogues(document: Any, where: str) -> Iterator[Row]:
    """Yield the dialogues of a JSON document: the whole published file, one of its dialogues, or a row of the hub."""
    if isinstance(document, Mapping) and "data" in document:
        sections = check_columns(document, {"data": list}, where)["data"]
        # To `read_rows` the whole document is one row, so its check for empty files does not see this.
        if not sections:
            raise DataError(f"{where} has no dialogue: its list 'data' is empty. Give another task.path.")
        for number, section in enumerate(sections):
            yield from _section_dialogues(section, f"{where}, data[{number}]")
    # Only the hub's rows have this key; a published dialogue has `id`.
    elif isinstance(document, Mapping) and "dialogue_id" in document:
        yield _from_hub_row(document, where)
    else:
        yield _check_dialogue(document, where)


def _section_dialogues(section: Any, where: str) -> Iterator[Row]:
    """Yield the dialogues about one section, each with the section's titles."""
    check_columns(section, _SECTION, where)
    titles = {key: section[key] for key in ("title", "section_title") if key in section}
    for number, paragraph in enumerate(section["paragraphs"]):
        yield _check_dialogue(paragraph, f"{where}.paragraphs[{number}]") | titles


def _check_dialogue(dialogue: Any, where: str) -> dict[str, Any]:
    """Return the dialogue if it, its questions and their answers have their columns; raise DataError otherwise."""
    # Down to the answers, here: `parse` no longer knows the place of a wrong value.
    check_columns(dialogue, _DIALOGUE, where)
    for number, qa in enumerate(dialogue["qas"]):
        question = f"{where}.qas[{number}]"
        for answer in check_columns(qa, _QUESTION, question)["answers"]:
            check_columns(answer, _ANSWER, f"{question}.answers")
        if qa.get("orig_answer"):
            check_columns(qa["orig_answer"], _ANSWER, f"{question}.orig_answer")
    return dict(dialogue)


def _from_hub_row(row: Any, where: str) -> Row:
    """Return the dialogue of a row of the hub's parquet files, which have one list per column of the questions."""
    check_columns(row, _HUB_DIALOGUE, where)
    lists = {
        # The hub's name for the ids of the questions: both forms must give the same examples.
        "turn_ids": row["turn_ids"],
        "questions": row["questions"],
        "answers": _answer_texts(row["answers"], where),
        "orig_answers": check_columns(row["orig_answers"], _TEXTS, f"{where}, column 'orig_answers'")["texts"],
    }
    # Before the zip below, whose error would not name the row.
    check_equal_lengths(lists, where)
    for name in ("turn_ids", "questions", "orig_answers"):
        check_texts(lists[name], f"{where}, column '{name}'")
    for texts in lists["answers"]:
        check_texts(texts, f"{where}, column 'answers'")

    qas = [
        {
            "id": qa_id,
            "question": question,
            "answers": [{"text": text} for text in texts],
            "orig_answer": {"text": gold},
        }
        for qa_id, question, texts, gold in zip(*lists.values(), strict=True)
    ]

    titles = {"title": row.get("wikipedia_page_title"), "section_title": row.get("section_title")}
    return {"id": row["dialogue_id"], "context": row["context"], "qas": qas, **titles}


def _answer_texts(answers: Any, where: str) -> Sequence[Sequence[str]]:
    """Return the answers' texts per question, from a struct of lists or a list of structs."""
    column = f"{where}, column 'answers'"
    # Versions of `datasets` have written both forms.
    if isinstance(answers, Mapping):
        return list(check_columns(answers, _TEXTS, column)["texts"])
    return [check_columns(answer, _TEXTS, column)["texts"] for answer in answers]
