"""EDA's constants for a task: given, frozen in the study, taken from dev, or from the split itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edt.metrics.eda import ConstantsSource, EdaConstants, eda_constants
from edt.metrics.suite import EdaSpec, Measured
from edt.pipeline.outputs import Outputs
from edt.store.atomic import write_text

BASELINE_FAMILY = "fixed"
PROVISIONAL: ConstantsSource = "own split (provisional)"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One strategy on one split with its measurements; `quality` names the quality metric."""

    outputs: Outputs
    measured: Mapping[str, Measured]
    quality: str

    @property
    def is_baseline(self) -> bool:
        """Whether it belongs to the fixed family with no truncation, whose best scores set EDA's scale."""
        return self.outputs.family == BASELINE_FAMILY and set(self.outputs.params) == {"t0"}

    @property
    def is_greedy(self) -> bool:
        """Whether it is greedy decoding."""
        return self.is_baseline and self.outputs.params["t0"] == 0


class FrozenConstants:
    """The constants that a study has frozen, kept in its manifest: used unchanged for every later setting."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"eda": {}}

    def get(self, key: str) -> EdaConstants | None:
        """What was frozen under `key`."""
        found = self._content["eda"].get(key)
        return None if found is None else EdaConstants(**found)

    def freeze(self, key: str, constants: EdaConstants) -> None:
        """Freeze, for good."""
        self._content["eda"][key] = asdict(constants)

    def write(self, runs: Sequence[str]) -> None:
        """Write the study's manifest, whole or not at all."""
        write_text(self.path, json.dumps({"runs": sorted(runs), **self._content}, indent=1) + "\n")


def constants_for(
    split: str, scored: Sequence[Scored], spec: EdaSpec, frozen: FrozenConstants, key: str
) -> tuple[EdaConstants | None, str]:
    """The constants for one split of a task, and the note that qualifies them.

    In this order: given in the configuration; frozen in the study; the fixed family's maxima on dev, greedy among
    them (frozen now); the fixed family's maxima on the split itself (provisional); none, and EDA is missing.
    """
    if spec.q_star is not None and spec.s_star is not None:
        return EdaConstants(q_star=spec.q_star, s_star=spec.s_star, source="override"), ""
    known = frozen.get(key)
    if known is not None:
        return known, ""
    on_dev = baseline(scored, "dev")
    if any(entry.is_greedy for entry in on_dev):
        constants = maxima(on_dev, "dev")
        if constants is not None:
            frozen.freeze(key, constants)
            return constants, ""
    constants = maxima(baseline(scored, split), PROVISIONAL)
    if constants is None:
        return None, (
            "EDA is missing: its constants are the best quality and largest Self-BLEU of fixed-temperature settings, "
            "and there is none above 0 here. Add strategy=fixed settings and 2 samples or more, or give "
            "metrics.eda.q_star and s_star."
        )
    return constants, (
        f"EDA is provisional: Q* = {constants.q_star:.4g} and S* = {constants.s_star:.4g} are the best of the fixed "
        "temperatures on this very split; task.split=[dev,test] takes them from dev."
    )


def baseline(scored: Sequence[Scored], split: str) -> list[Scored]:
    """The fixed-temperature settings of one split."""
    return [entry for entry in scored if entry.outputs.split == split and entry.is_baseline]


def maxima(scored: Sequence[Scored], source: ConstantsSource) -> EdaConstants | None:
    """Constants from the best quality and the largest Self-BLEU among these settings."""
    quality = [entry.measured[entry.quality].value for entry in scored]
    self_bleu = [entry.measured["self_bleu"].value for entry in scored]
    return eda_constants(quality, self_bleu, source=source, family=BASELINE_FAMILY)
