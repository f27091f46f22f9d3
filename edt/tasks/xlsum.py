"""XL-Sum, English: one-sentence summaries of BBC articles (Hasan et al. 2021, csebuetnlp/xlsum)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.columns import Columns, check_columns
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow

__all__ = ["XLSum"]

_COLUMNS: Columns = {"id": str, "summary": str, "text": str}


@dataclass(frozen=True, kw_only=True)
class XLSum(DatasetTask):
    """Row schema: {id, summary, text}. The columns url and title are not read: a title gives the summary away.

    Template fields: `text`. Splits: 10k of train, 1k of validation, 1k of test.

    path: file or folder with JSON lines {id, summary, text}; null: read the hub.
    """

    name: ClassVar[str] = "xlsum"
    quality: ClassVar[str] = "rouge_l"
    extra_metrics: ClassVar[tuple[str, ...]] = ("entity_precision", "number_precision")
    plain_stop: ClassVar[tuple[str, ...]] = ("\n",)

    instruction: str | None = "Summarize the news article in one sentence."

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield the rows, with their columns checked."""
        return (check_columns(row, _COLUMNS, where) for where, row in located)

    def row_id(self, row: Row) -> str:
        """Return the article's id."""
        return str(row["id"])

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield the article with its one reference."""
        text, summary = row["text"].strip(), row["summary"].strip()
        # Dropped rows are counted by reason; an empty reference would score 0 and look like a bad output.
        if not text or not summary:
            yield DroppedRow(reason="empty article" if not text else "empty summary")
            return
        yield self.make_example(split=split, example_id=self.row_id(row), fields={"text": text}, references=(summary,))
