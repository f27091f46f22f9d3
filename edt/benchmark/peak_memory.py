"""Measure the most bytes that tensors take, by torch's own count of its allocations."""

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
"""The profiler's log level at which it does not report that it starts and stops."""


@contextmanager
def peak_allocated(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of tensor bytes on the device above those at the start; it is set when the block has ended.

    A GPU's allocator keeps count. A CPU's allocator is counted by profiling: each tensor made and freed in the block,
    also in compiled code. So memory that the process already holds and reuses counts like new memory, which resident
    memory would not show. Profiling slows the block down: measure no time in it.
    """
    peak = Peak()
    # Garbage of before must not be freed within the block, where it would count below 0.
    gc.collect()
    # A GPU's allocator keeps the peak itself.
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.extra = torch.cuda.max_memory_allocated(device) - before
        return

    # The profiler's own events are not tensors, so they do not count.
    os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        yield peak
    peak.extra = _highest(profiler)


def _highest(profiler: profile) -> int:
    """Return the highest running sum of the bytes taken and, below 0, given back, in the order of time."""
    # The profiler's public tables have no events of the allocator; its raw results do.
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events: Any = [event for event in results.events() if event.name() == MEMORY_EVENT_NAME]
    taken = [(event.start_ns(), event.nbytes()) for event in events]
    # The profiler groups events by thread; the running sum needs them in the order of time.
    sizes = [size for _, size in sorted(taken, key=lambda entry: entry[0])]
    return max(0, int(np.cumsum(sizes).max(initial=0)))
