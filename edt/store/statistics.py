"""Sufficient statistics of a strategy's outputs, kept beside the run: a new report scores nothing again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edt.ids import digest
from edt.store.atomic import write_atomically

Kept = Mapping[str, NDArray[np.float64] | None]
"""Statistics by a metric's signature, [examples, D]; None where the metric is undefined."""


def read_statistics(path: Path, content_id: str) -> dict[str, NDArray[np.float64] | None] | None:
    """What was kept of exactly this content; None where nothing was, or of other content."""
    try:
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            if about["content_id"] != content_id:
                return None
            return {
                signature: file[f"s{place}"] if defined else None
                for place, (signature, defined) in enumerate(about["signatures"])
            }
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def write_statistics(path: Path, content_id: str, kept: Kept) -> None:
    """Keep them, whole or not at all."""
    about = {"content_id": content_id, "signatures": [[name, found is not None] for name, found in kept.items()]}
    arrays = {f"s{place}": found for place, found in enumerate(kept.values()) if found is not None}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)


def statistics_name(split: str, strategy_id: str, n_samples: int) -> str:
    """The file's name."""
    return f"{digest([split, strategy_id, n_samples])}.npz"
