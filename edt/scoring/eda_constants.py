"""EDA's constants for a task: given, a study's own, frozen in the run, taken from dev, or from the split itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edt.errors import StoreError
from edt.metrics.eda import ConstantsSource, EdaConstants, eda_constants
from edt.metrics.suite import EdaSpec, MetricValue
from edt.scoring.outputs import Outputs
from edt.store.atomic import write_text

BASELINE = "fixed"
"""The family whose best scores set EDA's scale, and that others are compared with."""
PROVISIONAL: ConstantsSource = "own split (provisional)"
MISSING = (
    "EDA is missing: its constants are the best quality and the largest Self-BLEU of fixed temperatures, and there is "
    "none above 0 here. They need 2 samples or more, and fixed temperatures in the same run: repeat the command once "
    "with strategy=fixed strategy.t0=[0,0.4,0.7,1,1.3] in place of its strategy, then as it was (task.split=[dev,test] "
    "in both takes the constants from dev). Or give metrics.eda.q_star and metrics.eda.s_star."
)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One strategy on one split with its measurements; `quality` names the quality metric."""

    outputs: Outputs
    measured: Mapping[str, MetricValue]
    quality: str

    @property
    def is_baseline(self) -> bool:
        """Whether it belongs to the fixed family with no truncation, whose best scores set EDA's scale."""
        return self.outputs.family == BASELINE and set(self.outputs.params) == {"t0"}

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
    split: str,
    scored: Sequence[Scored],
    spec: EdaSpec,
    frozen: FrozenConstants,
    key: str,
    baseline_ids: Collection[str] | None = None,
) -> tuple[EdaConstants | None, str]:
    """The constants for one split of a task, and the note that qualifies them.

    In this order: given in the configuration; the maxima on dev of a study's own baseline, whatever else the run
    holds (frozen if nothing was); frozen in the run; the fixed family's maxima on dev, greedy among them (frozen now);
    the fixed family's maxima on the split itself (provisional); none, and EDA is missing.

    baseline_ids: the strategies that a study takes its constants from; None outside a study.
    """
    if spec.q_star is not None and spec.s_star is not None:
        return EdaConstants(q_star=spec.q_star, s_star=spec.s_star, source="override"), ""
    if baseline_ids is not None:
        return study_constants(scored, baseline_ids, frozen, key)
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
        return None, MISSING
    way_out = "add strategy.t0=0 (greedy) to the fixed settings" if on_dev else "task.split=[dev,test]"
    return constants, (
        f"EDA is provisional: Q* = {constants.q_star:.4g} and S* = {constants.s_star:.4g} are the best of the fixed "
        f"temperatures on this very split; to take them from dev, {way_out}."
    )


def study_constants(
    scored: Sequence[Scored], baseline_ids: Collection[str], frozen: FrozenConstants, key: str
) -> tuple[EdaConstants | None, str]:
    """The maxima of these strategies on dev: they hang on the study alone, not on what else was decoded or frozen."""
    own = [entry for entry in scored if entry.outputs.split == "dev" and entry.outputs.strategy_id in baseline_ids]
    constants = maxima(own, "dev")
    if constants is None:
        return None, MISSING
    known = frozen.get(key)
    if known is None:
        frozen.freeze(key, constants)
    if known in (None, constants):
        return constants, ""
    return constants, (
        f"EDA's constants are the study's or search's own; edt run and edt score use those that the run had frozen "
        f"before: Q* = {known.q_star:.4g}, S* = {known.s_star:.4g}."
    )


def baseline(scored: Sequence[Scored], split: str) -> list[Scored]:
    """The fixed-temperature settings of one split."""
    return [entry for entry in scored if entry.outputs.split == split and entry.is_baseline]


def maxima(scored: Sequence[Scored], source: ConstantsSource) -> EdaConstants | None:
    """Constants from the best quality and the largest Self-BLEU among these settings."""
    quality = [entry.measured[entry.quality].value for entry in scored]
    self_bleu = [entry.measured["self_bleu"].value for entry in scored]
    return eda_constants(quality, self_bleu, source=source, family=BASELINE)
