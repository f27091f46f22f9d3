"""A temperature that falls with the position: Exploratory Annealed Decoding (arXiv 2510.05251)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import Signals, Strategy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Schedule(Strategy):
    """T(t) = max(1 + T_high − e^(t/d), T_low) at step t = 0, 1, …; T = 1 at the first c steps (arXiv 2510.05251, EAD).

    It begins at T_high, falls ever faster, and stays at T_low. 0 <= T_low <= T_high; d > 0 in tokens, and d = ∞ is a
    fixed T_high. c (`template_tokens`) is for answers that begin with a template; the position t counts them. The paper
    lets d grow with the training step; here it is fixed, since nothing is trained. It reads nothing of the model.
    """

    family: ClassVar[str] = "schedule"
    needs: ClassVar[frozenset[str]] = frozenset({"step"})

    t_high: float
    """T at step 0."""
    t_low: float
    """The least T."""
    decay: float
    """d, in tokens: T has fallen by e − 1 = 1.72 at step d, if that is above T_low."""
    template_tokens: int = 0
    """c: so many first tokens are drawn at T = 1."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        self.require(0 <= self.t_high < math.inf, "t_high", "a temperature of 0 or more")
        self.require(0 <= self.t_low <= self.t_high, "t_low", "a temperature from 0 to t_high")
        self.require(self.decay > 0, "decay", "a number of tokens above 0; .inf is fixed temperature")
        self.require(self.template_tokens >= 0, "template_tokens", "a number of tokens, 0 or more")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        falls = self.t_low < self.t_high and not math.isinf(self.decay)
        return not falls and (self.template_tokens == 0 or self.t_high == 1)

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return the temperature per row."""
        step_R = signals.step_R.to(params["decay"])
        # In float32 a tiny d is 0, and 0/0 is NaN; e^0 − 1 is exactly 0, so T is T_high exactly.
        fallen_R = (step_R / params["decay"]).where(step_R > 0, 0.0).expm1()
        cooled_R = (params["t_high"] - fallen_R).maximum(params["t_low"])
        return cooled_R.where(step_R >= params["template_tokens"], 1.0)
