"""Files are written whole or not at all, by several writers at once, and never through a link."""

import os
import subprocess
import sys
import threading

import pytest

from edt.errors import StoreError
from edt.store.atomic import remove_abandoned, write_atomically, write_bytes, write_text
from edt.store.lock import held

DOOMED = """
import os, sys
from pathlib import Path
from edt.store.atomic import write_atomically
write_atomically(Path(sys.argv[1]), lambda file: (file.write(b"half"), file.flush(), os.kill(os.getpid(), 9)))
"""
WRITER = """
import sys
from pathlib import Path
from edt.store.atomic import write_bytes
for _ in range(200):
    write_bytes(Path(sys.argv[1]), sys.argv[2].encode() * 20_000)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_no_link_is_followed_whatever_its_name(tmp_path):
    """Version 0.1 wrote to `scores.parquet.partial`, and so through a link of that name."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "scores.parquet.partial").symlink_to(victim)
    (folder / "scores.parquet").symlink_to(victim)
    (folder / ".lock").symlink_to(victim)
    write_bytes(folder / "scores.parquet", b"scores")
    with pytest.raises(StoreError, match=r"cannot write .*run"), held(folder, "run folder"):
        pass
    remove_abandoned(folder)
    assert victim.read_text() == "mine"
    assert (folder / "scores.parquet").read_bytes() == b"scores"
    assert not (folder / "scores.parquet").is_symlink()


def test_a_failing_write_leaves_the_file_of_before_and_nothing_else(tmp_path):
    path = tmp_path / "table.md"
    write_text(path, "before")

    def fail(file):
        file.write(b"half")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  of no kind that is translated
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["table.md"]


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(tmp_path):
    path = tmp_path / "part.parquet"
    assert subprocess.run([sys.executable, "-c", DOOMED, path], check=False).returncode == -9
    (left,) = names(tmp_path)
    assert left.endswith(".partial")

    def clean_meanwhile(file):
        file.write(b"whole")
        remove_abandoned(tmp_path)

    write_atomically(path, clean_meanwhile)
    assert names(tmp_path) == ["part.parquet"]
    assert path.read_bytes() == b"whole"


def test_two_processes_write_one_file_and_no_reader_sees_a_half(tmp_path):
    path = tmp_path / "table.csv"
    write_bytes(path, b"a" * 20_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        content = path.read_bytes()
        seen.add((content[:1], len(set(content)), len(content)))
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen <= {(b"a", 1, 20_000), (b"b", 1, 20_000)}
    assert names(tmp_path) == ["table.csv"]


def test_threads_of_one_process_do_not_meet(tmp_path):
    path = tmp_path / "table.md"
    threads = [threading.Thread(target=lambda: [write_text(path, "x" * 999) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "x" * 999
    assert names(tmp_path) == ["table.md"]


def test_a_name_of_the_greatest_length_is_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"


@pytest.mark.parametrize(
    ("error", "reason"), [(30, "the file system is read-only"), (28, "the disk is full"), (122, "the disk quota")]
)
def test_a_folder_that_cannot_be_written_is_named_with_its_remedy(tmp_path, monkeypatch, error, reason):
    honest = os.open

    def refusing(path, flags, *rest):
        if flags & os.O_CREAT:
            raise OSError(error, "no")
        return honest(path, flags, *rest)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError, match=rf"cannot write .*a\.md: {reason}.*choose another with out=FOLDER"):
        write_text(tmp_path / "a.md", "", setting="out")
    with pytest.raises(StoreError, match=rf"{reason}.*free the folder, or copy the run\.$"):
        write_text(tmp_path / "a.md", "", remedy="copy the run")


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "table.md").mkdir()
    with pytest.raises(StoreError, match="a folder of that name is in the way"):
        write_text(tmp_path / "table.md", "")
    assert names(tmp_path) == ["table.md"]
