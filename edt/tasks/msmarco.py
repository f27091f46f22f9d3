"""MS MARCO v1.1: free-form answers from the passages of a web search (Nguyen et al. 2016, microsoft/ms_marco)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.errors import ConfigError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.columns import Columns, check_columns, check_equal_lengths, check_texts
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow
from edt.tasks.sources.subsets import SubsetPlan, SubsetRule

__all__ = ["MSMarco"]

# The data set's query ids are numbers, those of mini_msmarco texts.
_COLUMNS: Columns = {"query_id": (int, str), "query": str, "passages": (dict, list), "answers": (list, type(None))}
_HUB_PASSAGES: Columns = {"passage_text": list, "is_selected": list}
_PUBLISHED_PASSAGE: Columns = {"passage_text": str, "is_selected": int}
_NO_ANSWER = ("", "No Answer Present.")
"""Answers that mean "none"."""

_PASSAGES = ("all", "selected")


@dataclass(frozen=True, kw_only=True)
class MSMarco(DatasetTask):
    """Row schema: {query_id, query, answers, passages}; passages is {passage_text: [..], is_selected: [..]} as on
    the hub, or [{passage_text, is_selected}, ..] as published.

    Template fields: `passages` (one numbered line each), `query`. References: all distinct answers.
    Splits: 10k of train; 1k of the other train rows; 1k of validation.

    path: file or folder with JSON (lines) {query_id, query, passages, answers}; null: read the hub.
    """

    name: ClassVar[str] = "msmarco"
    quality: ClassVar[str] = "rouge_l"
    plain_stop: ClassVar[tuple[str, ...]] = ("\n",)
    plan: ClassVar[SubsetPlan] = {
        "train": SubsetRule(official="train"),
        "dev": SubsetRule(official="train", excluding="train"),
        "test": SubsetRule(official="dev"),
    }

    instruction: str | None = "Answer the question with the help of the passages."

    passages: str = "all"
    """all passages in file order, or only the selected ones, which the annotators answered from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passages not in _PASSAGES:
            raise ConfigError(f"task.passages is '{self.passages}'; it must be one of: {', '.join(_PASSAGES)}.")

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield the rows, with their columns and those of their passages checked."""
        return (_check_row(row, where) for where, row in located)

    def row_id(self, row: Row) -> str:
        """Return the query's id."""
        return str(row["query_id"])

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield the question with its passages, unless nobody answered it."""
        # Where nobody answered, the list is null, empty, or holds one of the texts of _NO_ANSWER.
        answers = [answer.strip() for answer in row["answers"] or ()]
        # dict.fromkeys drops equal answers and keeps the order.
        references = tuple(dict.fromkeys(answer for answer in answers if answer not in _NO_ANSWER))
        # In file order, not the selected ones first: the order would give away which passage has the answer.
        passages = [text for text, selected in _passage_list(row["passages"]) if selected or self.passages == "all"]
        # An answered question may have no selected passage; with passages=selected nothing is left to answer from.
        if not references or not passages:
            yield DroppedRow(reason="no answer" if not references else f"no passage ({self.passages})")
            return

        numbered = "\n".join(f"[{number}] {text}" for number, text in enumerate(passages, start=1))
        yield self.make_example(
            split=split,
            example_id=self.row_id(row),
            fields={"passages": numbered, "query": row["query"].strip()},
            references=references,
        )


def _passage_list(passages: Any) -> list[tuple[str, bool]]:
    """Return (text, whether selected) of each passage in file order, from either form."""
    if isinstance(passages, Mapping):
        pairs = list(zip(passages["passage_text"], passages["is_selected"], strict=True))
    else:
        pairs = [(passage["passage_text"], passage["is_selected"]) for passage in passages]
    # One line per passage: a line break in it would look like the end of the list.
    return [(" ".join(text.split()), selected == 1) for text, selected in pairs]


def _check_row(row: Any, where: str) -> Row:
    """Return the row if it and its passages have their columns; raise DataError otherwise."""
    check_columns(row, _COLUMNS, where)
    check_texts(row["answers"] or (), f"{where}, column 'answers'")

    # The hub stores a struct of lists, the published file a list of structs.
    passages = row["passages"]
    if isinstance(passages, Mapping):
        column = f"{where}, column 'passages'"
        check_columns(passages, _HUB_PASSAGES, column)
        check_equal_lengths({name: passages[name] for name in _HUB_PASSAGES}, column)
        check_texts(passages["passage_text"], column)
    else:
        for number, passage in enumerate(passages, start=1):
            check_columns(passage, _PUBLISHED_PASSAGE, f"{where}, passage {number}")
    return dict(row)
