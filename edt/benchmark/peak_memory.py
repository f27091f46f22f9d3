"""The most bytes that tensors take, by torch's own count of what it hands out."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.autograd.profiler_util import MEMORY_EVENT_NAME
from torch.profiler import ProfilerActivity, profile

from edt.benchmark.timing import Peak

SILENT = "6"
"""The profiler's log level at which it does not say that it starts and stops."""


@contextmanager
def peak_allocated(device: torch.device) -> Iterator[Peak]:
    """Bytes of tensors on the device above those at the start, at the highest; there when the block has ended.

    A GPU's allocator keeps count. A CPU's does while it is profiled: of each tensor made and freed in the block, also
    in compiled code. So memory that the process holds already, and hands out again, counts like new; resident memory
    would not show it. Slows the block down: no clock may run in it.
    """
    found = Peak()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found.extra = torch.cuda.max_memory_allocated(device) - before
        return
    os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield found
    found.extra = highest(profiler)


def highest(profiler: profile) -> int:
    """The highest sum of the bytes taken and, below 0, given back, in the order of time."""
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events: Any = [event for event in results.events() if event.name() == MEMORY_EVENT_NAME]
    taken = [(event.start_ns(), event.nbytes()) for event in events]
    sizes = [size for _, size in sorted(taken, key=lambda entry: entry[0])]
    return max(0, int(np.cumsum(sizes).max(initial=0)))
