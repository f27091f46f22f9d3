"""Fixed temperature: the baseline, and greedy decoding at T0 = 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import Signals, Strategy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Fixed(Strategy):
    """T = T0 at every step. T0 >= 0; T0 = 0 is greedy (argmax) decoding."""

    family: ClassVar[str] = "fixed"

    t0: float
    """The temperature; 0 is greedy."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        # 0 is greedy decoding: the draw takes it as argmax, and EDA's scale needs that point.
        self.require(0 <= self.t0 < math.inf, "t0", "a temperature of 0 (greedy) or more")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return True

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return T0 per row."""
        return params["t0"]
