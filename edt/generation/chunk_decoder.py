"""Decode the chunks of a plan: in this process one after the other; `ray_workers` decodes several at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edt.decoding.engine import Engine
from edt.decoding.request import DecodeRequest
from edt.errors import MemoryExceededError
from edt.generation.environment import device_name
from edt.records import Generation

ChunkKey = tuple[int, int]
"""The number of a pass, and of a chunk in it."""


@dataclass(frozen=True, kw_only=True)
class DecodedChunk:
    """What became of a chunk: its generations and the device that made them, or that memory was too short for it."""

    key: ChunkKey
    generations: Sequence[Generation] = ()
    device: str = ""
    shortage: MemoryExceededError | None = None


class ChunkDecoder(ABC):
    """Takes up to `at_once` chunks, and gives each back when it is decoded."""

    at_once: int

    @abstractmethod
    def begin(self, key: ChunkKey, request: DecodeRequest) -> None:
        """Take a chunk."""

    @abstractmethod
    def finished(self) -> DecodedChunk:
        """Wait for any chunk that was taken and not yet given back. Raises what decoding raises, but for a shortage."""


class OneChunkHere(ChunkDecoder):
    """Decodes in this process, one chunk at a time. on_begin: called when a chunk is begun."""

    at_once = 1

    def __init__(self, engine: Engine, on_begin: Callable[[], None]) -> None:
        self._engine, self._on_begin, self._taken = engine, on_begin, list[tuple[ChunkKey, DecodeRequest]]()

    def begin(self, key: ChunkKey, request: DecodeRequest) -> None:
        """See ChunkDecoder."""
        # Decoded when its result is read: nothing else runs here meanwhile.
        self._taken.append((key, request))

    def finished(self) -> DecodedChunk:
        """See ChunkDecoder."""
        key, request = self._taken.pop()
        self._on_begin()
        return decode_chunk(self._engine, key, request)


def decode_chunk(engine: Engine, key: ChunkKey, request: DecodeRequest) -> DecodedChunk:
    """Decode a chunk with an engine of this process."""
    try:
        return DecodedChunk(key=key, generations=list(engine.generate(request)), device=device_name(engine))
    # A result and not an error: what is done about it depends on the plan.
    except MemoryExceededError as error:
        return DecodedChunk(key=key, shortage=error)
