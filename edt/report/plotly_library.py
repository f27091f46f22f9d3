"""Read plotly.js, the library that draws the charts of a page: the part of it that is in `edt/assets/plotly`."""

from __future__ import annotations

import base64
import gzip
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parents[1] / "assets" / "plotly" / "plotly.min.js.gz"


@lru_cache(maxsize=1)
def packed_library() -> str:
    """Return the library compressed (gzip) and as base64, as a page contains it: a seventh of the whole library."""
    return base64.b64encode(_FILE.read_bytes()).decode()


@lru_cache(maxsize=1)
def library_source() -> str:
    """Return the library as the browser runs it, after the page has unpacked it."""
    return gzip.decompress(_FILE.read_bytes()).decode()
