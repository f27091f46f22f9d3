"""Sums over the vocabulary that do not depend on how many rows there are. Shapes: R rows, V vocabulary."""

from __future__ import annotations

from torch import Tensor


def sum_rows(values_RV: Tensor) -> Tensor:
    """Return the sum of each row, [R], added in the same order in any batch: the last bit does not see other rows."""
    # torch gives a row to one thread, but the only row of a batch, if it is long, to all of them: another order of
    # addition. Two views of the same row are two rows.
    if len(values_RV) == 1:
        return values_RV.expand(2, -1).sum(dim=-1)[:1]
    return values_RV.sum(dim=-1)
