"""Pareto dominance: the settings of high quality and low Self-BLEU that no other setting beats."""

from __future__ import annotations

from collections.abc import Sequence

from edt.metrics.base import Floats


def pareto(quality_N: Sequence[float] | Floats, self_bleu_N: Sequence[float] | Floats) -> list[int]:
    """Return the indices of the settings on the front, in ascending Self-BLEU; of equal settings the first.

    A setting is on the front unless another has at least its quality and at most its Self-BLEU, and is strictly better
    in one of them.
    """
    # Among settings of equal Self-BLEU the best quality comes first: one pass with the best quality so far is enough.
    by_self_bleu = sorted(range(len(quality_N)), key=lambda n: (self_bleu_N[n], -quality_N[n], n))

    front: list[int] = []
    for n in by_self_bleu:
        # Strictly better: an equal quality at a higher Self-BLEU is dominated, and of equal settings the first stays.
        if not front or quality_N[n] > quality_N[front[-1]]:
            front.append(n)
    return front
