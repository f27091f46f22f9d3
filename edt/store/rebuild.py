"""Rebuild the plan of a run from its parts, where the manifest is missing or damaged.

That is sound since a part says what it holds: the rows of a pass for the examples of a chunk. What a lost plan had
beyond that is planned anew, and gets the same noise, so the same tokens.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from edt.errors import DamagedFileError, StoreError, UnreadableFileError
from edt.store.manifest import Manifest, Pass
from edt.store.parts import read_part
from edt.store.run import Run

_KEYS = ("split", "example_id", "strategy_id", "sample")

logger = logging.getLogger(__name__)


def rebuilt_manifest(run: Run) -> Manifest:
    """Return the manifest of a run that holds nothing yet, with the passes of the parts in its folder.

    A damaged part is removed, since its rows are decoded again. Raises StoreError for parts that are of no plan, or
    that the system does not give.
    """
    # Parts of an older version have no seal; what can be read of them is taken over as it is.
    run = replace(run, manifest=run.adopting())
    passes: dict[int, Pass] = {}
    for number, chunk in sorted(run.present_chunks()):
        try:
            one = _pass_of_part(run, number, chunk)
        # It may be whole, on a disk that fails for a moment, say.
        except UnreadableFileError:
            raise
        except DamagedFileError as error:
            logger.warning("removed: %s", error)
            run.part(number, chunk).unlink()
            continue
        known = passes.get(number, replace(one, chunks=()))
        if (known.split, known.rows) != (one.split, one.rows):
            raise StoreError(
                f"{run.part(number, chunk)} holds other rows than the parts of the same pass, so no manifest can be "
                "made of them. Begin anew in another folder: paths.runs=FOLDER."
            )
        # A chunk without a part is a gap: its examples are planned again, in a later pass.
        gaps = ((),) * (chunk - len(known.chunks))
        passes[number] = replace(known, chunks=(*known.chunks, *gaps, *one.chunks))

    numbers = range(max(passes, default=-1) + 1)
    nothing = Pass(split="", rows=(), chunks=(), rows_per_batch=1)
    logger.warning(
        "%s is made again from %d parts with %d rows; what else was planned is planned anew.",
        run.manifest_path,
        sum(bool(ids) for one in passes.values() for ids in one.chunks),
        sum(len(one.rows) * len(ids) for one in passes.values() for ids in one.chunks),
    )
    return replace(run.manifest, passes=tuple(passes.get(number, nothing) for number in numbers))


def _pass_of_part(run: Run, number: int, chunk: int) -> Pass:
    """Return a pass of one chunk, as a part holds it: every row of every example, in the same order."""
    path = run.part(number, chunk)
    table = read_part(run, path, _KEYS)
    rows: dict[str, list[tuple[str, int]]] = {}
    for _, example_id, strategy_id, sample in zip(*(table[name].to_pylist() for name in _KEYS), strict=True):
        rows.setdefault(example_id, []).append((strategy_id, sample))
    splits = set(table["split"].to_pylist())
    if len(splits) != 1 or len({tuple(of_example) for of_example in rows.values()}) != 1:
        raise StoreError(
            f"{path} does not hold the same rows of every example, so no manifest can be made of it. Begin anew in "
            "another folder: paths.runs=FOLDER."
        )
    of_all = tuple(next(iter(rows.values())))
    return Pass(split=splits.pop(), rows=of_all, chunks=(tuple(rows),), rows_per_batch=len(of_all))
