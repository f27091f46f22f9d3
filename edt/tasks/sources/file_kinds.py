"""Recognize what a file is by its first bytes, where its name promises something else."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path

from edt.errors import DataError

__all__ = ["check_kind", "remedy_for", "text_encoding"]

_HEAD = 512
"""Bytes that are looked at."""

_LFS = b"version https://git-lfs.github.com/spec/"
_WEB_PAGES = (b"<!doctype html", b"<html")
_PACKED = {
    b"PK\x03\x04": ("a zip archive", ".zip"),
    b"\xfd7zXZ\x00": ("compressed by xz", ".xz"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", ".zst"),
    b"BZh": ("compressed by bzip2", ".bz2"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", ".7z"),
    b"\x1f\x8b": ("compressed by gzip", ".gz"),
}
"""First bytes of packed files: what they are, and the ending of their names."""
_PARQUET = b"PAR1"

_MARKS: Mapping[bytes, str] = {
    # First: the mark of UTF-32 begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks -> the encoding that reads them."""


def check_kind(path: Path) -> None:
    """Raise DataError for a file that is no data of the kind that its name states, with the remedy."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    name = path.name.lower()
    if head.startswith(_LFS):
        raise DataError(
            f"data file {path} is a pointer of git-lfs, not the data itself. Fetch it in its repository: git lfs pull."
        )
    if head.lstrip().lower().startswith(_WEB_PAGES):
        raise DataError(f"data file {path} is a web page, not data. Download the file itself, without its page.")

    for magic, (what, ending) in _PACKED.items():
        if head.startswith(magic) and not name.endswith(ending):
            remedy = "Rename it, so that it ends in .gz." if ending == ".gz" else f"{_UNPACK}."
            raise DataError(f"data file {path} is {what}, whatever its name says. {remedy}")
    if head.startswith(_PARQUET) and not name.endswith(".parquet"):
        raise DataError(f"data file {path} is parquet, whatever its name says. Rename it, so that it ends in .parquet.")


_UNPACK = "Unpack it, or pack it again by gzip (.gz), which is read as it is"


def remedy_for(names: Sequence[str], endings: Sequence[str]) -> str:
    """Return what to do with files that no task reads, by their names. endings: those that the task reads."""
    packed = (*(ending for _, ending in _PACKED.values() if ending != ".gz"), ".tar.gz", ".tgz", ".rar")
    if any(name.lower().endswith(packed) for name in names):
        return f"{_UNPACK}."
    tables = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
    if any(name.lower().endswith(tables) for name in names) and not set(tables) & set(endings):
        return "A table of your own is read by task=jsonl, which takes CSV and TSV as well; or convert it."
    return "Convert it."


def text_encoding(head: bytes, path: Path) -> str:
    """Return the encoding of a text that begins with these bytes: UTF-8, or what its byte order mark states.

    Raises DataError for UTF-16 without a mark, which cannot be distinguished from other encodings for sure.
    """
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head[:4]:
        raise DataError(
            f"data file {path} seems to be UTF-16 or UTF-32 without a byte order mark. "
            f"Convert it to UTF-8: iconv -f UTF-16LE -t UTF-8 '{path.name}' > new.jsonl"
        )
    # With -sig, which drops UTF-8's own mark.
    return "utf-8-sig"
