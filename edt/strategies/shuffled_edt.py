"""EDT's own temperatures in another order: the control for where EDT is hot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import Signals, Strategy, check_upper_temperature
from edt.strategies.edt import temperature_at

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ShuffledEDT(Strategy):
    """T = T0 · N^(θ/H′), with H′ the entropy at one of the row's steps so far, drawn evenly, this one included.

    A control: each output has temperatures of EDT's formula at entropies that it did meet, but at other steps. What EDT
    does better is due to being hot at the *right* step. Parameters as in `edt`; θ = 0 is `fixed`.
    """

    family: ClassVar[str] = "shuffled_edt"
    needs: ClassVar[frozenset[str]] = frozenset({"past_entropy"})

    t0: float
    """T0 > 0, the upper bound of T."""
    theta: float
    """θ >= 0: how much T falls where H′ is small; 0 is a fixed temperature."""
    n: float = 0.8
    """Base in (0, 1], the paper's."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of `edt`."""
        check_upper_temperature(self, self.t0)
        self.require(0 <= self.theta < math.inf, "theta", "a number of 0 (fixed temperature) or more")
        self.require(0 < self.n <= 1, "n", "a base in (0, 1]; the paper uses 0.8")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return self.theta == 0 or self.n == 1

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return T0·N^(θ/H′) per row."""
        # EDT's own function, so that the control differs from it in the entropy alone.
        return temperature_at(signals.past_entropy_R, params)
