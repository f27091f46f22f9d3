"""The digest of a file is the SHA-256 of its bytes, as the standard library computes it; and which keys differ."""

import hashlib

import pytest

from edt import ids


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000])
def test_a_file_is_hashed_whole_whatever_the_size_of_a_block(size, tmp_path, monkeypatch):
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "file").write_bytes(content)
    wanted = hashlib.sha256(content).hexdigest()
    assert ids.file_digest(tmp_path / "file") == wanted
    monkeypatch.setattr(ids, "_BLOCK", 64)
    assert ids.file_digest(tmp_path / "file") == wanted


def test_the_keys_in_which_two_contents_differ():
    before = {"a": {"x": 1, "y": (1, 2)}, "b": 1, "only": 0}
    # As it comes back from JSON: a tuple is a list, and null is the same as nothing.
    now = {"a": {"x": 2, "y": [1, 2], "z": None}, "b": 1, "new": [3]}
    assert ids.differing_keys(before, now) == [("a", "x"), ("only",), ("new",)]
    assert ids.differing_keys(before, before) == []
