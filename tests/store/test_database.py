"""A database that was closed is known by its digest; one whose process was killed by the digest of its content."""

import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edt.errors import ConfigError, DamagedFileError
from edt.store import database
from edt.store.database import checked_database, track_content


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trials.sqlite3"
    with checked_database(path, "Remove it."), closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE trials (number INTEGER, value REAL)")
        connection.executemany("INSERT INTO trials VALUES (?, ?)", [(n, n / 7) for n in range(300)])
    return path


def check(path):
    with checked_database(path, "Remove it."):
        pass


def test_no_flipped_bit_is_accepted(path):
    whole, draw = path.read_bytes(), random.Random(1)
    for _ in range(200):
        content = bytearray(whole)
        bit = draw.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"trials\.sqlite3 is damaged \(its bytes.*\)\. Remove it\.$"):
            check(path)
    path.write_bytes(whole)
    check(path)


def rows(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM trials").fetchall()


def test_no_flipped_bit_of_an_open_database_changes_a_row(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        track_content(connection)
        connection.execute("INSERT INTO trials VALUES (300, 1.5)")
    beside, whole, draw = path.with_name("trials.sqlite3.sha256"), path.read_bytes(), random.Random(1)
    beside.unlink()
    check(path)
    expected, refused = rows(path), 0
    for _ in range(300):
        content = bytearray(whole)
        bit = draw.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        beside.unlink(missing_ok=True)
        try:
            check(path)
        except DamagedFileError:
            refused += 1
        else:
            assert rows(path) == expected
    # most bits are unused bytes of a page
    assert refused > 50


def killed(path):
    """Make the database one whose process was killed: nothing beside it says what its bytes are."""
    path.with_name("trials.sqlite3.sha256").unlink(missing_ok=True)


def test_a_lost_row_is_damage(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        track_content(connection)
        connection.execute("INSERT INTO trials VALUES (300, 1.5)")
    killed(path)
    check(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 7")
    killed(path)
    with pytest.raises(DamagedFileError, match=r"its content is not what was written\)\. Remove it\.$"):
        check(path)


def test_another_definition_of_a_table_is_damage(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        track_content(connection)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE trials RENAME COLUMN value TO valve")
    killed(path)
    with pytest.raises(DamagedFileError, match="its content is not what was written"):
        check(path)


CELLS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=4), st.binary(max_size=4))
STATEMENTS = (
    'INSERT INTO "it\'s" VALUES (?, ?, ?, ?)',
    'INSERT OR REPLACE INTO "it\'s" VALUES (?, ?, ?, ?)',
    'INSERT INTO "it\'s" VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    'UPDATE "it\'s" SET name = ?, value = ?, "a ""word" = ? WHERE id = ?',
    'DELETE FROM "it\'s" WHERE name = ? OR value = ? OR id = ? OR ? = 1',
    "UPDATE trials SET value = ?, number = coalesce(?, ?) WHERE number = ?",
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.lists(CELLS, min_size=4, max_size=4), st.booleans())))
def test_the_digest_follows_every_change_of_a_row(statements):
    """Whatever is inserted, replaced, updated, deleted or rolled back: the sum is that of the rows that are there."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trials.sqlite3"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE trials (number INTEGER, value REAL)")
            connection.executemany("INSERT INTO trials VALUES (?, ?)", [(n, n / 7) for n in range(5)])
            connection.execute(
                'CREATE TABLE "it\'s" (id INTEGER PRIMARY KEY, name TEXT UNIQUE, value FLOAT, "a ""word" JSON)'
            )
            connection.commit()
            track_content(connection)
            for statement, cells, kept in statements:
                # A constraint that refuses a row undoes the statement, and its part of the digest.
                with suppress(sqlite3.IntegrityError):
                    connection.execute(statement, cells)
                (connection.commit if kept else connection.rollback)()
            connection.rollback()
        check(path)


def test_a_change_costs_the_same_however_many_rows_there_are(tmp_path, monkeypatch):
    digest, seen = database._row_digest, []
    monkeypatch.setattr(database, "_row_digest", lambda *row: seen.append(row) or digest(*row))
    with closing(sqlite3.connect(tmp_path / "trials.sqlite3")) as connection:
        connection.execute("CREATE TABLE trials (number INTEGER, value REAL)")
        track_content(connection)
        seen.clear()
        for number in range(200):
            connection.execute("INSERT INTO trials VALUES (?, 0.5)", (number,))
            connection.execute("UPDATE trials SET value = 1.5 WHERE number = ?", (number,))
            connection.commit()
    assert len(seen) == 200 * 3


def test_a_database_that_is_open_or_of_an_older_version_is_checked_by_its_structure(path):
    beside = path.with_name("trials.sqlite3.sha256")
    with checked_database(path, ""):
        assert not beside.exists()
    assert beside.is_file()
    beside.unlink()
    check(path)
    beside.unlink()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagedFileError, match="is damaged"):
        check(path)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(DamagedFileError, match="not a database"):
        check(path)


def test_the_remedy_works(path):
    path.write_bytes(b"")
    with pytest.raises(DamagedFileError):
        check(path)
    path.unlink()
    check(path)


def test_an_error_inside_still_leaves_a_digest(path):
    with pytest.raises(ConfigError), checked_database(path, ""):
        raise ConfigError("any")
    check(path)
