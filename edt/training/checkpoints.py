"""What an interrupted training continues from: the last checkpoint that is whole, and as it was written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edt.errors import DamagedFileError
from edt.ids import file_digest
from edt.store.atomic import write_text
from edt.store.json_text import parsed_json

__all__ = ["Checkpoint", "last_whole", "seal_checkpoint"]

_MARK = "whole.json"
"""Written last into a checkpoint: transformers writes its files one by one, and a kill leaves some of them."""
_HASHED_UP_TO = 2 * 2**30
"""Bytes up to which a file's content is compared. Of a larger one, as a whole model is, its size is."""


class Checkpoint:
    """A checkpoint of transformers' Trainer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: Mapping[str, Any] = parsed_json((folder / "trainer_state.json").read_text(encoding="utf-8"))

    @property
    def step(self) -> int:
        """Updates that were made."""
        return int(self.state["global_step"])

    @property
    def curve(self) -> list[dict[str, Any]]:
        """What was logged up to here, an entry per step or evaluation."""
        return [dict(entry) for entry in self.state["log_history"]]

    @property
    def is_last(self) -> bool:
        """Whether the training ended here: all steps were made, or it was stopped early."""
        # Early stopping ends before the last step, and only the Trainer's control says so.
        control = self.state.get("stateful_callbacks", {}).get("TrainerControl", {})
        stopped = control.get("attributes", {}).get("should_training_stop", False)
        return bool(stopped) or self.step >= int(self.state["max_steps"])

    @property
    def best_step(self) -> int:
        """The step with the lowest loss on dev; this one where there is no dev."""
        return int(self.state.get("best_global_step") or self.step)

    @property
    def best(self) -> Path:
        """The checkpoint of the best step."""
        # By its number: the path in the state is that of when it was written, and the folder may have been moved.
        return self.folder.with_name(f"checkpoint-{self.best_step}")


def seal_checkpoint(folder: Path) -> None:
    """Record the sizes and digests of a checkpoint's files, which makes it a whole one."""
    write_text(folder / _MARK, json.dumps(_content(folder)), setting="out")


def is_whole(folder: Path) -> bool:
    """Return whether all files of a checkpoint are those that were written."""
    # Without the mark it is torn: the kill came before the last file.
    try:
        return bool(parsed_json((folder / _MARK).read_text(encoding="utf-8")) == _content(folder))
    except (OSError, ValueError):
        return False


def last_whole(folder: Path) -> Checkpoint | None:
    """Return the last whole checkpoint in a folder of checkpoints, None where there is none; torn ones are removed.

    Raises DamagedFileError where the best one so far is not whole, from which the result is to be made.
    """
    numbered = {int(path.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*") if _is_name(path.name)}
    # By number and not by time of writing, which a copy changes.
    for _, path in sorted(numbered.items(), reverse=True):
        if not is_whole(path):
            # Otherwise it would count among those that the Trainer keeps, in place of a whole one.
            shutil.rmtree(path, ignore_errors=True)
            continue
        last = Checkpoint(path)
        if last.best != path and not is_whole(last.best):
            raise DamagedFileError(
                f"{last.best} is damaged or missing, and it has the lowest loss so far, from which the result is made; "
                f"remove {folder} to begin this training anew."
            )
        return last
    return None


def _is_name(name: str) -> bool:
    return re.fullmatch(r"checkpoint-\d+", name) is not None


def _content(folder: Path) -> dict[str, list[Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MARK)
    sizes = {path: path.stat().st_size for path in files}
    return {
        path.relative_to(folder).as_posix(): [size, file_digest(path) if size <= _HASHED_UP_TO else None]
        for path, size in sizes.items()
    }
