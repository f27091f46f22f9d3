"""Two temperatures: one where the model is unsure, one where it is sure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import GRANULARITIES, Signals, Strategy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Switch(Strategy):
    """T = T_high where H >= h, else T_low: the simplest rule that reads the entropy.

    H is in nats, of all tokens. T_high and T_low >= 0. h >= 0; h = 0 is a fixed T_high. With T_low above T_high it is
    hot where the model is sure: a search tries that too, to find it worse, and `strategy=switch` refuses it.
    """

    family: ClassVar[str] = "switch"
    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})

    t_high: float
    """T where the entropy is h or more."""
    t_low: float
    """T where it is less."""
    h: float
    """The entropy, in nats, at which T changes."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompt."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        self.require(0 <= self.t_high < math.inf, "t_high", "a temperature of 0 or more")
        self.require(0 <= self.t_low < math.inf, "t_low", "a temperature of 0 or more")
        self.require(0 <= self.h < math.inf, "h", "an entropy of 0 nats or more")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

    def check_chosen(self) -> None:
        """Raise ConfigError where T_low is above T_high."""
        # No error of `check`: the space of a search is a box, which holds such corners.
        self.require(
            self.t_low <= self.t_high,
            "t_low",
            f"at most t_high, which is {self.t_high:g}: T is t_high where the model is unsure. Exchange the two; a "
            "rule that is hot where the model is sure is strategy=inverted_edt, a control",
        )

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        # No entropy is below 0, so at h = 0 T_low is never used.
        return self.h == 0 or self.t_high == self.t_low

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return the temperature per row."""
        return params["t_high"].where(signals.entropy_R >= params["h"], params["t_low"])
