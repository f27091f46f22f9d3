"""Name the types of arrays that the statistics take and return."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Here, not in edt.metrics: the metrics import the bootstrap, so it cannot import them.
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
