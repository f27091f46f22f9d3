"""Show a comparison on the terminal, and write it as CSV or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edt.comparison.compare import CompareRequest, Row
from edt.errors import ConfigError, suggestion
from edt.metrics.suite import presentation
from edt.report.documents import csv_from_rows
from edt.statistics.verdicts import LEAST_CLUSTERS
from edt.store.atomic import write_text

_ENDINGS = (".csv", ".json")


def print_comparison(rows: Sequence[Row], request: CompareRequest, console: Console) -> None:
    """Print a table with a row per metric, and below it what its columns mean."""
    for name in ("a", "b"):
        console.print(f"{name.upper()}: {getattr(request, name)}", highlight=False, markup=False, soft_wrap=True)
    # Two columns less where no margin was given.
    has_verdict = any(row.verdict for row in rows)
    # Rows with a nested margin have another level than the others.
    levels = sorted({row.confidence for row in rows})
    interval = " / ".join(f"{100 * level:.3g} %" for level in levels)
    shown = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    headings = ["task", "metric", "A", "B", f"A − B [{interval}]", "p", "p (Holm)", "detectable", "… in the family"]
    for heading in [*headings, *(["margin", "verdict"] if has_verdict else [])]:
        shown.add_column(heading, justify="left" if heading in ("task", "metric", "verdict") else "right")
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        cells = [row.task, _heading(row), _text(row.a), _text(row.b), _difference(row), _p_text(row.p_value)]
        cells += [_p_text(row.p_adjusted), _text(row.detectable), _text(row.detectable_in_family)]
        if has_verdict:
            cells += ["–" if row.margin is None else f"{row.margin:g}", row.verdict_text or "–"]
        # rich reads "[0.1, 0.4]" as markup unless it is escaped.
        shown.add_row(*map(escape, cells), end_section=following is None or following.task != row.task)
    # A pipe has no window: nothing is cut off there.
    if not console.is_terminal:
        console.width = max(console.width, 200)
    console.print(shown)
    for line in _notes(rows, request):
        console.print(line, highlight=False, markup=False, style="dim", soft_wrap=True)


def _heading(row: Row) -> str:
    arrow = {None: "", True: " ↑", False: " ↓"}[row.higher_is_better]
    return presentation(row.metric).label + arrow


def _difference(row: Row) -> str:
    if math.isnan(row.difference):
        return "–"
    if math.isnan(row.lo):
        return f"{_signed(row.difference)}"
    return f"{_signed(row.difference)} [{_signed(row.lo)}, {_signed(row.hi)}]"


def _signed(value: float) -> str:
    # A true minus sign, as in all tables.
    return f"{value:+.2f}".replace("-", "−")


def _text(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _p_text(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _notes(rows: Sequence[Row], request: CompareRequest) -> list[str]:
    """Return what a reader needs to know of the table, a line each."""
    bootstrap = request.metrics.bootstrap
    sizes = dict.fromkeys(
        f"{row.task}: {row.examples} examples in {row.clusters} clusters × {row.samples} samples" for row in rows
    )
    # A row without a p-value is no test.
    tests = sum(not math.isnan(row.p_value) for row in rows)
    side = "one-sided p, since A's family contains B's" if request.nested else "two-sided p"
    corrected = sorted({row.metric for row in rows if row.method != "percentile"})
    lines = [
        "; ".join(sizes) + ".",
        f"Paired cluster bootstrap, {bootstrap.resamples:,} resamples; {side}, and after Holm's correction over "
        f"{tests} {'test' if tests == 1 else 'tests'}. Detectable: the smallest difference that is found with a chance "
        "of 80 %, alone, and as the first of the family.",
    ]
    if request.metrics.group_size is not None:
        lines.append(f"What depends on the number of samples is of groups of {request.metrics.group_size}, averaged.")
    if corrected:
        lines.append(f"Corrected for bias and skewness (BCa): {', '.join(corrected)}.")
    lines += dict.fromkeys(row.note for row in rows if row.note)
    # Said also without margins: whoever reads an interval should know.
    least = min(row.clusters for row in rows)
    if least < LEAST_CLUSTERS and not any(row.verdict for row in rows):
        lines.append(
            f"{least} clusters are few: the intervals are too short, and no verdict is drawn below {LEAST_CLUSTERS}."
        )
    return lines


def check_out(path: Path | None) -> None:
    """Raise ConfigError for a file of another kind than the comparison can be written as."""
    if path is not None and path.suffix not in _ENDINGS:
        near = suggestion(path.suffix, _ENDINGS) if path.suffix else ""
        raise ConfigError(f"out is '{path}'{near}; it must end in {' or '.join(_ENDINGS)}.")


def write_comparison(rows: Sequence[Row], request: CompareRequest, path: Path) -> None:
    """Write the rows as CSV or JSON, by the ending of the path."""
    check_out(path)
    write_text(path, _csv(rows, request) if path.suffix == ".csv" else _json(rows, request), setting="out")


def _csv(rows: Sequence[Row], request: CompareRequest) -> str:
    return csv_from_rows([{"a_source": request.a, "b_source": request.b, **_fields(row)} for row in rows])


def _json(rows: Sequence[Row], request: CompareRequest) -> str:
    bootstrap = request.metrics.bootstrap
    content = {
        "a": request.a,
        "b": request.b,
        "nested": request.nested,
        "bootstrap": {"resamples": bootstrap.resamples, "confidence": bootstrap.confidence, "seed": bootstrap.seed},
        "rows": [_fields(row) for row in rows],
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _fields(row: Row) -> dict[str, Any]:
    """Return every field of a row under its own name, so that the file can be read back; None is missing."""
    # JSON has no NaN, and a spreadsheet takes the word "nan" for text.
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()
    }
