"""A first look at the trade-off on the mini tasks: six fixed temperatures and six EDT settings, side by side.

    python -m scripts.mini_first_look                     100 dev examples of each task, 8 samples each
    python -m scripts.mini_first_look --limit 20 --samples 4

Prints quality, Self-BLEU, factuality and distinct correct outputs, and beside them what the grammar itself reaches:
its quality is the ceiling, its Self-BLEU the diversity of a perfect model (the ideal point). No selection, no test of
significance and no verdict: that is a study's work.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edt.strategies import EDT, Fixed
from edt.strategies.base import Strategy
from scripts.mini_scores import ROOT, Scores, score_model

FIXED = (0.0, 0.3, 0.5, 0.7, 1.0, 1.2)
"""Temperatures; 0 is greedy."""

EDT_POINTS = ((0.7, 0.1), (0.7, 0.5), (1.0, 0.1), (1.0, 0.5), (1.0, 1.0), (1.2, 1.0))
"""(T0, theta), chosen before any result was seen: the grid of configs/strategy/edt_grid.yaml, less one, and the point
of the trial that the tasks' skew was found with."""

COLUMNS = ("quality", "self_bleu", "factuality", "distinct_correct")


def settings() -> dict[str, Strategy]:
    """The twelve settings by label."""
    fixed: dict[str, Strategy] = {f"fixed T={t0:g}": Fixed(t0=t0) for t0 in FIXED}
    return fixed | {f"edt T0={t0:g} θ={theta:g}": EDT(t0=t0, theta=theta) for t0, theta in EDT_POINTS}


def table(title: str, rows: dict[str, Scores]) -> Table:
    """One task's settings, the grammar last."""
    made = Table(title=title)
    made.add_column("setting")
    for column in COLUMNS:
        made.add_column(column, justify="right")
    for label, found in rows.items():
        if label != "grammar":
            made.add_row(label, *cells(found))
    made.add_section()
    made.add_row("grammar (ceiling and ideal point)", *cells(rows["grammar"]))
    return made


def cells(found: Scores) -> list[str]:
    """The columns' values; a missing one is a dash."""
    return [f"{found[column]:.2f}" if column in found else "–" for column in COLUMNS]


def main() -> None:
    """Decodes, scores, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "edt" / "assets" / "mini", help="folder of the model")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--limit", type=int, default=100, help="examples per task")
    parser.add_argument("--samples", type=int, default=8, help="samples per example and setting")
    arguments = parser.parse_args()
    console = Console()
    found = score_model(
        arguments.model, settings(), split=arguments.split, limit=arguments.limit, samples=arguments.samples
    )
    for name, rows in found.items():
        console.print(table(f"{name}, {arguments.split}, {arguments.limit} × {arguments.samples}", rows))


if __name__ == "__main__":
    main()
