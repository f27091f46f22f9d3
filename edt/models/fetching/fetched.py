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
from dataclasses import asdict, dataclass
from pathlib import Path

from edt.cache_folder import cache_folder
from edt.errors import ModelError
from edt.models.fetching.catalog import CATALOG, FetchableModel
from edt.models.fetching.whole_files import Files, damage, readable_files

RECORD = "fetched.json"


@dataclass(frozen=True, kw_only=True)
class FetchRecord:
    """What fetched.json holds. source: `hub` or `index`. files: size and SHA-256 by name. edt: its version."""

    name: str
    source: str
    origin: str
    files: Files
    accepted_license: str | None
    edt: str

    @classmethod
    def read(cls, folder: Path) -> FetchRecord | None:
        """Return the record of a model's folder; None where there is none, or none that can be read."""
        # Also of an older version of edt, whose record may have other fields.
        try:
            record = cls(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return None if readable_files(record.files) is None else record

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
    record = FetchRecord.read(folder)
    remedy = f"edt fetch {_words(CATALOG[name])}"
    if record is None:
        # A folder without a record that can be read was never finished, or has lost it.
        state = "damaged: its record is missing or cannot be read" if folder.is_dir() else "not on this machine"
        raise ModelError(f"model '{name}' is {state} ({folder}); fetch it with: {remedy}")
    # Changed bytes would still be numbers, and nothing else would show them.
    damaged = damage(folder, record.files, record=RECORD)
    if damaged is not None:
        raise ModelError(f"model '{name}' is damaged: {damaged}; repair it with: {remedy}")
    return folder


def _words(model: FetchableModel) -> str:
    """Return the words after `edt fetch` that fetch a model."""
    # Copied from the message, the command must work as it is.
    return model.name + (" accept_license=true" if model.terms else "")
