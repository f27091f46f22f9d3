"""MS MARCO v1.1: answers in own words from the passages of a web search (Nguyen et al. 2016, microsoft/ms_marco)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from edt.errors import ConfigError
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.columns import Columns, checked, equal_lengths, texts
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow
from edt.tasks.sources.subsets import SubsetPlan, SubsetRule

COLUMNS: Columns = {"query_id": (int, str), "query": str, "passages": (dict, list), "answers": (list, type(None))}
HUB_PASSAGES: Columns = {"passage_text": list, "is_selected": list}
NATIVE_PASSAGE: Columns = {"passage_text": str, "is_selected": int}
NO_ANSWER = ("", "No Answer Present.")
"""Answers that say there is none."""

PASSAGES = ("all", "selected")


@dataclass(frozen=True, kw_only=True)
class MSMarco(DatasetTask):
    """Row schema: {query_id, query, answers, passages}; passages {passage_text: [..], is_selected: [..]} as on the
    hub, or [{passage_text, is_selected}, ..] as published.

    passages: "all" in file order, or only the "selected" ones that the annotators answered from.
    Template fields: `passages` (one numbered line each), `query`. References: all answers, equal ones once.
    Splits: 10k of train; 1k of the other train rows; 1k of validation.
    """

    name: ClassVar[str] = "msmarco"
    quality: ClassVar[str] = "rouge_l"
    plan: ClassVar[SubsetPlan] = {
        "train": SubsetRule(pool="train"),
        "dev": SubsetRule(pool="train", after="train"),
        "test": SubsetRule(pool="dev"),
    }

    passages: str = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passages not in PASSAGES:
            raise ConfigError(f"task.passages is '{self.passages}'; it is one of: {', '.join(PASSAGES)}.")

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """The rows, each with its columns and those of its passages."""
        for where, row in located:
            yield checked_row(row, where)

    def row_id(self, row: Row) -> str:
        """The query's id."""
        return str(row["query_id"])

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """The question with its passages, unless nobody answered it."""
        given = [answer.strip() for answer in row["answers"] or ()]
        answers = tuple(dict.fromkeys(answer for answer in given if answer not in NO_ANSWER))
        kept = [text for text, selected in passage_list(row["passages"]) if selected or self.passages == "all"]
        if not answers or not kept:
            yield DroppedRow(reason="no answer" if not answers else f"no passage ({self.passages})")
            return
        numbered = "\n".join(f"[{number}] {text}" for number, text in enumerate(kept, start=1))
        yield self.make_example(
            split=split,
            example_id=self.row_id(row),
            fields={"passages": numbered, "query": row["query"].strip()},
            references=answers,
        )


def passage_list(passages: Any) -> list[tuple[str, bool]]:
    """(text, whether selected) per passage in file order, from either form."""
    if isinstance(passages, Mapping):
        pairs = list(zip(passages["passage_text"], passages["is_selected"], strict=True))
    else:
        pairs = [(passage["passage_text"], passage["is_selected"]) for passage in passages]
    return [(" ".join(text.split()), selected == 1) for text, selected in pairs]


def checked_row(row: Any, where: str) -> Row:
    """The row, when it and its passages have their columns."""
    checked(row, COLUMNS, where)
    texts(row["answers"] or (), f"{where}, column 'answers'")
    passages = row["passages"]
    if isinstance(passages, Mapping):
        place = f"{where}, column 'passages'"
        checked(passages, HUB_PASSAGES, place)
        equal_lengths({name: passages[name] for name in HUB_PASSAGES}, place)
        texts(passages["passage_text"], place)
    else:
        for number, passage in enumerate(passages, start=1):
            checked(passage, NATIVE_PASSAGE, f"{where}, passage {number}")
    return dict(row)
