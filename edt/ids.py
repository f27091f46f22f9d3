"""Content hashes: the same content has the same id on every machine, whatever its order of keys.

Of two contents with different ids, the keys in which they differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

DIGEST_LENGTH = 16
"""Hexadecimal digits kept of a SHA-256: 64 bits, ample to distinguish runs."""

_BLOCK = 2**24
"""Bytes of a file that are read at a time. A thread that hashes while another one runs waits up to 5 ms for the
interpreter twice per block: little for blocks of this size, half a minute per gigabyte for the small ones of hashlib.
"""


def canonical_json(content: Any) -> str:
    """Return JSON with sorted keys and no spaces. Raises ValueError for NaN, TypeError for what JSON cannot hold."""
    # The spelling is part of every id on disk: with other separators or escapes no run would be found again.
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(content: Any) -> str:
    """Return the first 64 bits of the SHA-256 of the canonical JSON of `content`, in hexadecimal."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:DIGEST_LENGTH]


def differing_keys(content: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the paths of the values that differ; a value that is not there is null."""
    # Through JSON, since one of the two often comes from there: tuples are lists, keys are text.
    ours, theirs = (dict(_leaves(json.loads(json.dumps(one)))) for one in (content, other))
    return [path for path in {**ours, **theirs} if ours.get(path) != theirs.get(path)]


def _leaves(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the values of nested mappings with their paths."""
    if not isinstance(node, Mapping):
        yield path, node
        return
    for key, value in node.items():
        yield from _leaves(value, (*path, str(key)))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    sha256 = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        # In blocks: weights of many gigabytes are never in memory as a whole.
        block = memoryview(bytearray(min(_BLOCK, max(1, path.stat().st_size))))
        while count := file.readinto(block):
            sha256.update(block[:count])
    return sha256.hexdigest()


def files_digest(paths: Sequence[Path]) -> str:
    """Return one digest of the names and bytes of several files, whatever their order."""
    # By name, not by path: the same files in another folder have the same digest.
    return digest(sorted((path.name, file_digest(path)) for path in paths))


def seeded_rank(seed: int, identity: str) -> int:
    """Return a 64-bit number that ranks `identity` in the random order of `seed`, independent of other identities."""
    # A separator that no id holds, so that (1, "2x") and (12, "x") do not meet.
    # Not hash(), which differs from process to process for texts.
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{identity}".encode(), digest_size=8).digest(), "big")
