"""Keep what the check of a model has found, so that the next command with the same weights need not try it again.

The file is a note that may be lost: one that cannot be read or written only costs the trial once more.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from edt.cache_folder import CACHE_VARIABLE, cache_folder
from edt.decoding.cache.sharing_check import SharingCheck
from edt.errors import EdtError
from edt.ids import digest, files_digest
from edt.models.language_model import LanguageModel
from edt.store.atomic import write_text

logger = logging.getLogger(__name__)


def kept_sharing_check(model: LanguageModel) -> SharingCheck:
    """Return the check of a model: from the cache folder, or tried now and written there."""
    # A model that is in no folder, as the random ones of benchmarks, has no identity to keep its check under.
    if not (model.folder / "config.json").is_file():
        return SharingCheck.run(model)

    path = cache_folder() / "sharing" / f"{digest(_key(model))}.json"
    try:
        return SharingCheck.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        # Usually there is none yet.
        logger.debug("no kept check in %s (%s); the model is tried.", path, error)

    check = SharingCheck.run(model)
    try:
        write_text(path, json.dumps(asdict(check)), setting=CACHE_VARIABLE)
    except (EdtError, OSError) as error:
        logger.debug("the check of %s is not kept: %s", model.spec.path, error)
    return check


def _key(model: LanguageModel) -> dict[str, Any]:
    """Return all that the outcome of a trial depends on, as plain JSON."""
    on_gpu = model.device.type == "cuda"
    return {
        # The weights, the config, the dtype, the attention: what can change a token can change the trial.
        "model": model.identity,
        "device": torch.cuda.get_device_name(model.device) if on_gpu else model.device.type,
        "versions": {name: version(name) for name in ("torch", "transformers")},
        # The code of the trial and of what it tries, so that a change of it needs no version number.
        "code": files_digest([*Path(__file__).parent.glob("*.py")]),
    }
