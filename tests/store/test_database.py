"""A database that was closed is known by its digest; one whose process was killed by the digest of its content."""

import random
import sqlite3
from contextlib import closing

import pytest

from edt.errors import ConfigError, DamagedFileError
from edt.store.database import checked_database, store_content_digest


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
        connection.execute("INSERT INTO trials VALUES (300, 1.5)")
        store_content_digest(connection)
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


def test_a_lost_row_is_damage_and_a_transaction_without_change_writes_no_digest(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        before = connection.total_changes
        store_content_digest(connection)
        assert connection.total_changes == before
        connection.execute("INSERT INTO trials VALUES (300, 1.5)")
        store_content_digest(connection)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 7")
    path.with_name("trials.sqlite3.sha256").unlink()
    with pytest.raises(DamagedFileError, match=r"its content is not what was written\)\. Remove it\.$"):
        check(path)


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
