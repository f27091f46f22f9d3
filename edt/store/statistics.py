"""Sufficient statistics of a strategy's outputs, stored with the run, so that a new report scores nothing again."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edt.ids import digest
from edt.store.atomic import COPY_THE_RUN, write_bytes
from edt.store.json_text import parsed_json
from edt.store.run import Run
from edt.store.seal import SealError, check_seal, zip_bytes

logger = logging.getLogger(__name__)

StoredStatistics = Mapping[str, NDArray[np.float64] | None]
"""Statistics by a metric's signature, [examples, D]; None where the metric is undefined."""


def read_statistics(run: Run, name: str, content_id: str) -> dict[str, NDArray[np.float64] | None] | None:
    """Read what was stored of exactly this content; None where nothing was, only of other content, or it is damaged."""
    path = run.statistics_folder / name
    if not path.is_file():
        return None
    try:
        content = path.read_bytes()
        # An older version wrote no seal; what it stored is computed again.
        if not check_seal(content, run.owner(path)):
            return None
        with np.load(io.BytesIO(content)) as file:
            about = parsed_json(str(file["about"]))
            if about["content_id"] != content_id:
                return None
            return {
                signature: file[f"s{index}"] if defined else None
                for index, (signature, defined) in enumerate(about["signatures"])
            }
    except (OSError, SealError) as error:
        # They can always be computed again from the parts, so a damaged file is the same as none.
        logger.warning("%s is not used: it %s; what it held is computed again.", path, error)
        return None


def write_statistics(run: Run, name: str, content_id: str, statistics: StoredStatistics) -> None:
    """Write them, whole or not at all; `content_id` names the texts that they were computed from."""
    about = {"content_id": content_id, "signatures": [[name, array is not None] for name, array in statistics.items()]}
    # By number, since a signature is no name for a member of a zip file.
    arrays = {f"s{index}": array for index, array in enumerate(statistics.values()) if array is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    path = run.statistics_folder / name
    write_bytes(path, zip_bytes(buffer.getvalue(), run.owner(path)), remedy=COPY_THE_RUN)


def statistics_name(split: str, strategy_id: str, n_samples: int) -> str:
    """Return the name of the file for one strategy on one split."""
    # A digest, since the id of a strategy can be longer than a file name may be.
    return f"{digest([split, strategy_id, n_samples])}.npz"
