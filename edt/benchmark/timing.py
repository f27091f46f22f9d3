"""Measure time and memory of contenders that run in turn in one process."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object]) -> float:
    """Return the wall time of one call, in seconds."""
    synchronize()
    # A GPU runs behind: without waiting, a call would measure how long its launch takes.
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


@dataclass
class Peak:
    """The most bytes above those at the start."""

    extra: int = 0
    samples: list[int] = field(default_factory=list)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure the peak: the allocator's on a GPU, resident memory every few milliseconds on a CPU."""
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak.extra = torch.cuda.max_memory_allocated() - before
        return

    # A CPU's allocator keeps no peak: sample the process from a thread.
    before, stop = _resident(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            peak.samples.append(_resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
        peak.extra = max([*peak.samples, _resident()]) - before


def _resident() -> int:
    """Return the resident bytes of this process."""
    # The second number counts resident pages.
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class ModelTimer:
    """Add up the time of the model's forward passes; it waits for the device after each, so the whole is slower."""

    def __init__(self, model: Any) -> None:
        """Time the forward passes of a transformers model while the block runs."""
        self.model = model
        self.seconds, self.calls = 0.0, 0

    def __enter__(self) -> ModelTimer:
        self.start = 0.0

        def before(*_: Any) -> None:
            synchronize()
            self.start = time.perf_counter()

        def after(*_: Any) -> None:
            synchronize()
            self.seconds += time.perf_counter() - self.start
            self.calls += 1

        self.handles = [
            self.model.register_forward_pre_hook(before),
            self.model.register_forward_hook(after),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratios of runs that were neighbors in time."""
    # Neighbors saw the same load of the machine, so it cancels in their ratio.
    return [a / b for a, b in zip(above, below, strict=True)]


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of runs that were neighbors in time."""
    return statistics.median(ratios(above, below))
