"""Put the studies that confirm one protocol side by side: each chosen setting's figures on the rows of every seed.

STUDY/confirm/seed-N/ holds the study of one seed; STUDY/confirm/spread.csv and spread.md are of all that are there.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from edt.report.documents import csv_from_rows, write_tables
from edt.report.page import PageTable
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.results import Study

VALUES_NAME = "values.csv"


def write_spread(study: Study, confirmed: Path) -> Path:
    """Write the figures of this study's choices, and the spread over all seeds that are there; return its path."""
    own = _seed_folder(study, confirmed)
    write_text(own / VALUES_NAME, csv_from_rows(_value_rows(study)))
    folder = confirmed / "confirm"
    # From the files and not from memory: each seed is a separate command, in any order, perhaps on another machine.
    by_seed = {path.parent.name: _read(path) for path in sorted(folder.glob(f"*/{VALUES_NAME}"))}
    rows = _spread_rows(by_seed)
    write_text(folder / "spread.csv", csv_from_rows(rows))
    write_tables(folder, "spread", [_spread_table(rows, list(by_seed))])
    return folder / "spread.md"


def _spread_rows(by_seed: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, object]]:
    """Return per task, family and objective the difference to fixed temperature: its mean and spread over the seeds.

    The spread is the standard deviation between seeds, which are independent draws of the rows. It is missing with one
    seed. within: the mean over the seeds of the standard error that each one's bootstrap gives.
    """
    groups: dict[tuple[str, str, str], dict[str, Mapping[str, str]]] = {}
    for seed, rows in by_seed.items():
        for row in rows:
            groups.setdefault((row["task"], row["objective"], row["family"]), {})[seed] = row
    spread = []
    for (task, objective, family), of_seeds in groups.items():
        # A family or objective that one seed lacks is averaged over the others, and `seeds` says over how many.
        values = [float(row["value"]) for row in of_seeds.values()]
        line: dict[str, object] = {"task": task, "objective": objective, "family": family, "seeds": len(of_seeds)}
        line |= {"setting": next(iter(of_seeds.values()))["setting"], "value": fmean(values)}
        # The fixed temperature itself has no difference; a mean over some of the seeds would not be comparable.
        differences = [float(row["difference"]) for row in of_seeds.values() if row["difference"]]
        if len(differences) == len(of_seeds):
            errors = [float(row["standard_error"]) for row in of_seeds.values() if row["standard_error"]]
            line |= {
                "difference": fmean(differences),
                "least": min(differences),
                "largest": max(differences),
                # With one seed there is no spread; 0 would say that the seeds agree.
                "between_seeds": stdev(differences) if len(differences) > 1 else None,
                "within_seeds": fmean(errors) if len(errors) == len(differences) else None,
            }
        spread.append(line)
    return spread


def _seed_folder(study: Study, confirmed: Path) -> Path:
    """Return the folder of this study's seed, which the command named."""
    # Tasks of one's own may have no seed; their rows are the same in every command.
    seeds = sorted({str(task.task.seed) for task in study.tasks.values() if hasattr(task.task, "seed")})
    return confirmed / "confirm" / f"seed-{'-'.join(seeds) or 'none'}"


def _value_rows(study: Study) -> list[dict[str, object]]:
    """Return each choice's value on test, and its paired difference to the fixed temperature chosen by the same."""
    rows: list[dict[str, object]] = []
    for name, task in study.tasks.items():
        for objective, by_family in task.chosen.items():
            # Both are chosen by the same objective: a fixed temperature chosen for another one would be too weak.
            fixed = by_family[BASELINE].strategy_id
            for family, choice in by_family.items():
                against = None
                if family != BASELINE:
                    against = task.compare(choice.strategy_id, fixed, objective, study.confidence)
                # Half of a 95 % interval is 1.96 standard errors.
                error = None if against is None else (against.hi - against.lo) / 3.92
                rows.append(
                    {
                        "task": name,
                        "objective": objective,
                        "family": family,
                        "setting": choice.strategy_id,
                        "value": task.value("test", choice.strategy_id, objective),
                        "difference": None if against is None else against.difference,
                        "standard_error": None if error is None or error != error else error,
                    }
                )
    return rows


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _spread_table(rows: Sequence[Mapping[str, object]], seeds: Sequence[str]) -> PageTable:
    """Return the spread as a table."""

    def text(value: object) -> str:
        return f"{value:+.2f}" if isinstance(value, float) else "–"

    return PageTable(
        title="The choices of the study on rows of other seeds",
        columns=[
            "task",
            "objective",
            "family",
            "setting",
            "value",
            "Δ to fixed",
            "over the seeds",
            "SD between",
            "SE within",
        ],
        rows=[
            [
                str(row["task"]),
                str(row["objective"]),
                str(row["family"]).replace("_", " "),
                str(row["setting"]),
                f"{row['value']:.2f}",
                text(row.get("difference")),
                f"{text(row.get('least'))} to {text(row.get('largest'))}" if "least" in row else "–",
                text(row.get("between_seeds")).lstrip("+"),
                text(row.get("within_seeds")).lstrip("+"),
            ]
            for row in rows
        ],
        note=(
            f"Seeds: {', '.join(name.removeprefix('seed-') for name in seeds)}. Nothing was chosen on these rows. SD "
            "between: standard deviation of the difference over the seeds; SE within: the standard error of one seed, "
            "from its bootstrap. Where the first is larger, one seed's interval is too short."
        ),
    )
