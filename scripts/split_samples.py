"""Split files of the paper's data sets into folders of train, dev and test rows, for a study that also trains.

    python -m scripts.split_samples SAMPLES OUT --dev 60
    edt train task=xlsum task.path=OUT/xlsum …
    edt study task=paper task.path=OUT …

SAMPLES has a subfolder for each of xlsum, msmarco, quac and wmt19 that there is, each with a single file (or pair of
files), as `task=paper task.path=SAMPLES` reads it. test is that task's own test half. Of its dev half, the first
`--dev` rows in the order of seed 0 are dev, and the others train: nothing is trained on or chosen on what test has.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from edt.cli.build import task_requests
from edt.cli.composition import compose
from edt.errors import DataError, EdtError
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.subsets import draw_subset

TASKS = ("xlsum", "msmarco", "quac", "wmt19")


def main() -> None:
    """Read the arguments, split, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dev", type=int, default=60, help="rows of dev, in each task (60)")
    arguments = parser.parse_args()
    try:
        split_samples(arguments.samples, arguments.out, dev=arguments.dev)
    except EdtError as error:
        print(f"split_samples: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def split_samples(samples: Path, out: Path, *, dev: int) -> dict[str, dict[str, int]]:
    """Write `out`/TASK/{train,dev,test}.jsonl and return the number of rows of each. Raises DataError."""
    found = [name for name in TASKS if (samples / name).exists()]
    if not found:
        raise DataError(f"{samples} has no folder named {', '.join(TASKS)}. Give each data set its own.")
    counts = {}
    for name in found:
        task = dataset_task(name, samples / name)
        half = task.row_set("dev").rows
        chosen = draw_subset(half, row_id=task.row_id, weight=lambda row: 1, seed=0, size=dev).rows
        ids = {task.row_id(row) for row in chosen}
        splits = {
            "train": [row for row in half if task.row_id(row) not in ids],
            "dev": chosen,
            "test": task.row_set("test").rows,
        }
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            # An empty file would be taken for a damaged one.
            if rows:
                text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
                (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
        counts[name] = {split: len(rows) for split, rows in splits.items()}
        print(name, counts[name], flush=True)
    return counts


def dataset_task(name: str, path: Path) -> DatasetTask:
    """Return the task of that name with its own wording, by which rows with the same prompt are found."""
    config: Any = OmegaConf.to_container(compose("data", [f"task={name}"]))
    (entry,) = task_requests({**config["task"], "path": str(path)})
    assert isinstance(entry.task, DatasetTask)
    return entry.task


if __name__ == "__main__":
    main()
