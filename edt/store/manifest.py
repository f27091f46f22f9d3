"""The manifest of a run: what can change a token, the chunk plan of each pass, and where everything came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edt.errors import StoreError
from edt.ids import digest
from edt.store.atomic import write_text

# Raised only when folders of before cannot be read as they are.
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One planned decoding: these rows (strategy, sample) of every example in the chunks.

    A later pass adds strategies or samples; the part of chunk c of pass p is written once and never changed. A chunk
    that has no part yet may be split: its second half becomes the last chunk.
    """

    split: str
    rows: tuple[tuple[str, int], ...]
    chunks: tuple[tuple[str, ...], ...]
    rows_per_batch: int
    splits: int = 0
    """How often a chunk was split, or the batches made smaller, because memory was exhausted."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Versions, commit and threads of the command that planned the pass."""

    def split_chunk(self, chunk: int) -> Pass | None:
        """Return the pass with a chunk in two, or with batches of half as many rows where the chunk is one example.

        None when there is nothing left to halve.
        """
        ids = self.chunks[chunk]
        if len(ids) > 1:
            half = len(ids) // 2
            # The second half goes to the end: a chunk's number is part of a file's name, and others may be written.
            chunks = (*self.chunks[:chunk], ids[:half], *self.chunks[chunk + 1 :], ids[half:])
            return replace(self, chunks=chunks, splits=self.splits + 1)
        if self.rows_per_batch > 1:
            # rows_per_batch may be more than the rows there are; half of it would then change nothing.
            rows = min(self.rows_per_batch, len(self.rows))
            return replace(self, rows_per_batch=max(1, rows // 2), splits=self.splits + 1)
        return None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a run is. `identity` is exactly what can change a token; the rest records how and from what it was made."""

    identity: Mapping[str, Any]
    task: str
    model: str
    quality: str
    target_language: str
    extra_metrics: tuple[str, ...]
    splits: Mapping[str, Any]
    """Per split: ids, counts (examples, available, dropped, truncated) and the origin of the rows."""
    config: Mapping[str, Any]
    """The resolved configuration of the command that created the run."""
    passes: tuple[Pass, ...] = ()
    second_models: Mapping[str, str] = field(default_factory=dict)
    """Digest of the weights of each second model that kld used, by its path."""
    has_chat_template: bool = False
    """Whether the tokenizer has a chat template, used or not; false in folders of before it was recorded."""
    schema: int = SCHEMA

    @property
    def generation_id(self) -> str:
        """The hash of the identity."""
        return digest(self.identity)

    @property
    def answer_rule(self) -> str:
        """What of an output is scored: see edt.tasks.answers."""
        return str(self.identity.get("answer", "all"))

    def with_pass(self, added: Pass) -> Manifest:
        """Return the manifest with one more pass."""
        return replace(self, passes=(*self.passes, added))

    def with_changed_pass(self, number: int, changed: Pass) -> Manifest:
        """Return the manifest with another pass instead of number `number`."""
        return replace(self, passes=(*self.passes[:number], changed, *self.passes[number + 1 :]))

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        # The id stands first, for people; reading checks it against the identity.
        content = {"generation_id": self.generation_id, **asdict(self)}
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False, sort_keys=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read it back; a field that an older version did not write has its default.

        Raises StoreError when it is torn, of another schema, or does not hash to its id.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            stored_id = content.pop("generation_id")
            # JSON has no tuples; passes are compared and put into sets, so lists become tuples again.
            passes = tuple(_pass_from_json(entry) for entry in content.pop("passes"))
            extra_metrics = tuple(content.pop("extra_metrics"))
            manifest = cls(**content, passes=passes, extra_metrics=extra_metrics)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"manifest {path} cannot be read ({error}): it is damaged, or a newer version of edt "
                "wrote it. Use that version, or another paths.runs."
            ) from error
        # An identity edited by hand would let tokens of two settings share one folder.
        if manifest.generation_id != stored_id or manifest.schema != SCHEMA:
            raise StoreError(f"manifest {path} was changed by hand: its identity hashes to {manifest.generation_id}.")
        return manifest


def _pass_from_json(entry: Mapping[str, Any]) -> Pass:
    """Return a pass from its JSON."""
    return Pass(
        split=entry["split"],
        rows=tuple((strategy, sample) for strategy, sample in entry["rows"]),
        chunks=tuple(tuple(chunk) for chunk in entry["chunks"]),
        rows_per_batch=entry["rows_per_batch"],
        # A field with a default may be absent, in a folder of an older version.
        splits=entry.get("splits", 0),
        environment=entry["environment"],
    )
