"""A temperature drawn at random: the control for every rule that reads the model's distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.errors import ConfigError
from edt.strategies.base import GRANULARITIES, Signals, Strategy

if TYPE_CHECKING:
    from torch import Tensor


def around(center: float, spread: float) -> RandomT:
    """Return a temperature uniform between center·(1 − spread) and center·(1 + spread), 0 <= spread <= 1."""
    if not 0 <= spread <= 1:
        raise ConfigError(f"spread is {spread}; it is a share of the center, from 0 to 1.")

    shares = (1 - spread, 1 - spread / 2, 1.0, 1 + spread / 2, 1 + spread)
    # Rounded, since the numbers stand in the id: 0.7 · 1.3 would be 0.9099999999999999 there.
    q0, q25, q50, q75, q100 = (round(center * share, 6) for share in shares)
    return RandomT(q0=q0, q25=q25, q50=q50, q75=q75, q100=q100)


@dataclass(frozen=True, kw_only=True)
class RandomT(Strategy):
    """T = Q(u), with u uniform in (0, 1) per row and step, and Q the quantile function through five points.

    Q is linear between q0 (the smallest T), q25, q50, q75 and q100 (the largest). A control: given the quantiles of
    another rule's temperatures it has their spread and knows nothing of the distribution, so what the rule does better
    is due to *where* it is hot. u is noise of the row's identity, drawn apart from that of the tokens; all settings of
    a row's sample read the same u.
    """

    family: ClassVar[str] = "random_t"
    needs: ClassVar[frozenset[str]] = frozenset({"uniform"})

    q0: float
    """The smallest T."""
    q25: float
    """T below which a quarter of the draws are."""
    q50: float
    """The median of T."""
    q75: float
    """T below which three quarters of the draws are."""
    q100: float
    """The largest T."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompt."""

    def check(self) -> None:
        """Raise ConfigError unless 0 <= q0 <= q25 <= q50 <= q75 <= q100."""
        self.require(self.q0 >= 0, "q0", "a temperature of 0 or more")
        self.require(self.q100 < math.inf, "q100", "a finite temperature")
        points = (self.q0, self.q25, self.q50, self.q75, self.q100)
        # Equal neighbors are allowed: the quantiles of a rule that often sits at its upper bound have them.
        if list(points) != sorted(points):
            raise ConfigError(f"strategy 'random_t': its quantiles are {points}; they must not fall from q0 to q100.")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return self.q0 == self.q100

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return Q(u) per row."""
        import torch

        points_R5 = torch.stack([params[name] for name in ("q0", "q25", "q50", "q75", "q100")], dim=-1)

        # u = 1 itself belongs to the last of the four stretches between the points.
        at_R = 4 * signals.uniform_R
        below_R = at_R.floor().clamp(0, 3).long()
        low_R = points_R5.gather(-1, below_R.unsqueeze(-1)).squeeze(-1)
        high_R = points_R5.gather(-1, below_R.unsqueeze(-1) + 1).squeeze(-1)
        return low_R + (high_R - low_R) * (at_R - below_R)
