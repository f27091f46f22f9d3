"""Add to a request the settings that its scores are read against: fixed temperatures for EDA's scale, a baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edt.generation.request import GenerationRequest
from edt.metrics.suite import MetricsSpec
from edt.scoring.eda_constants import BASELINE
from edt.strategies.base import Strategy
from edt.strategies.fixed import Fixed

_FIXED = re.compile(r"fixed\(t0=([0-9.eE+-]+)\)")
"""The id of a fixed temperature without truncation."""


def with_reference_settings(
    request: GenerationRequest, scale: Sequence[Strategy], metrics: MetricsSpec, baseline: str | None
) -> GenerationRequest:
    """Return the request with what it needs to be read: the fixed temperatures of `scale`, and a fixed `baseline`.

    The scale is not added where EDA is missing anyway (one sample), where its constants are given, and where the
    request has fixed temperatures: which of them set the scale is then the user's choice.
    """
    own = {strategy.strategy_id for strategy in request.strategies}
    wants_scale = (
        request.sampling.samples > 1
        and metrics.eda.q_star is None
        and not any(_is_plain_fixed(strategy) for strategy in request.strategies)
    )
    # With single ones a user may want just these: the note on a provisional EDA then says what is missing.
    added = [strategy for strategy in scale if strategy.strategy_id not in own] if wants_scale else []

    # A baseline that is a plain fixed temperature can be read from its id; any other must be among the strategies.
    named = _FIXED.fullmatch(baseline or "")
    fixed = [Fixed(t0=float(named.group(1)))] if named else []
    known = {*own, *(strategy.strategy_id for strategy in added)}
    others = [strategy for strategy in fixed if strategy.strategy_id not in known]
    # In front, as tables usually have the fixed temperatures.
    return replace(request, strategies=(*added, *others, *request.strategies), scale_settings=len(added))


def _is_plain_fixed(strategy: Strategy) -> bool:
    """Return whether a setting is one of those whose best scores set EDA's scale."""
    return strategy.family == BASELINE and set(strategy.params()) == {"t0"}
