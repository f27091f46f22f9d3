"""A database of a search whose rows were edited is named as damaged, and its values are never searched from."""

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from edt.errors import StoreError
from tests.tuning.test_trials import run

VALUES = (
    None, "", "x", "{", "[]", "{}", "null", '{"name": "Nope", "attributes": {}}',
    -1, 0, 10**18, 2.5, float("inf"), b"\xff", "DEAD",
)  # fmt: skip
"""What is written over a cell."""


def cells(path):
    """Every column of every row, with the table: (table, rowid, column)."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for (row,) in connection.execute(f"SELECT rowid FROM {table}").fetchall():
                yield from ((table, row, column) for column in columns)


def outcome(folder, trials):
    """How a search over an edited database ends."""
    try:
        found = run(folder, trials=5, batch=2)
    except StoreError as error:
        return "reported" if str(folder / "trials.sqlite3") in str(error) else f"without the file: {error}"
    return "the same" if found == trials else "other trials"


def edit(path, cell, value):
    """Edit a cell as a user with a browser of databases would; return whether the database took it."""
    table, row, column = cell
    with closing(sqlite3.connect(path)) as connection, connection:
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
        except sqlite3.Error:
            return False
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a search of four trials, and its first five trials as they are without any edit."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, trials=4, batch=2)
    copy = shutil.copytree(folder, folder / "copy")
    return folder, run(copy, trials=5, batch=2)


def test_no_edited_value_gives_a_traceback(whole, tmp_path):
    """What is accepted all the same, as another version of the database's schema, changes no trial."""
    folder, trials = whole
    every, draw, seen = list(cells(folder / "trials.sqlite3")), random.Random(1), Counter()
    for number in range(25):
        path = tmp_path / str(number) / "trials.sqlite3"
        path.parent.mkdir()
        shutil.copy(folder / "trials.sqlite3", path)
        cell, value = draw.choice(every), draw.choice(VALUES)
        if edit(path, cell, value):
            seen[outcome(path.parent, trials)] += 1
            assert not seen["other trials"], (cell, value)
    assert seen["reported"] >= 10


def test_edited_measurements_are_named(whole, tmp_path):
    """Values that look fine: they contradict the measurements that are stored next to them."""
    folder, _ = whole
    shutil.copy(folder / "trials.sqlite3", tmp_path)
    assert edit(tmp_path / "trials.sqlite3", ("trial_values", 2, "value"), 1.25)
    with pytest.raises(StoreError, match=r"trial 1 has other values than its measurements.*can be removed"):
        run(tmp_path, trials=5, batch=2)
    (tmp_path / "trials.sqlite3").unlink()
    assert run(tmp_path, trials=5, batch=2) == whole[1]


def test_a_removed_trial_is_named(whole, tmp_path):
    folder, _ = whole
    shutil.copy(folder / "trials.sqlite3", tmp_path)
    with closing(sqlite3.connect(tmp_path / "trials.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 1")
    with pytest.raises(StoreError, match="a trial is missing"):
        run(tmp_path, trials=5, batch=2)
