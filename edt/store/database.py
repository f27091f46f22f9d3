"""The digests of an SQLite database: of its content while it is open, and of its bytes while it is not.

A database is changed in place, so it cannot carry a digest of its bytes: that is a file next to it, written when the
database is closed and removed when it is opened. Where it is missing, the process that had the database open was
killed. Then the digest of the content is checked, which is a table of the database itself and part of each transaction.
A database of an older version lacks that table: SQLite checks its structure.

The digest of the content is the sum of the digests of the rows, so a changed row costs the same however many there
are. It is to find damage, and is no proof against a person who edits the database and the digest.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from edt.errors import DamagedFileError
from edt.ids import file_digest
from edt.store.atomic import write_text
from edt.store.regular_file import check_regular

CONTENT_DIGEST = "edt_content_digest"
"""The table of one row and one column with the digest of all other tables."""

_MODULUS = 2**256
_EVENTS = {"INSERT": (("+", "NEW"),), "DELETE": (("-", "OLD"),), "UPDATE": (("-", "OLD"), ("+", "NEW"))}
"""What a change of a row takes from the sum, and adds to it."""


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


def track_content(connection: sqlite3.Connection) -> None:
    """Let each transaction of this connection keep the digest of the content, from what is there now on.

    All tables must exist already. The digest is changed by triggers, so a rollback takes its part of the digest
    with it.
    """
    # A row that replaces another deletes it, which SQLite else hides from triggers.
    connection.execute("PRAGMA recursive_triggers = ON")
    # One transaction: a digest that is missing for a moment would be damage to the next process.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {CONTENT_DIGEST} (sha256 TEXT NOT NULL)")
    present = _content_digest(connection)
    if connection.execute(f"SELECT sha256 FROM {CONTENT_DIGEST}").fetchall() != [(present,)]:  # noqa: S608
        connection.execute(f"DELETE FROM {CONTENT_DIGEST}")  # noqa: S608
        connection.execute(f"INSERT INTO {CONTENT_DIGEST} VALUES (?)", (present,))  # noqa: S608
    connection.commit()

    # Triggers of this connection alone: another program that writes the database does not have the function.
    connection.create_function("edt_changed", -1, _changed, deterministic=True)
    for number, name in enumerate(_tables(connection)):
        columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({_quoted(name)})")]
        for event, changes in _EVENTS.items():
            updates = [
                f"UPDATE {CONTENT_DIGEST} SET sha256 = edt_changed(sha256, '{sign}', {_literal(name)}, "  # noqa: S608
                f"{', '.join(f'{version}.{_quoted(column)}' for column in columns)});"
                for sign, version in changes
            ]
            connection.execute(
                f"CREATE TEMP TRIGGER edt_{event}_{number} AFTER {event} ON main.{_quoted(name)} "
                f"BEGIN {' '.join(updates)} END"
            )


def _content_digest(connection: sqlite3.Connection) -> str:
    """Return the sum of the digests of the rows of all other tables, and of the tables' definitions."""
    definitions = connection.execute("SELECT name, sql FROM sqlite_master WHERE name != ?", (CONTENT_DIGEST,))
    total = sum(_row_digest("sqlite_master", row) for row in definitions)
    for name in _tables(connection):
        rows = connection.execute(f"SELECT * FROM {_quoted(name)}")  # noqa: S608  a name from the database itself
        total += sum(_row_digest(name, row) for row in rows)
    return f"{total % _MODULUS:064x}"


def _changed(present: str, sign: str, table: str, *row: object) -> str:
    """Return the digest of a content that has one row more or less; SQLite calls it."""
    change = _row_digest(table, row)
    return f"{(int(present, 16) + (change if sign == '+' else -change)) % _MODULUS:064x}"


def _row_digest(table: str, row: Sequence[object]) -> int:
    # repr: the type counts too, since a flipped bit can make an integer of a float.
    text = repr((table, tuple(row)))
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest(), "big")


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the tables with content."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in names if name != CONTENT_DIGEST and not name.startswith("sqlite_")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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
