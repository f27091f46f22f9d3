"""Bounds for the caches in which torch keeps prepared matrix products on a CPU."""

from __future__ import annotations

import os

CAPACITY = 64
"""Products that each cache keeps. A step of decoding has five to ten shapes, in all of its layers the same."""
_VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def bound_primitive_caches() -> None:
    """Let oneDNN and torch keep 64 products each; a number of the user's own stays.

    In half precision each number of rows is another product, prepared when it first occurs and kept in case it comes
    again: 1,024 in each of two caches by default.
    Both are read at the first product.
    """
    for name in _VARIABLES:
        os.environ.setdefault(name, str(CAPACITY))
