"""Models that `edt fetch` brought to the cache folder: where they are, what they are, and whether they are whole.

CACHE/models/NAME/
    model/           the model as transformers loads it, whole or not there at all
        fetched.json     where it came from, and the size and SHA-256 of each file
        README.md        the same for people; next to it the license
    work/            what an unfinished fetch has downloaded so far; removed at its end
    .lock
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edt.cache_folder import cache_folder
from edt.errors import ModelError
from edt.ids import file_digest
from edt.models.catalog import CATALOG, FetchableModel

RECORD = "fetched.json"


@dataclass(frozen=True, kw_only=True)
class FetchRecord:
    """What fetched.json holds. source: `hub` or `index`. files: size and SHA-256 by name. edt: its version."""

    name: str
    source: str
    origin: str
    files: dict[str, dict[str, Any]]
    accepted_license: str | None
    edt: str

    @classmethod
    def read(cls, folder: Path) -> FetchRecord | None:
        """Return the record of a model's folder; None where there is none, or none that can be read."""
        # Also of an older version of edt, whose record may have other fields.
        try:
            return cls(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def to_json(self) -> str:
        """Return the text of fetched.json."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def home(name: str) -> Path:
    """Return the folder of all that belongs to one fetched model."""
    return cache_folder() / "models" / name


def model_folder(name: str) -> Path:
    """Return the folder of a fetched model, which is there once it is whole."""
    return home(name) / "model"


def fetched_folder(name: str) -> Path:
    """Return the folder of a model that was fetched. Raises ModelError when it was not, or when it is damaged."""
    folder = model_folder(name)
    # A folder without a record was never finished, whatever is in it.
    record = FetchRecord.read(folder)
    remedy = f"edt fetch {_words(CATALOG[name])}"
    if record is None:
        raise ModelError(f"model '{name}' is not on this machine ({folder}); fetch it with: {remedy}")
    # Sizes alone: reading gigabytes would delay each start, and the run's identity reads the weights anyway.
    damaged = next(_damaged(folder, record, read=False), None)
    if damaged is not None:
        raise ModelError(f"model '{name}' is damaged: {damaged}; repair it with: {remedy}")
    return folder


def damage(folder: Path, record: FetchRecord) -> str | None:
    """Return what is wrong with the files of a fetched model, which are read whole; None where nothing is."""
    return next(_damaged(folder, record, read=True), None)


def _damaged(folder: Path, record: FetchRecord, *, read: bool) -> Iterator[str]:
    """Yield what is wrong with the files; without `read`, only what their sizes show, which takes no time."""
    # The cheapest check first: most damage is a file that was cut off.
    for name, wanted in record.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{path} is missing"
        elif path.stat().st_size != wanted["bytes"]:
            yield f"{path} has {path.stat().st_size:,} bytes, not {wanted['bytes']:,}"
        elif read and file_digest(path) != wanted["sha256"]:
            yield f"{path} has another SHA-256 than when it was fetched"


def _words(model: FetchableModel) -> str:
    """Return the words after `edt fetch` that fetch a model."""
    # Copied from the message, the command must work as it is.
    return model.name + (" accept_license=true" if model.terms else "")
