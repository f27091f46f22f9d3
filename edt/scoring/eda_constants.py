"""EDA's constants Q* and S* for a task: given, a study's own, frozen in the run, from dev, or from the split itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from edt.metrics.eda import ConstantsSource, EdaConstants, eda_constants
from edt.metrics.suite import EdaSpec, MetricValue
from edt.scoring.outputs import StrategyOutputs
from edt.store.atomic import COPY_THE_RUN, write_bytes
from edt.store.json_text import parsed_json
from edt.store.lock import waiting
from edt.store.run import Run
from edt.store.seal import SEAL_KEY, json_bytes

BASELINE = "fixed"
"""The family whose best scores set EDA's scale, and that others are compared with."""

PROVISIONAL: ConstantsSource = "own split (provisional)"
_REMEDY = (
    "decode some with strategy=fixed_grid, then repeat the command; or add metrics.eda.q_star=NUMBER "
    "metrics.eda.s_star=NUMBER to it."
)
_NONE_THERE = (
    "EDA is missing: its constants are the best quality and the largest Self-BLEU of fixed temperatures without "
    f"truncation, and the run has none of them. edt run decodes them along unless eda_scale=null; else {_REMEDY}"
)
_ONE_SAMPLE = "EDA is missing: it reads Self-BLEU, which needs 2 samples or more (sampling.samples=2)."
_NO_QUALITY = (
    "EDA is missing: the best quality of the fixed temperatures is 0, so there is no distance from it. Look at the "
    "outputs first: an empty or cut output scores 0, and so does a model that does not do this task."
)
_NO_OVERLAP = (
    "EDA is missing: the largest Self-BLEU of the fixed temperatures is 0 or missing, so nothing can be divided by it; "
    "add t0=0 (greedy), whose Self-BLEU is 100 unless its outputs are empty, or give metrics.eda.q_star and "
    "metrics.eda.s_star."
)


_SINGLE = (
    "EDA is provisional and means little: its scale comes from a single fixed setting on this very split. "
    "Repeat the command once with strategy=fixed_sweep in place of its strategy and the strategy's own keys, then as "
    "it was (or name temperatures, 0 among them: strategy=fixed strategy.t0=[0,0.5,1]); task.split=[dev,test] in both "
    "takes the scale from dev."
)


@dataclass(frozen=True, kw_only=True)
class StrategyMetrics:
    """One strategy on one split with its metrics by name; `quality` names the quality metric."""

    outputs: StrategyOutputs
    metrics: Mapping[str, MetricValue]
    quality: str

    @property
    def is_baseline(self) -> bool:
        """Whether it belongs to the fixed family with no truncation, whose best scores set EDA's scale."""
        # Truncation is among the parameters only where it is set.
        return self.outputs.family == BASELINE and set(self.outputs.params) == {"t0"}

    @property
    def is_greedy(self) -> bool:
        """Whether it is greedy decoding."""
        # No family but `fixed` counts, although others can be greedy too: its points set EDA's scale.
        return self.is_baseline and self.outputs.params["t0"] == 0

    def eda_with(self, constants: EdaConstants) -> float | None:
        """Return EDA on the scale of these constants; None where quality or Self-BLEU is missing."""
        quality, self_bleu = self.metrics[self.quality].value, self.metrics["self_bleu"].value
        return None if quality is None or self_bleu is None else float(constants.score(quality, self_bleu))


@dataclass(kw_only=True)
class FrozenConstants:
    """The constants that a run has frozen, stored next to its manifest: used unchanged for every later setting."""

    run: Run
    by_scale: dict[str, EdaConstants]

    @classmethod
    def read(cls, run: Run) -> FrozenConstants:
        """Read what was frozen so far. Raises StoreError for a damaged file."""
        # No file is no error: nothing was frozen yet.
        if not run.constants_path.is_file():
            return cls(run=run, by_scale={})
        try:
            content = parsed_json(run.read(run.constants_path))
            content.pop(SEAL_KEY, None)
            return cls(run=run, by_scale={key: EdaConstants(**values) for key, values in content.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise run.damaged(run.constants_path, str(error)) from error

    def get(self, key: str) -> EdaConstants | None:
        """Return what was frozen under `key`."""
        return self.by_scale.get(key)

    def freeze(self, key: str, constants: EdaConstants) -> None:
        """Keep the constants under `key`, for good once they are written."""
        self.by_scale[key] = constants

    def write(self) -> None:
        """Write them, whole or not at all; where nothing new was frozen, write nothing."""
        path = self.run.constants_path
        # Another scoring may have frozen some meanwhile: what is on disk stays, and none of either is lost.
        with waiting(path):
            present = FrozenConstants.read(self.run).by_scale
            merged = {**self.by_scale, **present}
            if merged != present:
                # json writes a float by repr, so the constants that are read back are the same to the last bit.
                content = {key: asdict(constants) for key, constants in merged.items()}
                write_bytes(path, json_bytes(content, self.run.owner(path)), remedy=COPY_THE_RUN)


def constants_for(
    split: str,
    entries: Sequence[StrategyMetrics],
    spec: EdaSpec,
    frozen: FrozenConstants,
    key: str,
    baseline_ids: Collection[str] | None = None,
) -> tuple[EdaConstants | None, str]:
    """Return the constants for one split of a task, and the note that qualifies them.

    The first of these that applies:

    1. those given in the configuration;
    2. in a study (baseline_ids is not None), the maxima of these strategies on dev, frozen if nothing was;
    3. those frozen in the run under `key`;
    4. the maxima of the fixed family on dev, greedy among them; they are frozen now;
    5. the maxima of the fixed family on the split itself, which are provisional;
    6. none, and EDA is missing.
    """
    if spec.constants is not None:
        return spec.constants, ""
    # Ahead of what is frozen: a study's numbers must not depend on which command used the folder before it.
    if baseline_ids is not None:
        return _study_constants(entries, baseline_ids, frozen, key)
    # Before what dev holds now: a temperature that is added later must not move the scale of earlier scores.
    known = frozen.get(key)
    if known is not None:
        return known, ""

    # Without greedy, the best quality on dev may be far below what the model can do: such a scale is not frozen.
    on_dev = _baseline(entries, "dev")
    if any(entry.is_greedy for entry in on_dev):
        constants = maxima(on_dev, "dev")
        if constants is not None:
            frozen.freeze(key, constants)
            return constants, ""

    on_split = _baseline(entries, split)
    constants = maxima(on_split, PROVISIONAL)
    if constants is None:
        return None, _missing_note([entry for entry in entries if entry.outputs.split == split], on_split)
    # Greedy alone is a scale: its quality is near the best, and its Self-BLEU is 100. Any other single setting is not.
    if len(on_split) == 1 and not on_split[0].is_greedy:
        return constants, _SINGLE
    remedy = "add strategy.t0=0 (greedy) to the fixed settings" if on_dev else "task.split=[dev,test]"
    return constants, (
        f"EDA is provisional: Q* = {constants.q_star:.4g} is the best quality and S* = {constants.s_star:.4g} the "
        f"largest Self-BLEU of the fixed temperatures on this very split; to take them from dev, {remedy}."
    )


def _missing_note(entries: Sequence[StrategyMetrics], baseline: Sequence[StrategyMetrics]) -> str:
    """Return why the baseline, among these settings, gives no constants, and what to do."""
    if all(entry.metrics["self_bleu"].value is None for entry in entries):
        return _ONE_SAMPLE
    if not baseline:
        return _NONE_THERE
    has_quality = any((entry.metrics[entry.quality].value or 0) > 0 for entry in baseline)
    return _NO_OVERLAP if has_quality else _NO_QUALITY


def _study_constants(
    entries: Sequence[StrategyMetrics], baseline_ids: Collection[str], frozen: FrozenConstants, key: str
) -> tuple[EdaConstants | None, str]:
    """Return the maxima of these strategies on dev: they depend on the study alone, not on what else was decoded."""
    own = [entry for entry in entries if entry.outputs.split == "dev" and entry.outputs.strategy_id in baseline_ids]
    constants = maxima(own, "dev")
    if constants is None:
        return None, _missing_note(entries, own)

    known = frozen.get(key)
    # What the run had frozen stays for edt score; the study uses its own scale, and the note says so.
    if known is None:
        frozen.freeze(key, constants)
    if known in (None, constants):
        return constants, ""
    return constants, (
        f"EDA's constants are the study's or search's own; edt run and edt score use those that the run had frozen "
        f"before: Q* = {known.q_star:.4g}, S* = {known.s_star:.4g}."
    )


def _baseline(entries: Sequence[StrategyMetrics], split: str) -> list[StrategyMetrics]:
    """Return the fixed-temperature settings of one split."""
    return [entry for entry in entries if entry.outputs.split == split and entry.is_baseline]


def maxima(entries: Sequence[StrategyMetrics], source: ConstantsSource) -> EdaConstants | None:
    """Return the constants from the best quality and the largest Self-BLEU among these settings."""
    quality = [entry.metrics[entry.quality].value for entry in entries]
    self_bleu = [entry.metrics["self_bleu"].value for entry in entries]
    return eda_constants(quality, self_bleu, source=source, family=BASELINE)
