"""EDA: quality and diversity in one number, with the constants that scale them.

The constants of the paper (arXiv 2403.14541) could not be checked against its text, so every one of them is an argument
here and stands in the signature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

import edt
from edt.errors import ConfigError
from edt.metrics.base import Floats
from edt.metrics.signature import Options, signature_text

ConstantsSource = Literal["dev", "override", "own split (provisional)"]


def eda(
    quality: ArrayLike | None,
    self_bleu: ArrayLike | None,
    *,
    q_star: float,
    s_star: float,
    quality_weight: float = 0.5,
) -> Floats:
    """Return the distance from the ultimate aim (quality at its best, Self-BLEU at 0), in percent; lower is better.

    EDA = 100 · sqrt(w·max(0, 1 − q/Q*)² + (1 − w)·(s/S*)²), with w = 1/2 wherever EDA is scored.

    It is the distance in the (quality, Self-BLEU) plane with Self-BLEU weighted by ω = Q*/S*:
    sqrt((max(0, Q* − q)² + (ω·s)²) / 2) · 100/Q*. Quality beyond Q* gains nothing.
    quality, self_bleu: q and s, of any shapes that broadcast; None or NaN is missing, and gives NaN (missing).
    quality_weight: w; another one is for asking what depends on it. Raises ConfigError unless q_star and s_star are
    finite and above 0, and w is between 0 and 1. Source: Zhang et al. 2024; the paper's exact
    constants could not be checked against its text.
    """
    _check_positive("q_star", q_star)
    _check_positive("s_star", s_star)
    if not 0.0 < quality_weight < 1.0:
        raise ConfigError(f"the weight of quality in EDA is {quality_weight}; it must be between 0 and 1, as 0.5 is.")

    # None becomes NaN here, and NaN stays NaN: np.maximum passes it on, where fmax would replace it by 0.
    q, s = np.asarray(quality, dtype=np.float64), np.asarray(self_bleu, dtype=np.float64)

    # Clipped at 0: a quality above Q* is not a distance from it.
    short_of_best = np.maximum(0.0, 1.0 - q / q_star)
    # The weights add up to 1, so that quality 0 at Self-BLEU S* is 100.
    squares = quality_weight * short_of_best**2 + (1.0 - quality_weight) * (s / s_star) ** 2
    return np.asarray(100.0 * np.sqrt(squares), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class EdaConstants:
    """EDA, the distance from best quality at Self-BLEU 0 in percent (lower is better), with its constants Q* and S*.

    They are frozen for every later score. family: the one whose maxima they are.
    source: "dev" (the study's development split), "override" (`metrics.eda.q_star`, `s_star`) or
    "own split (provisional)" (a single run outside a study). Raises ConfigError unless both are finite and above 0.
    """

    name: ClassVar[str] = "eda"
    label: ClassVar[str] = "EDA"
    higher_is_better: ClassVar[bool] = False

    q_star: float
    s_star: float
    source: ConstantsSource
    family: str = "fixed"

    def __post_init__(self) -> None:
        _check_positive("q_star", self.q_star)
        _check_positive("s_star", self.s_star)

    def score(self, quality: ArrayLike | None, self_bleu: ArrayLike | None, *, quality_weight: float = 0.5) -> Floats:
        """Return `eda` with these constants."""
        return eda(quality, self_bleu, q_star=self.q_star, s_star=self.s_star, quality_weight=quality_weight)

    def signature(self, *, quality: str, n: str) -> str:
        """Return `EDA|quality:rouge_l|q_star:31.5|s_star:98.25|constants:dev|…|n:1000x8|edt:0.1.0`, with all digits."""
        # Unrounded: with 4 digits of Q* nobody could recompute the number.
        numbers: Options = {"q_star": self.q_star, "s_star": self.s_star}
        options = {"quality": quality, **numbers, "constants": self.source, "family": self.family}
        return signature_text("EDA", options, n=n, library="edt")


def missing_signature() -> str:
    """Return the signature of an EDA that is missing for want of constants: `EDA|missing|edt:0.1.0`."""
    return f"EDA|missing|edt:{edt.__version__}"


def eda_constants(
    quality: Sequence[float | None],
    self_bleu: Sequence[float | None],
    *,
    source: ConstantsSource,
    family: str = "fixed",
) -> EdaConstants | None:
    """Return Q* and S* as the maxima over the settings of the baseline family.

    Greedy decoding should be among them: it has the largest Self-BLEU, 100, and often the best quality. This is not
    checked here: `edt run` and `edt score` freeze no constants without it.
    quality, self_bleu: one value per setting of the family. Returns None (EDA is missing) without a setting, or where a
    maximum is missing or 0: without a best quality there is no distance from it.
    """
    q_star, s_star = _maximum(quality), _maximum(self_bleu)
    if q_star is None or s_star is None:
        return None
    return EdaConstants(q_star=q_star, s_star=s_star, source=source, family=family)


def _maximum(values: Sequence[float | None]) -> float | None:
    # `> 0` also drops NaN, which max would return or not depending on where it stands.
    return max((value for value in values if value is not None and value > 0), default=None)


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(
            f"metrics.eda.{name} is {value}; it divides a score, so it must be a finite number above 0. "
            f"Set it to the largest {'quality' if name == 'q_star' else 'Self-BLEU'} of the baseline family, "
            "or to null to have it computed."
        )
