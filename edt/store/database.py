"""The digests of an SQLite database: of its content while it is open, and of its bytes while it is not.

A database is changed in place, so it cannot carry a digest of its bytes: that is a file next to it, written when the
database is closed and removed when it is opened. Where it is missing, the process that had the database open was
killed. Then the digest of the content is checked, which each transaction writes into a table of the database itself.
A database of an older version lacks that table: SQLite checks its structure.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edt.errors import DamagedFileError
from edt.ids import file_digest
from edt.store.atomic import write_text
from edt.store.regular_file import check_regular

CONTENT_DIGEST = "edt_content_sha256"
"""The table of one row and one column with the digest of all other tables."""


@contextmanager
def checked_database(path: Path, remedy: str) -> Iterator[None]:
    """Check a database before it is opened, and write its digest after it was closed, for the next time.

    Raises DamagedFileError, with the remedy, where it is not what was closed.
    """
    # As sha256sum writes it, so that `sha256sum -c` checks it as well.
    beside = path.with_name(f"{path.name}.sha256")
    check_regular(path, remedy)
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


def store_content_digest(connection: sqlite3.Connection) -> None:
    """Write the digest of the content as part of the running transaction; without one, nothing was changed."""
    if not connection.in_transaction:
        return
    connection.execute(f"CREATE TABLE IF NOT EXISTS {CONTENT_DIGEST} (sha256 TEXT NOT NULL)")
    found = _content_digest(connection)
    if connection.execute(f"UPDATE {CONTENT_DIGEST} SET sha256 = ?", (found,)).rowcount == 0:  # noqa: S608
        connection.execute(f"INSERT INTO {CONTENT_DIGEST} VALUES (?)", (found,))  # noqa: S608


def _content_digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 of the rows of all other tables, whatever their order."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    content = hashlib.sha256()
    for (name,) in names:
        if name == CONTENT_DIGEST or name.startswith("sqlite_"):
            continue
        rows = connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608  a name from the database itself
        # repr: the type counts too, since a flipped bit can make an integer of a float.
        content.update(repr((name, sorted(map(repr, rows)))).encode(errors="surrogatepass"))
    return content.hexdigest()


def _problem(path: Path) -> str:
    """Return what is wrong with the structure or the content of a database; empty for nothing."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()
            if found != ("ok",):
                # The first line of several names only the database.
                return str(found[0]).splitlines()[-1]
            table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
            if connection.execute(table, (CONTENT_DIGEST,)).fetchone() == (0,):
                return ""
            stored = connection.execute(f"SELECT sha256 FROM {CONTENT_DIGEST}").fetchall()  # noqa: S608
            is_whole = stored == [(_content_digest(connection),)]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if is_whole else "its content is not what was written"
