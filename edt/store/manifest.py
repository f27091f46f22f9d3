"""The manifest of a run: what can change a token, the chunk plan of each pass, and where everything came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edt.errors import DamagedFileError
from edt.ids import digest
from edt.store.atomic import write_bytes
from edt.store.json_text import parsed_json
from edt.store.regular_file import read_regular
from edt.store.seal import SEAL_KEY, SealError, check_seal, json_bytes

# Raised only when folders of before cannot be read as they are.
SCHEMA = 1

REPAIR = (
    "Repeat the command that decoded the run with repair=true, which makes another from the parts; or begin anew in "
    "another folder: paths.runs=FOLDER."
)
"""Remedy where a manifest is missing or damaged."""


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
    """How often a chunk was split because memory was exhausted."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Versions, commit and threads of the command that planned the pass."""
    continued: tuple[Mapping[str, Any], ...] = ()
    """The environments of the commands that decoded more of it under other versions or on another machine, in order."""
    scale: tuple[str, ...] = ()
    """The settings among the rows that nobody chose: fixed temperatures that give EDA its scale."""

    def split_chunk(self, chunk: int) -> Pass:
        """Return the pass with a chunk of several examples in two."""
        ids = self.chunks[chunk]
        half = len(ids) // 2
        # The second half goes to the end: a chunk's number is part of a file's name, and others may be written.
        chunks = (*self.chunks[:chunk], ids[:half], *self.chunks[chunk + 1 :], ids[half:])
        return replace(self, chunks=chunks, splits=self.splits + 1)


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
    references: tuple[str, ...] = ()
    """Digests of the examples that the scores are made from, with their references: the first and each that replaced
    it. Empty in folders of before it was recorded."""
    adopted: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by name of the files that an older version had written without a seal when this one took the run over."""
    is_sealed: bool = True
    """False for a manifest that was read from a file of an older version, which has no seal. Not written."""
    schema: int = SCHEMA

    @property
    def generation_id(self) -> str:
        """The hash of the identity."""
        return digest(self.identity)

    @property
    def answer_rule(self) -> str:
        """What of an output is scored: see edt.tasks.answers."""
        return str(self.identity.get("answer", "all"))

    def changed_references(self) -> list[str]:
        """Return the digest of the present examples where they are not those that the run began with; else nothing."""
        # What is keyed by it is found again where nothing was changed, and in folders of before it was recorded.
        return [self.references[-1]] if self.references and self.references[-1] != self.references[0] else []

    @property
    def scale_settings(self) -> frozenset[str]:
        """The settings that were decoded for EDA's scale alone. Empty in folders of before it was recorded."""
        # Another command may have added one of them later, for other samples or another split.
        own = {name for one in self.passes for name, _ in one.rows if name not in one.scale}
        return frozenset(name for one in self.passes for name in one.scale) - own

    def with_changed_pass(self, number: int, changed: Pass) -> Manifest:
        """Return the manifest with another pass instead of number `number`."""
        return replace(self, passes=(*self.passes[:number], changed, *self.passes[number + 1 :]))

    def write(self, path: Path) -> None:
        """Write it whole or not at all, sealed."""
        # The id stands first, for people; reading checks it against the identity.
        content = {"generation_id": self.generation_id, **asdict(self)}
        del content["is_sealed"]
        for one in content["passes"]:
            # Most passes are of one command, and of settings that somebody chose.
            for name in ("continued", "scale"):
                if not one[name]:
                    del one[name]
        write_bytes(path, json_bytes(content, f"{self.generation_id}/{path.name}"))

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read it back; a field that an older version did not write has its default.

        Raises DamagedFileError when it is torn or was changed, of another schema, or does not hash to its id.
        """
        raw = read_regular(path, REPAIR)
        try:
            content = parsed_json(raw)
            stored_id = content.pop("generation_id")
            is_sealed = content.pop(SEAL_KEY, None) is not None
            # JSON has no tuples; passes are compared and put into sets, so lists become tuples again.
            passes = tuple(_pass_from_json(entry) for entry in content.pop("passes"))
            content |= {name: tuple(content.get(name, ())) for name in ("extra_metrics", "references")}
            manifest = cls(**content, passes=passes, is_sealed=is_sealed)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(
                f"manifest {path} cannot be read ({error}): it is damaged, or a newer version of edt "
                f"wrote it. Use that version, or another paths.runs. {REPAIR}"
            ) from error
        try:
            # Quality, language, passes and the origin of the data are in no hash but this one.
            sealed = check_seal(raw, f"{stored_id}/{path.name}")
        except SealError as error:
            raise DamagedFileError(f"manifest {path} {error}. {REPAIR}") from error
        # An identity edited by hand would let tokens of two settings share one folder.
        if manifest.generation_id != stored_id or manifest.schema != SCHEMA or sealed != is_sealed:
            raise DamagedFileError(
                f"manifest {path} was changed by hand: its identity hashes to {manifest.generation_id}. {REPAIR}"
            )
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
        continued=tuple(entry.get("continued", ())),
        scale=tuple(entry.get("scale", ())),
    )
