"""A database that was closed is known by its digest; one whose process was killed is checked by SQLite."""

import random
import sqlite3
from contextlib import closing

import pytest

from edt.errors import ConfigError, DamagedFileError
from edt.store.database import checked_database


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
