"""Options of the export to Weights & Biases: the configuration group `tracking`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edt.errors import ConfigError

_MODES = ("auto", "online", "offline", "disabled")
_FORBIDDEN_IN_PROJECT = "/\\#?%:"
_LONGEST_TAG = 64
LONGEST_NAME = 128
"""Characters of a project, group or run name at W&B; its server refuses more, also of runs written offline."""


@dataclass(frozen=True, kw_only=True)
class NoTracking:
    """No export; the results are only in the run folder."""


@dataclass(frozen=True, kw_only=True)
class WandbSpec:
    """Where to export a study, and how much of its outputs."""

    project: str = "edt"
    """Project at Weights & Biases."""
    entity: str | None = None
    """User or team; null: the default of your W&B account."""
    mode: str = "auto"
    """auto: online where W&B finds a key, else offline; or online, offline, disabled."""
    group: str | None = None
    """Name of the study; null: study-<id of the runs>."""
    tags: tuple[str, ...] = ()
    """Tags of every W&B run."""
    max_examples: int | None = 20
    """Examples per task and split whose prompts, references and outputs are sent; 0: none, null: all."""
    dir: str | None = None
    """Folder of offline runs, which are written to its subfolder `wandb`; null: the folder of the runs."""

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ConfigError(f"tracking.mode is '{self.mode}'; it must be one of {', '.join(_MODES)}.")
        # W&B's rule for project names; checked here so that a run of hours does not end with it.
        if not self.project or any(character in self.project for character in _FORBIDDEN_IN_PROJECT):
            raise ConfigError(
                f"tracking.project is '{self.project}'; it must be a name without any of {_FORBIDDEN_IN_PROJECT}."
            )
        for name in ("project", "group", "entity"):
            value = getattr(self, name)
            if value is not None and not (value.strip() and len(value) <= LONGEST_NAME):
                raise ConfigError(
                    f"tracking.{name} is '{value}', {len(value)} characters; W&B takes 1 to {LONGEST_NAME}. Shorten it"
                    f"{'.' if name == 'project' else ', or leave it out (null).'}"
                )
        if self.entity is not None and not re.fullmatch(r"[\w.-]+", self.entity):
            raise ConfigError(
                f"tracking.entity is '{self.entity}'; it must be a user or team of W&B: letters, digits, '_', '-', '.'."
            )
        for tag in self.tags:
            if not (tag.strip() and len(tag) <= _LONGEST_TAG):
                raise ConfigError(
                    f"tracking.tags has the tag '{tag}', {len(tag)} characters; W&B takes 1 to {_LONGEST_TAG}. "
                    "Shorten or remove it."
                )
        # 0 is a value here: nothing of a prompt or output is sent.
        if self.max_examples is not None and self.max_examples < 0:
            raise ConfigError(
                f"tracking.max_examples is {self.max_examples}; it must be 0 or more examples, or null for all."
            )
        if self.dir == "":
            raise ConfigError("tracking.dir is empty; it must be the path of a folder, or null for that of the runs.")


Tracking = NoTracking | WandbSpec
