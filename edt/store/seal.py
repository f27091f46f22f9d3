"""The seal of a file: its own name and run, and the SHA-256 of all its bytes, within the file itself.

A seal is one line of text, `edt-sha256:<64 hexadecimal digits>:<run>/<file name>`, in a place that the format has for
such things: the metadata in the footer of parquet, the comment of a zip file (.npz), the key `seal` of JSON. The digest
is of the whole file with zeros where the digest stands. So a file and its seal appear on disk together, other programs
read the file as ever, and no second file can be lost or go out of step.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

SEAL_KEY = "seal"
"""The key of the seal in JSON."""
_PARQUET_KEY = "edt.seal"

_PREFIX = b"edt-sha256:"
_BLANK = b"0" * 64
_SEAL = re.compile(rb"edt-sha256:([0-9a-f]{64}):([\w.\-]*/[\w.\-]+)")


class SealError(ValueError):
    """What is wrong with a file, in words that follow its path."""


def check_seal(content: bytes, owner: str) -> bool:
    """Return whether the content of a file has a seal; what an older version wrote has none.

    owner: the run and the name that the seal must name, as "<run>/<file name>". Raises SealError where the bytes are
    not those that were sealed, or belong to another file.
    """
    # The last one: a text in the data can be spelled like a seal, and the seal stands at the end.
    at = content.rfind(_PREFIX)
    if at < 0:
        return False
    # A prefix without the rest is a seal that was damaged, not a file without one.
    match = _SEAL.match(content, at)
    if match is None or match[1].decode() != _digest(content, match):
        raise SealError("is damaged (its bytes are not those that were written)")
    # Whole but in a foreign place: parts that were swapped or copied have valid digests.
    if match[2].decode() != owner:
        stamp, _, name = match[2].decode().partition("/")
        raise SealError(f"is in the place of another file: it was written as {name} of run '{stamp}'")
    return True


def _digest(content: bytes, match: re.Match[bytes]) -> str:
    begin, end = match.span(1)
    # Without a copy: a part can have hundreds of megabytes.
    view = memoryview(content)
    digest = hashlib.sha256(view[:begin])
    digest.update(_BLANK)
    digest.update(view[end:])
    return digest.hexdigest()


def _blank(owner: str) -> str:
    return f"{(_PREFIX + _BLANK).decode()}:{owner}"


def _sealed(content: bytes) -> bytes:
    """Return the content with the digest in place of the zeros."""
    match = _SEAL.match(content, content.rfind(_PREFIX))
    assert match is not None
    begin, end = match.span(1)
    return content[:begin] + _digest(content, match).encode() + content[end:]


def parquet_bytes(table: pa.Table, owner: str) -> bytes:
    """Return a sealed parquet file."""
    # Imported here: a model's manifest is sealed too, and is read without pyarrow.
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema) as writer:
        writer.write_table(table)
        # Of the file and not of the table, whose metadata arrow writes a second time in another form.
        writer.add_key_value_metadata({_PARQUET_KEY: _blank(owner)})
    return _sealed(buffer.getvalue())


def json_bytes(content: Mapping[str, Any], owner: str) -> bytes:
    """Return a sealed JSON file, with the seal as its last key."""
    # Last, where check_seal looks first.
    text = json.dumps({**content, SEAL_KEY: _blank(owner)}, indent=1, ensure_ascii=False)
    return _sealed(f"{text}\n".encode())


def zip_bytes(archive: bytes, owner: str) -> bytes:
    """Return a zip file, as numpy's .npz, with a seal as its comment."""
    buffer = io.BytesIO(archive)
    # Appended: the members stay as they were, byte for byte.
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = _blank(owner).encode()
    return _sealed(buffer.getvalue())
