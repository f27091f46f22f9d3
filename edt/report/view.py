"""Choose the order and the number of the settings that a terminal's table shows; the files always hold all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edt.errors import ConfigError, suggestion
from edt.metrics.suite import METRICS, presentation
from edt.report.frame import DELTAS, HEADINGS, QUALITY_COLUMN, Group, Sections, TableRow, columns_in
from edt.scoring.outputs import GRAMMAR_ID

STRATEGY = "strategy"
"""The value of `sort` for the default order: by family, then by parameters."""


@dataclass(frozen=True, kw_only=True)
class TableView:
    """The options `sort` and `top`. Raises ConfigError for a value of a wrong kind.

    sort: a column or metric, best values first; `-` before it reverses the order. None keeps the default order.
    top: how many settings of each section are shown. Without `sort` they are those of best EDA, or of best quality
        where EDA is missing.
    """

    sort: str | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        # A list or a mapping on the command line is neither, and True would be taken for 1.
        if self.sort is not None and (not isinstance(self.sort, str) or not self.sort.lstrip("-")):
            raise ConfigError(f"sort is {self.sort!r}; it must be the name of a column, as sort=eda, or null.")
        if self.top is not None and (not isinstance(self.top, int) or isinstance(self.top, bool) or self.top < 1):
            raise ConfigError(f"top is {self.top!r}; it must be a number of settings, 1 or more, or null for all.")

    def check(self, own_metrics: Sequence[str]) -> None:
        """Raise ConfigError for a `sort` that no table can have, before anything is decoded.

        own_metrics: the names of the user's metrics.
        """
        self._check_known([STRATEGY, *HEADINGS, *own_metrics])

    def apply(self, sections: Sections) -> tuple[Sections, str]:
        """Return the sections as they are to be shown, and a note on what is left out; empty where nothing is."""
        if self.sort is None and self.top is None:
            return sections, ""
        # Against what is there: a metric of one task only is a column as well.
        self._check_known([STRATEGY, *columns_in(sections), *_quality_metrics(itertools.chain(*sections.values()))])
        shown: dict[Group, list[TableRow]] = {}
        for group, rows in sections.items():
            ordered = self._sorted(rows)
            # The grammar's answers are the ceiling of the section, and the baseline is what Δ is to: both stay.
            settings = [row for row in ordered if not _is_reference(row)]
            kept = settings[: self.top]
            shown[group] = [row for row in ordered if _is_reference(row) or row in kept]

        total, left = (sum(map(len, of.values())) for of in (sections, shown))
        note = f"{left} of {total} rows are shown (top={self.top}); table.md and table.csv hold all."
        return shown, note if left < total else ""

    def _check_known(self, known: Sequence[str]) -> None:
        name = (self.sort or STRATEGY).removeprefix("-")
        if name not in known:
            allowed = ", ".join(dict.fromkeys(known))
            raise ConfigError(f"sort is '{self.sort}'{suggestion(name, known)}; it must be one of: {allowed}.")

    def _sorted(self, rows: Sequence[TableRow]) -> list[TableRow]:
        """Return the rows of a section in the order of `sort`, those without a value last."""
        backwards, name = (self.sort or "").startswith("-"), (self.sort or "").removeprefix("-")
        if name == STRATEGY:
            return list(reversed(rows)) if backwards else list(rows)
        column = _column(name, rows)
        # Missing values are last in either direction: they are neither best nor worst.
        known = [row for row in rows if _value(row, column) is not None]
        ordered = sorted(known, key=lambda row: _loss(row, column), reverse=backwards)
        return [*ordered, *(row for row in rows if row not in known)]


def best_rows(rows: Sequence[TableRow], column: str) -> set[str]:
    """Return the strategies with the best value of a column; none where no direction is better, or all are equal."""
    if column not in HEADINGS or column in DELTAS.values() or _is_higher_better(column) is None:
        return set()
    # The grammar is a ceiling and no setting that could be chosen.
    losses = {row.strategy_id: _loss(row, column) for row in rows if not _is_grammar(row) and _has_value(row, column)}
    best = min(losses.values(), default=0.0)
    # Where all are equal, bold would mark the whole column.
    return set() if len(set(losses.values())) < 2 else {name for name, loss in losses.items() if loss == best}


def _column(name: str, rows: Sequence[TableRow]) -> str:
    """Return the column that `name` stands for in a section: by default EDA, or quality where EDA is missing."""
    if not name:
        return "eda" if any(_has_value(row, "eda") for row in rows) else QUALITY_COLUMN
    return QUALITY_COLUMN if name in _quality_metrics(rows) else name


def _quality_metrics(rows: Iterable[TableRow]) -> set[str]:
    """Return the metrics that the quality column shows, which a user may name in its place."""
    return {row.cells[QUALITY_COLUMN].metric for row in rows if QUALITY_COLUMN in row.cells}


def _loss(row: TableRow, column: str) -> float:
    """Return a number that is smaller for a better value."""
    value = _value(row, column)
    assert value is not None
    return -value if _is_higher_better(column) else value


def _is_higher_better(column: str) -> bool | None:
    """Return the better direction; None where there is none, as for a temperature."""
    if column in (QUALITY_COLUMN, DELTAS[QUALITY_COLUMN]):
        return True
    # Of a user's metric the scores do not say it; most are better where they are higher.
    name = "eda" if column == DELTAS["eda"] else column
    return presentation(name).higher_is_better if name in METRICS else True


def _value(row: TableRow, column: str) -> float | None:
    return row.cells[column].value if column in row.cells else None


def _has_value(row: TableRow, column: str) -> bool:
    return _value(row, column) is not None


def _is_grammar(row: TableRow) -> bool:
    return row.strategy_id == GRAMMAR_ID


def _is_reference(row: TableRow) -> bool:
    """Return whether a row is what the others are seen against: the grammar, or the baseline of the differences."""
    return _is_grammar(row) or any(cell.baseline == row.strategy_id for cell in row.cells.values())
