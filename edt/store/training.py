"""The folder of a training, and its manifest: what was trained from what, and whether it is finished.

FOLDER/
    edt_training.json                    the manifest, sealed
    adapter_model.safetensors  adapter_config.json   or, with training.full=true, a whole model
    README.md  curve.csv  edt.log
    checkpoints/checkpoint-N/            while it is trained
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edt.errors import DamagedFileError
from edt.ids import digest
from edt.store.atomic import write_bytes
from edt.store.json_text import parsed_json
from edt.store.regular_file import read_regular
from edt.store.seal import SEAL_KEY, SealError, check_seal, json_bytes

MANIFEST = "edt_training.json"
CHECKPOINTS = "checkpoints"
_REMEDY = "Train anew in another folder (out=FOLDER), or bring the file back from a copy."


@dataclass(frozen=True, kw_only=True)
class TrainingManifest:
    """What a training is. `identity` is what can change a weight; the rest records how and from what it was made.

    base: the model that was trained: path, revision, and digests of its weights, config and tokenizer.
    wording: what of the prompt is the same for all examples: template, instruction, shots, chat template.
    subset: examples by split, with the digest of their ids.
    result: figures of the end, None until it is finished. files: SHA-256 of the result's files by name.
    """

    identity: Mapping[str, Any]
    task: str
    base: Mapping[str, Any]
    wording: Mapping[str, Any]
    subset: Mapping[str, Any]
    training: Mapping[str, Any]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    continued: tuple[Mapping[str, Any], ...] = ()
    """The environments of the commands that continued it, in order."""
    result: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def training_id(self) -> str:
        """The hash of the identity."""
        return digest(self.identity)

    def write(self, folder: Path) -> None:
        """Write it into the folder, whole or not at all, sealed."""
        content = {"training_id": self.training_id, **asdict(self)}
        write_bytes(folder / MANIFEST, json_bytes(content, f"{self.training_id}/{MANIFEST}"), setting="out")

    @classmethod
    def read(cls, folder: Path) -> TrainingManifest | None:
        """Return the manifest of a folder, None where it has none. Raises DamagedFileError for one that was changed."""
        path = folder / MANIFEST
        if not path.is_file():
            return None
        raw = read_regular(path, _REMEDY)
        try:
            content = parsed_json(raw)
            stored_id = content.pop("training_id")
            content.pop(SEAL_KEY)
            manifest = cls(**{**content, "continued": tuple(content["continued"])})
            check_seal(raw, f"{manifest.training_id}/{path.name}")
        except SealError as error:
            raise DamagedFileError(f"{path} {error}. {_REMEDY}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"{path} cannot be read ({error}). {_REMEDY}") from error
        if manifest.training_id != stored_id:
            raise DamagedFileError(f"{path} was changed by hand: its identity has another hash. {_REMEDY}")
        return manifest
