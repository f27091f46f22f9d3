"""Content hashes: the same content has the same id on every machine, whatever its order of keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DIGEST_LENGTH = 16
"""Hexadecimal digits kept of a SHA-256: 64 bits, ample for telling runs apart."""


def canonical_json(content: Any) -> str:
    """JSON with sorted keys and no spaces; refuses NaN and anything that JSON cannot hold."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(content: Any) -> str:
    """First 64 bits of the SHA-256 of the canonical JSON of `content`, in hexadecimal."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:DIGEST_LENGTH]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_digest(paths: Sequence[Path]) -> str:
    """One digest of several files' names and bytes, whatever their order."""
    return digest(sorted((path.name, file_digest(path)) for path in paths))


def seeded_rank(seed: int, identity: str) -> int:
    """A 64-bit number that ranks `identity` in the random order of `seed`, independent of every other identity."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{identity}".encode(), digest_size=8).digest(), "big")
