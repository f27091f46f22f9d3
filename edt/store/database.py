"""The digest of an SQLite database, next to it while no process has it open.

A database is changed in place, so it cannot carry a digest of its bytes. It is written when the database is closed and
removed when it is opened. Where it is missing, the process that had it open was killed, or an older version wrote the
database: then SQLite checks its structure.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edt.errors import DamagedFileError
from edt.ids import file_digest
from edt.store.atomic import write_text


@contextmanager
def checked_database(path: Path, remedy: str) -> Iterator[None]:
    """Check a database before it is opened, and write its digest after it was closed, for the next time.

    Raises DamagedFileError, with the remedy, where it is not what was closed.
    """
    # As sha256sum writes it, so that `sha256sum -c` checks it as well.
    beside = path.with_name(f"{path.name}.sha256")
    if path.is_file():
        expected = beside.read_text(encoding="utf-8", errors="replace").split(" ")[0] if beside.is_file() else None
        problem = _problem(path) if expected is None else "its bytes are not those that were written"
        if expected != file_digest(path) and problem:
            raise DamagedFileError(f"{path} is damaged ({problem}). {remedy}")
    beside.unlink(missing_ok=True)
    try:
        yield
    finally:
        if path.is_file():
            write_text(beside, f"{file_digest(path)}  {path.name}\n")


def _problem(path: Path) -> str:
    """Return what SQLite finds wrong with a database; empty for nothing."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ("ok",) else str(found[0]).splitlines()[0]
