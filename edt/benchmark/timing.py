"""Clocks and memory of measurements that stand side by side in one process."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


@dataclass
class Peak:
    """Bytes above those at the start, at the highest."""

    extra: int = 0
    samples: list[int] = field(default_factory=list)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measures the peak: the allocator's on a GPU, resident memory every few milliseconds on a CPU."""
    found = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found.extra = torch.cuda.max_memory_allocated() - before
        return
    before, stop = resident(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            found.samples.append(resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found.extra = max([*found.samples, resident()]) - before


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The ratios of runs that stood beside each other."""
    return [a / b for a, b in zip(above, below, strict=True)]


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of runs that stood beside each other."""
    return statistics.median(ratios(above, below))
