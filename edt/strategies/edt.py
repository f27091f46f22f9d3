"""Entropy-based dynamic temperature (Zhang et al. 2024, arXiv 2403.14541)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.strategies.base import GRANULARITIES, Signals, Strategy, check_upper_temperature

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class EDT(Strategy):
    """T = T0 · N^(θ/H) with H the entropy of softmax(raw logits) (Zhang et al. 2024, Eq. 7).

    T0 > 0 is the upper bound, reached as H grows; θ >= 0 sets how fast T falls where the model is certain; θ = 0 is
    `fixed`. 0 < N <= 1; θ and N act only through θ·ln N, so N stays at the paper's 0.8 and is no axis.
    H is in nats, of all tokens (entropy_of "raw", as in the paper) or of those that truncation keeps ("kept", with
    order=truncate_first). The paper's log base is not known to us: were it bits, θ here would be 0.693 · θ there.
    With granularity "instance" T is computed once, from H at the prompt's last position (our reading of the paper's
    comparison).
    """

    family: ClassVar[str] = "edt"
    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})

    t0: float
    """T0 > 0, the upper bound of T."""
    theta: float
    """θ >= 0: how much T falls where the model is sure; 0 is a fixed temperature."""
    n: float = 0.8
    """Base in (0, 1], the paper's."""
    entropy_of: str = "raw"
    """raw: entropy of all tokens; kept: of those that truncation keeps (with order=truncate_first)."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompt."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        check_upper_temperature(self, self.t0)
        self.require(0 <= self.theta < math.inf, "theta", "a number of 0 (fixed temperature) or more")
        self.require(0 < self.n <= 1, "n", "a base in (0, 1]; the paper uses 0.8")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

        # With the temperature first, the kept tokens depend on T, and T would depend on their entropy.
        kept_only = self.entropy_of == "raw" or (self.entropy_of == "kept" and self.order == "truncate_first")
        self.require(kept_only, "entropy_of", "'raw', or 'kept' together with order=truncate_first")

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return self.theta == 0 or self.n == 1

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return T0·N^(θ/H) per row (Zhang et al. 2024, Eq. 7). θ = 0 gives T0 exactly; H = 0 gives 0."""
        return temperature_at(signals.entropy_R, params)


def temperature_at(entropy_R: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    """Return T0·N^(θ/H) per row at these entropies. θ = 0 gives T0 exactly; H = 0 gives 0."""
    theta_R, log_n_R = params["theta"], params["n"].log()
    # Asked of each factor: in float32 a tiny N has the logarithm −∞ and a huge θ is ∞, and ∞ · 0 is NaN. The rule
    # is a fixed temperature even at H = 0, where rate/H would be 0/0.
    rate_R = theta_R * log_n_R
    # Of the product too, which underflows where both are tiny.
    is_fixed_R = (theta_R == 0) | (log_n_R == 0) | (rate_R == 0)
    exponent_R = (rate_R / entropy_R).where(~is_fixed_R, 0.0)
    # At H = 0 and θ > 0 the exponent is −inf and T = 0: the floor of the draw makes that the argmax.
    return params["t0"] * exponent_R.exp()
