"""Give a model the long tail of a larger vocabulary's model: the mass outside the likeliest tokens, by the entropy.

A small model on generated texts can be surer about what is impossible than real models are. The wrapper keeps the
likeliest tokens of each distribution in their proportions, and gives the others, in their order, a Zipfian tail whose
mass is a function of the entropy of what results. All of it happens to the logits, so a temperature, a truncation and
any engine act on it as on the model's own. Shapes: R rows (all leading dimensions), V vocabulary, K entropies given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edt.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["LongTail", "add_long_tail"]

_ITERATIONS = 64
"""The entropy depends on the tail's mass and the mass on the entropy: so many rounds, from no tail up."""


@dataclass(frozen=True, kw_only=True)
class LongTail:
    """entropy, mass: mass outside the `head` likeliest tokens at these entropies (nats), linear between them.

    exponent: the tail's token at rank r has a weight proportional to 1/r**exponent; the smaller, the more a high
    temperature raises the tail.
    """

    entropy: tuple[float, ...]
    mass: tuple[float, ...]
    exponent: float = 1.0
    head: int = 10

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> LongTail:
        """Return the tail of a configuration. Raises ConfigError for what is missing, unknown or out of range."""
        known = ("entropy", "mass", "exponent", "head")
        for name in settings:
            if name not in known:
                raise ConfigError(f"model.long_tail has no key '{name}'; it has {', '.join(known)}.")
        for name in ("entropy", "mass"):
            values = settings.get(name)
            if not isinstance(values, Sequence) or isinstance(values, str) or not all(map(_is_number, values)):
                raise ConfigError(f"model.long_tail.{name} is {values!r}; it must be a list of numbers, as [0, 1, 2].")
        return cls(**{**settings, "entropy": tuple(settings["entropy"]), "mass": tuple(settings["mass"])})

    def __post_init__(self) -> None:
        if len(self.entropy) != len(self.mass) or len(self.entropy) < 2:
            raise ConfigError(
                f"model.long_tail has {len(self.entropy)} entropies and {len(self.mass)} masses; give the same number "
                "of each, 2 or more."
            )
        for name in ("entropy", "mass"):
            values = getattr(self, name)
            if list(values) != sorted(values) or values[0] < 0:
                raise ConfigError(f"model.long_tail.{name} is {list(values)}; it must rise, from 0 or more.")
        if self.mass[-1] >= 1:
            raise ConfigError(f"model.long_tail.mass ends in {self.mass[-1]}; a share of the mass is below 1.")
        if not _is_number(self.exponent) or not 0 <= self.exponent <= 10:
            raise ConfigError(f"model.long_tail.exponent is {self.exponent!r}; it must be a number from 0 to 10.")
        if isinstance(self.head, bool) or not isinstance(self.head, int) or not 1 <= self.head <= 1000:
            raise ConfigError(f"model.long_tail.head is {self.head!r}; it is a number of tokens, 1 to 1,000.")

    def identity(self) -> dict[str, Any]:
        """Return plain JSON for a run's identity."""
        return {**asdict(self), "entropy": list(self.entropy), "mass": list(self.mass)}

    def apply(self, logits_RV: Tensor) -> Tensor:
        """Return log-probabilities with the tail, in the logits' dtype. Rows without a tail to give stay as they are.

        A token of −inf stays impossible.
        """
        import torch

        exact_RV = logits_RV.to(torch.float64 if logits_RV.dtype == torch.float64 else torch.float32)
        # A vocabulary of the head alone has no tail, and all of its tokens keep their logits.
        if exact_RV.shape[-1] <= self.head:
            return logits_RV
        # Stable, so that equal logits have the same ranks in any batch.
        sorted_RV, index_RV = exact_RV.sort(dim=-1, descending=True, stable=True)
        head_RH = sorted_RV[..., : self.head]
        log_head_RH = head_RH.log_softmax(dim=-1)
        # −inf · 0 is NaN, so impossible tokens of the head are left out of its entropy.
        head_entropy_R = -torch.nan_to_num(log_head_RH.exp() * log_head_RH, nan=0.0).sum(dim=-1)

        # The tail of a row has n tokens, those that are possible; its normalizer and entropy are known for each n.
        log_weight_V, log_total_N, entropy_N = self._profile(exact_RV)
        n_R = (sorted_RV[..., self.head :] > -torch.inf).sum(dim=-1)
        log_total_R, tail_entropy_R = log_total_N[n_R], entropy_N[n_R]
        mass_R = self._mass(head_entropy_R, tail_entropy_R)

        tail_RV = mass_R.log().unsqueeze(-1) + log_weight_V - log_total_R.unsqueeze(-1)
        tail_RV = tail_RV.masked_fill(sorted_RV[..., self.head :] == -torch.inf, -torch.inf)
        made_RV = torch.cat([log_head_RH + torch.log1p(-mass_R).unsqueeze(-1), tail_RV], dim=-1)
        # Back in the vocabulary's order; every position is written once.
        logits = torch.empty_like(exact_RV).scatter_(-1, index_RV, made_RV)
        # No tail, or logits that are not finite: the engine reports those as the model gave them.
        has_tail_R1 = ((n_R > 0) & torch.isfinite(sorted_RV[..., 0])).unsqueeze(-1)
        return torch.where(has_tail_R1, logits, exact_RV).to(logits_RV.dtype)

    def _profile(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log weights of the tail's tokens, [V − head], and ln Σ and the entropy of the first n, [n + 1]."""
        import torch

        # In float64: the sums run over a whole vocabulary, and differences of their logarithms are an entropy.
        rank_V = torch.arange(self.head + 1, like.shape[-1] + 1, dtype=torch.float64, device=like.device)
        log_weight_V = -self.exponent * rank_V.log()
        total_N = log_weight_V.exp().cumsum(dim=-1)
        moment_N = (log_weight_V.exp() * log_weight_V).cumsum(dim=-1)
        log_total_N, entropy_N = total_N.log(), total_N.log() - moment_N / total_N
        zero = torch.zeros(1, dtype=torch.float64, device=like.device)
        # Position 0 is a tail without a token, which is not used.
        log_total_N, entropy_N = torch.cat([zero, log_total_N]), torch.cat([zero, entropy_N])
        return log_weight_V.to(like.dtype), log_total_N.to(like.dtype), entropy_N.to(like.dtype)

    def _mass(self, head_entropy_R: Tensor, tail_entropy_R: Tensor) -> Tensor:
        """Return the tail's mass m that belongs to the entropy of the result: H = h(m) + (1 − m)H_head + m·H_tail."""
        import torch

        tiny = torch.finfo(head_entropy_R.dtype).tiny
        # Once and not in each round: a GPU would wait for every copy of them.
        how: dict[str, Any] = {"dtype": head_entropy_R.dtype, "device": head_entropy_R.device}
        x_K, y_K = torch.tensor(self.entropy, **how), torch.tensor(self.mass, **how)
        mass_R = torch.zeros_like(head_entropy_R)
        for _ in range(_ITERATIONS):
            mixing_R = -torch.xlogy(mass_R, mass_R) - torch.xlogy(1 - mass_R, 1 - mass_R)
            mass_R = _interpolated(mixing_R + (1 - mass_R) * head_entropy_R + mass_R * tail_entropy_R, x_K, y_K)
        return mass_R.clamp(min=tiny)


def _interpolated(entropy_R: Tensor, x_K: Tensor, y_K: Tensor) -> Tensor:
    """Return y at an entropy, linear between the given x and constant outside."""
    import torch

    upper_R = torch.searchsorted(x_K, entropy_R.contiguous()).clamp(1, len(x_K) - 1)
    x0_R, x1_R, y0_R, y1_R = x_K[upper_R - 1], x_K[upper_R], y_K[upper_R - 1], y_K[upper_R]
    share_R = ((entropy_R - x0_R) / (x1_R - x0_R)).clamp(0.0, 1.0)
    return y0_R + share_R * (y1_R - y0_R)


@dataclass(frozen=True)
class _Hook:
    """Replaces the logits of a forward pass; an object and not a closure, so that the model can be copied."""

    tail: LongTail

    def __call__(self, module: torch.nn.Module, arguments: Any, output: Any) -> Any:
        output.logits = self.tail.apply(output.logits)
        return output


def add_long_tail(model: Any, tail: LongTail) -> None:
    """Give all forward passes of a transformers model the tail."""
    model.register_forward_hook(_Hook(tail))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
