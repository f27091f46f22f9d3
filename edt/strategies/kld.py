"""KL-guided temperature (Chang et al. 2023, arXiv 2306.01286)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edt.errors import ConfigError
from edt.strategies.base import GRANULARITIES, Signals, Strategy, check_upper_temperature

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class KLD(Strategy):
    """T = T0 · 2^(−KL(p‖q)/σ): p reads the prompt with its source, q without it, both the same drawn tokens.

    arXiv 2306.01286 and its public T5X code: probabilities clipped to [1e-7, 1], KL >= 0; σ > 0 is the divergence, in
    nats, that halves the temperature; σ = inf is `fixed`. T0 > 0.

    With mode "shared" both contexts are decoded in one batch of one model; with "dual" q runs on a second model:
    `model`, or when None the same weights loaded a second time, which is the cost of two parallel decodings. With
    granularity "instance" the second context is dropped after the prompts.
    """

    family: ClassVar[str] = "kld"
    needs: ClassVar[frozenset[str]] = frozenset({"kl"})

    t0: float
    """T0 > 0, the upper bound of T."""
    sigma: float
    """Divergence in nats at which T is halved."""
    mode: str = "shared"
    """shared: one model, both contexts in one batch; dual: a second model."""
    model: str | None = None
    """dual only: the second model; null loads the same weights again."""
    granularity: str = "token"
    """token: T at each step; instance: once, at the last token of the prompts."""

    def check(self) -> None:
        """Raise ConfigError unless the parameters are in the ranges of the class docstring."""
        check_upper_temperature(self, self.t0)
        self.require(self.sigma > 0, "sigma", "a divergence above 0, in nats; .inf is fixed temperature")
        self.require(self.mode in ("shared", "dual"), "mode", "'shared' (one model) or 'dual' (two models)")
        self.require(self.granularity in GRANULARITIES, "granularity", "'token' or 'instance'")

        # Not ignored: the model would be in the id and the records, and have changed no token.
        if self.model is not None and self.mode != "dual":
            raise ConfigError(
                f"strategy 'kld': model is '{self.model}', but mode is '{self.mode}', which runs one model only; "
                "set mode=dual for a second model, or model=null."
            )

    @property
    def is_constant(self) -> bool:
        """Whether the rule is a fixed temperature at these parameters."""
        return math.isinf(self.sigma)

    @staticmethod
    def temperature(signals: Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return T0·2^(−KL/σ) per row. σ = inf gives T0 exactly."""
        # Clipped probabilities keep KL finite: with σ = inf, exp2(−0) is exactly 1, where inf/inf would be NaN. Without
        # a divergence T is T0 whatever σ: in float32 a tiny σ is 0, and 0/0 is NaN.
        halvings_R = (signals.kl_R / params["sigma"]).where(signals.kl_R != 0, 0.0)
        return params["t0"] * (-halvings_R).exp2()
