"""Return the Pareto front of quality (to be large) and Self-BLEU (to be small)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pareto(quality_N: Sequence[float] | Floats, self_bleu_N: Sequence[float] | Floats) -> list[int]:
    """The settings that none beats in both: no other has at least the quality at most the Self-BLEU, one strictly.

    In ascending Self-BLEU; of equal settings the first.
    """
    order = sorted(range(len(quality_N)), key=lambda n: (self_bleu_N[n], -quality_N[n], n))
    found: list[int] = []
    for n in order:
        if not found or quality_N[n] > quality_N[found[-1]]:
            found.append(n)
    return found
