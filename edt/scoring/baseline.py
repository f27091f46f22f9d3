"""The paired differences of a scoring: each strategy less one baseline of the same split, over the same resamples."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edt.errors import ConfigError, suggestion
from edt.metrics.suite import MetricValue, difference
from edt.records import ScoreRow
from edt.scoring.eda_constants import StrategyMetrics
from edt.scoring.outputs import GRAMMAR_ID
from edt.statistics.bootstrap import Comparison

_logger = logging.getLogger(__name__)

BEST_FIXED, NO_BASELINE = "best_fixed", "none"
"""Values of `baseline` that name no strategy."""
AS_SET = "as set by baseline"
"""How the user's own choice became the baseline."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The strategy that the others of its split are compared with. origin: how it became the baseline, in words."""

    entry: StrategyMetrics
    origin: str

    @property
    def strategy_id(self) -> str:
        """The baseline's strategy."""
        return self.entry.outputs.strategy_id

    def difference(self, value: MetricValue, confidence: float) -> Comparison | None:
        """Return `value` less the baseline's value of the same metric, with its paired interval; None without either.

        What both strategies share, as a hard example, cancels in the difference.
        """
        # The grammar has no mean temperature: a metric can be missing on one side.
        own = self.entry.metrics.get(value.metric)
        return None if own is None else difference(value, own, confidence)


def check_baseline(requested: object, strategy_ids: Sequence[str]) -> None:
    """Raise ConfigError unless `baseline` is null, best_fixed, none, or one of these strategies."""
    if requested is None or requested in (BEST_FIXED, NO_BASELINE) or requested in strategy_ids:
        return
    # The words first, then the settings: a grid of hundreds would hide them.
    known = [BEST_FIXED, NO_BASELINE, *dict.fromkeys(strategy_ids)]
    shown = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    raise ConfigError(
        f"baseline is {requested!r}{suggestion(str(requested), known)}; it must be null or one of: {shown}. In a shell "
        "the whole word needs quotes, as 'baseline=fixed(t0=0.7)'."
    )


def as_scored(scores: Sequence[ScoreRow], requested: str | None) -> list[ScoreRow]:
    """Return stored scores with their differences, or without them where `baseline` is none.

    Raises ConfigError for another baseline than they were scored with: differences need the resamples, which only a
    scoring has.
    """
    if requested == NO_BASELINE:
        return [_without_difference(score) for score in scores]
    if requested is None:
        return list(scores)
    # Runs can have been scored with different baselines; each of them is on show.
    present = sorted({score.baseline for score in scores if score.baseline})
    if requested not in present:
        raise ConfigError(
            f"baseline is {requested!r}, but the scores on disk hold differences to {', '.join(present) or 'nothing'}; "
            f"to score others: edt score 'baseline={requested}' runs=…"
        )
    # As in a scoring: what is compared with another baseline has no difference to this one.
    if len(present) > 1:
        others = ", ".join(name for name in present if name != requested)
        _logger.warning("no differences of what was scored with another baseline than %s: %s.", requested, others)
    return [score if score.baseline in ("", requested) else _without_difference(score) for score in scores]


def _without_difference(score: ScoreRow) -> ScoreRow:
    return replace(score, baseline="", baseline_origin="", difference=None, difference_lo=None, difference_hi=None)


def baselines(entries: Sequence[StrategyMetrics], requested: str | None, origin: str = AS_SET) -> dict[str, Baseline]:
    """Return the baseline of each split that has one.

    requested: a strategy; `none`; or `best_fixed` (as None), the fixed temperature of lowest EDA, or of best quality
        where EDA is missing. It is chosen on dev if dev has all of the split's fixed temperatures, else on the split.
    origin: how a strategy that is requested was chosen.
    """
    if requested == NO_BASELINE:
        return {}
    # By split: a baseline of dev says nothing about a value on test.
    by_split: dict[str, dict[str, StrategyMetrics]] = {}
    for entry in entries:
        if entry.outputs.strategy_id != GRAMMAR_ID:
            by_split.setdefault(entry.outputs.split, {})[entry.outputs.strategy_id] = entry
    # A setting that is alone is compared with nothing.
    by_split = {split: of_split for split, of_split in by_split.items() if len(of_split) > 1}

    if requested not in (None, BEST_FIXED):
        return {
            split: Baseline(entry=of_split[requested], origin=origin)
            for split, of_split in by_split.items()
            if requested in of_split
        }
    best = {split: _best_fixed(split, by_split) for split in by_split}
    return {split: baseline for split, baseline in best.items() if baseline is not None}


def _best_fixed(split: str, by_split: Mapping[str, Mapping[str, StrategyMetrics]]) -> Baseline | None:
    """Return the best fixed temperature of a split; None where it has none."""
    # Without truncation, as for EDA's scale: these are the settings that a tuned rule has to beat.
    candidates = [name for name, entry in by_split[split].items() if entry.is_baseline]
    if not candidates:
        return None
    if len(candidates) == 1:
        return Baseline(entry=by_split[split][candidates[0]], origin="the only fixed temperature")

    # On dev where that is possible: the best of many on the data that it is compared on is partly the luckiest.
    on_dev = split != "dev" and all(name in by_split.get("dev", {}) for name in candidates)
    where = by_split["dev" if on_dev else split]
    losses = _losses([where[name] for name in candidates])
    if losses is None:
        return None
    metric, values = losses
    chosen = candidates[min(range(len(candidates)), key=values.__getitem__)]
    among = f"the best of {len(candidates)} fixed temperatures by {metric}"
    place = "on dev" if on_dev else "on this split, so its own advantage is optimistic"
    return Baseline(entry=by_split[split][chosen], origin=f"{among}, chosen {place}")


def _losses(entries: Sequence[StrategyMetrics]) -> tuple[str, list[float]] | None:
    """Return what decides between these settings, and their values, lower is better; None where nothing can."""
    for metric, sign in (("eda", 1.0), (entries[0].quality, -1.0)):
        values = [entry.metrics[metric].value if metric in entry.metrics else None for entry in entries]
        known = [sign * value for value in values if value is not None]
        # All or none: a setting without a value is neither better nor worse than others.
        if len(known) == len(entries):
            return "EDA" if metric == "eda" else "quality", known
    return None
