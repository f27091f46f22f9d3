"""EDT the other way round, hot where the model is sure: the control for EDT's direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import GRANULARITIES, Signals, Strategy, check_upper_temperature

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class InvertedEDT(Strategy):
    """T = T0 · N^(θ·H): T0 where the model is certain, falling as the entropy grows.

    A control: EDT's premise is that T should rise with H. T0 > 0 is the upper bound, at H = 0; θ >= 0, and θ = 0 is
    `fixed`; 0 < N <= 1. H is in nats, of all tokens.
    """

    family: ClassVar[str] = "inverted_edt"
    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})

    t0: float
    """T0 > 0, the upper bound of T."""
    theta: float
    """θ >= 0: how much T falls where the model is unsure; 0 is a fixed temperature."""
    n: float = 0.8
    """Base in (0, 1], as EDT's."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompt."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        check_upper_temperature(self, self.t0)
        self.require(0 <= self.theta < math.inf, "theta", "a number of 0 (fixed temperature) or more")
        self.require(0 < self.n <= 1, "n", "a base in (0, 1]; EDT's is 0.8")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return self.theta == 0 or self.n == 1

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return T0·N^(θ·H) per row. θ = 0 gives T0 exactly, and so does H = 0."""
        rate_R, entropy_R = params["theta"] * params["n"].log(), signals.entropy_R
        # In float32 a huge θ is ∞ and a tiny N has the logarithm −∞, and ∞ · 0 is NaN.
        is_t0_R = (params["theta"] == 0) | (params["n"] == 1) | (entropy_R == 0)
        return params["t0"] * (rate_R * entropy_R).where(~is_t0_R, 0.0).exp()
