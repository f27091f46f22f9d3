"""A first look at the trade-off on the mini tasks: six fixed temperatures next to six EDT settings.

    python -m scripts.mini_first_look                     100 dev examples of each task, 8 samples each
    python -m scripts.mini_first_look --limit 20 --samples 4

It takes about five minutes on 2 cores and writes nothing: it prints one table per task with quality, Self-BLEU,
factuality and distinct correct outputs. The last row has the scores of the grammar itself: its quality is the ceiling,
its Self-BLEU the diversity of a perfect model (the ideal point). Nothing is selected or tested for significance, and
there is no verdict: that is the work of `edt study`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edt.strategies import EDT, Fixed
from edt.strategies.base import Strategy
from scripts.mini_scores import ROOT, Scores, score_model

_FIXED = (0.0, 0.3, 0.5, 0.7, 1.0, 1.2)
"""Temperatures; 0 is greedy."""

_EDT_POINTS = ((0.7, 0.1), (0.7, 0.5), (1.0, 0.1), (1.0, 0.5), (1.0, 1.0), (1.2, 1.0))
"""(T0, θ), chosen before any result was seen: the grid of configs/strategy/edt_grid.yaml without one point, and the
point with which the tasks' Zipf exponent was chosen."""

_COLUMNS = ("quality", "self_bleu", "factuality", "distinct_correct")


def _settings() -> dict[str, Strategy]:
    fixed: dict[str, Strategy] = {f"fixed T={t0:g}": Fixed(t0=t0) for t0 in _FIXED}
    return fixed | {f"edt T0={t0:g} θ={theta:g}": EDT(t0=t0, theta=theta) for t0, theta in _EDT_POINTS}


def _table(title: str, rows: dict[str, Scores]) -> Table:
    """Return one task's settings, the grammar last."""
    table = Table(title=title)
    table.add_column("setting")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for label, scores in rows.items():
        if label != "grammar":
            table.add_row(label, *_cells(scores))
    table.add_section()
    table.add_row("grammar (ceiling and ideal point)", *_cells(rows["grammar"]))
    return table


def _cells(scores: Scores) -> list[str]:
    return [f"{scores[column]:.2f}" if column in scores else "–" for column in _COLUMNS]


def main() -> None:
    """Decode, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "edt" / "assets" / "mini", help="folder of the model")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--limit", type=int, default=100, help="examples per task")
    parser.add_argument("--samples", type=int, default=8, help="samples per example and setting")
    arguments = parser.parse_args()
    console = Console()
    tables = score_model(
        arguments.model, _settings(), split=arguments.split, limit=arguments.limit, samples=arguments.samples
    )
    for name, rows in tables.items():
        console.print(_table(f"{name}, {arguments.split}, {arguments.limit} × {arguments.samples}", rows))


if __name__ == "__main__":
    main()
