"""Read a fetched model's files while torch and transformers are imported, which leaves a second core idle."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from edt.models.catalog import CATALOG, EMBEDDED
from edt.models.fetched import RECORD, FetchRecord, model_folder
from edt.models.whole_files import read_digest


def read_ahead(model: Any) -> Thread | None:
    """Begin to compute the digests that the check of a fetched model needs; None for any other model.

    model: the group `model` of a configuration, not yet checked. This changes no result: the check asks for the same
    digests, waits for the one that is being computed, and reports what is wrong.
    """
    path = model.get("path") if isinstance(model, Mapping) else None
    if not isinstance(path, str) or not path.startswith(EMBEDDED) or path.removeprefix(EMBEDDED) not in CATALOG:
        return None
    folder = model_folder(path.removeprefix(EMBEDDED))
    # A daemon: a command that ends with an error does not wait for it.
    thread = Thread(target=_read, args=(folder,), name="edt-read-ahead", daemon=True)
    thread.start()
    return thread


def _read(folder: Path) -> None:
    record = FetchRecord.read(folder)
    if record is None:
        return
    # By name, as the record lists them: what is added to the folder is refused without being read.
    for name in [name for name in record.files if name != RECORD]:
        with suppress(OSError):
            read_digest(folder / name)
