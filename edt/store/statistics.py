"""Sufficient statistics of a strategy's outputs, stored with the run, so that a new report scores nothing again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edt.ids import digest
from edt.store.atomic import write_atomically

StoredStatistics = Mapping[str, NDArray[np.float64] | None]
"""Statistics by a metric's signature, [examples, D]; None where the metric is undefined."""


def read_statistics(path: Path, content_id: str) -> dict[str, NDArray[np.float64] | None] | None:
    """Read what was stored of exactly this content; None where nothing was, or only of other content."""
    try:
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            if about["content_id"] != content_id:
                return None
            return {
                signature: file[f"s{index}"] if defined else None
                for index, (signature, defined) in enumerate(about["signatures"])
            }
    except (OSError, ValueError, KeyError, BadZipFile):
        # They can always be computed again from the parts, so a damaged file is the same as none.
        return None


def write_statistics(path: Path, content_id: str, statistics: StoredStatistics) -> None:
    """Write them, whole or not at all; `content_id` names the texts that they were computed from."""
    about = {"content_id": content_id, "signatures": [[name, array is not None] for name, array in statistics.items()]}
    # By number, since a signature is no name for a member of a zip file.
    arrays = {f"s{index}": array for index, array in enumerate(statistics.values()) if array is not None}

    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)


def statistics_name(split: str, strategy_id: str, n_samples: int) -> str:
    """Return the name of the file for one strategy on one split."""
    # A digest, since the id of a strategy can be longer than a file name may be.
    return f"{digest([split, strategy_id, n_samples])}.npz"
