"""EDA's constants for a task: given, frozen in the run, taken from dev, or from the split itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edt.errors import StoreError
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


@dataclass(kw_only=True)
class FrozenConstants:
    """The constants that a run has frozen, kept beside its manifest: used unchanged for every later setting."""

    path: Path
    by_scale: dict[str, EdaConstants]

    @classmethod
    def read(cls, path: Path) -> FrozenConstants:
        """What was frozen so far. Raises StoreError for a damaged file."""
        if not path.is_file():
            return cls(path=path, by_scale={})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path=path, by_scale={key: EdaConstants(**found) for key, found in content.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} is damaged ({error}); remove it, and the next scoring freezes anew.") from error

    def get(self, key: str) -> EdaConstants | None:
        """What was frozen under `key`."""
        return self.by_scale.get(key)

    def freeze(self, key: str, constants: EdaConstants) -> None:
        """Freeze, for good."""
        self.by_scale[key] = constants

    def write(self) -> None:
        """Write them, whole or not at all; nothing frozen writes nothing."""
        if self.by_scale:
            content = {key: asdict(constants) for key, constants in self.by_scale.items()}
            write_text(self.path, json.dumps(content, indent=1) + "\n")


def constants_for(
    split: str, scored: Sequence[Scored], spec: EdaSpec, frozen: FrozenConstants, key: str
) -> tuple[EdaConstants | None, str]:
    """The constants for one split of a task, and the note that qualifies them.

    In this order: given in the configuration; frozen in the run; the fixed family's maxima on dev, greedy among
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
    way_out = "add strategy.t0=0 (greedy) to the fixed settings" if on_dev else "task.split=[dev,test]"
    return constants, (
        f"EDA is provisional: Q* = {constants.q_star:.4g} and S* = {constants.s_star:.4g} are the best of the fixed "
        f"temperatures on this very split; to take them from dev, {way_out}."
    )


def baseline(scored: Sequence[Scored], split: str) -> list[Scored]:
    """The fixed-temperature settings of one split."""
    return [entry for entry in scored if entry.outputs.split == split and entry.is_baseline]


def maxima(scored: Sequence[Scored], source: ConstantsSource) -> EdaConstants | None:
    """Constants from the best quality and the largest Self-BLEU among these settings."""
    quality = [entry.measured[entry.quality].value for entry in scored]
    self_bleu = [entry.measured["self_bleu"].value for entry in scored]
    return eda_constants(quality, self_bleu, source=source, family=BASELINE_FAMILY)
