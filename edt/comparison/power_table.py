"""Show how many examples and samples a margin needs, and write it as CSV or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edt.comparison.pilot import PowerRequest, PowerTable
from edt.comparison.table import check_out
from edt.metrics.suite import presentation
from edt.report.documents import csv_from_rows
from edt.store.atomic import write_text


def print_power(tables: Sequence[PowerTable], request: PowerRequest, console: Console) -> None:
    """Print a table per task and metric, with a row of the examples that the margin needs."""
    for table in tables:
        _print(table, request, console)
    side = "one-sided" if request.nested else "two-sided"
    # Once for all tables, since they share levels and family.
    note = (
        f"Cells: the smallest difference that is found with a chance of {100 * request.power:g} % at the {side} level "
        f"of {100 * request.level:g} %, alone / as the first of {tables[0].tests} tests corrected by Holm."
    )
    console.print(note, highlight=False, markup=False, style="dim", soft_wrap=True)


def _print(table: PowerTable, request: PowerRequest, console: Console) -> None:
    label = presentation(table.metric).label
    console.print(
        f"{f'{table.task}, ' if table.task else ''}{label}: {table.about}", highlight=False, markup=False,
        soft_wrap=True,
    )  # fmt: skip
    if table.unknown:
        console.print(f"no table: {table.unknown}", highlight=False, markup=False, soft_wrap=True)
        return
    console.print(_spread_text(table), highlight=False, markup=False, style="dim", soft_wrap=True)
    shown = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    shown.add_column("examples", justify="right")
    for samples in request.samples:
        shown.add_column(f"{samples} samples", justify="right")
    for n in request.examples:
        cells = [_cell(table.alone[n, samples], table.in_family[n, samples]) for samples in request.samples]
        shown.add_row(str(n), *map(escape, cells), end_section=n == request.examples[-1])
    # Without a margin there is no number of examples to ask for, and the cells answer the question.
    if table.margin is not None:
        needed = [table.needed[samples] for samples in request.samples]
        texts = ["–" if counts is None else f"{counts[0]:,} / {counts[1]:,}" for counts in needed]
        shown.add_row(f"for {table.margin:g}", *texts, style="bold")
    console.print(shown)


def _cell(alone: float | None, in_family: float | None) -> str:
    # A number of samples that the pilot cannot speak of, see Spread.fits.
    return "–" if alone is None or in_family is None else f"{alone:.2f} / {in_family:.2f}"


def _spread_text(table: PowerTable) -> str:
    """Return the parts of the variance in words, and how well a pilot knows them."""
    # In standard deviations, which are in the metric's own units.
    spread = table.spread
    unit = "cluster" if spread.cluster_size > 1 else "example"
    if spread.sampling is None:
        return (
            f"sd {math.sqrt(spread.between):.3g} per {unit}, not split into parts, so more samples count for nothing "
            "here; more samples than metrics.group_size, or sd_between, split it."
        )
    per = "sample" if spread.group_size == 1 else f"group of {spread.group_size} samples"
    return f"sd {math.sqrt(spread.between):.3g} between {unit}s, {math.sqrt(spread.sampling):.3g} of one {per}."


def write_power(tables: Sequence[PowerTable], request: PowerRequest, path: Path) -> None:
    """Write a row per task, metric, examples and samples as CSV or JSON, by the ending of the path."""
    check_out(path)
    rows = [row for table in tables for row in _rows(table, request)]
    as_json = path.suffix == ".json"
    text = json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False) + "\n" if as_json else csv_from_rows(rows)
    write_text(path, text, setting="out")


def _rows(table: PowerTable, request: PowerRequest) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for samples in request.samples:
        # Repeated in each row, so that a filter on samples loses nothing.
        needed = table.needed.get(samples)
        shared = {
            "task": table.task,
            "metric": table.metric,
            "margin": table.margin,
            "tests": table.tests,
            "samples": samples,
            "examples_needed": None if needed is None else needed[0],
            "examples_needed_in_family": None if needed is None else needed[1],
            "variance_between": None if table.unknown else table.spread.between,
            "variance_sampling": None if table.unknown else table.spread.sampling,
            "group_size": table.spread.group_size,
            "from": table.about,
        }
        rows += [
            {
                **shared,
                "examples": n,
                "detectable": table.alone.get((n, samples)),
                "detectable_in_family": table.in_family.get((n, samples)),
                "note": table.unknown,
            }
            for n in request.examples
        ]
    return rows
