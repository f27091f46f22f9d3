"""Dynamic temperature by normalised entropy (llama.cpp, pull request 4972)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import GRANULARITIES, Signals, Strategy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Dynatemp(Strategy):
    """T = Tmin + (Tmax − Tmin)·(H/Hmax)^e (llama.cpp #4972, "dynamic temperature" or entropy sampling).

    H is the entropy of the tokens that may be drawn and Hmax the largest that so many tokens can have, ln of their
    number: all tokens with order=temperature_first, those that truncation kept with order=truncate_first, as in
    llama.cpp. 0 <= Tmin <= Tmax; e >= 0, and e = 0 is T = Tmax. One token alone has H = Hmax = 0: T = Tmin.
    """

    family: ClassVar[str] = "dynatemp"
    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})

    t_min: float
    """T at entropy 0."""
    t_max: float
    """T at the largest entropy."""
    exponent: float = 1.0
    """Above 1: T rises late."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompt."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        self.require(0 <= self.t_min < math.inf, "t_min", "a temperature of 0 or more")
        self.require(self.t_min <= self.t_max < math.inf, "t_max", "a temperature of t_min or more")
        self.require(0 <= self.exponent < math.inf, "exponent", "a number of 0 or more")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

    @property
    def entropy_of(self) -> str:
        """The distribution whose entropy the rule reads: that of the kept tokens where truncation comes first."""
        return "kept" if self.order == "truncate_first" else "raw"

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return self.exponent == 0 or self.t_min == self.t_max

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return the temperature per row."""
        # With one token left Hmax is 0: H/Hmax would be 0/0. Rounding can lift H above Hmax.
        share_R = (signals.entropy_R / signals.max_entropy_R).where(signals.max_entropy_R > 0, 0.0).clamp(max=1.0)

        # At e = 0, 0⁰ is 1 in torch: T = Tmax also for a certain token, as `is_constant` promises.
        return params["t_min"] + (params["t_max"] - params["t_min"]) * share_R ** params["exponent"]
