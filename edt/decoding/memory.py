"""How much memory a batch may take when nobody says, and what tells that it was too much."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edt.errors import MemoryExceededError

GPU_SHARE = 0.5
CPU_SHARE = 0.25
CPU_CEILING = 4 * 2**30

EXHAUSTED = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch says, on one system or another, when memory is exhausted."""


def default_budget(device: torch.device) -> int:
    """Bytes: half of a GPU's free memory; a quarter of this machine's memory, at most 4 GiB, on a CPU."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * GPU_SHARE)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(CPU_CEILING, int(total * CPU_SHARE))


@contextmanager
def telling_when_exceeded() -> Iterator[None]:
    """Turn torch's ways of saying that memory is exhausted, and Python's, into MemoryExceededError."""
    try:
        yield
    except MemoryError as error:
        raise MemoryExceededError("memory is exhausted") from error
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(sign in str(error) for sign in EXHAUSTED):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise MemoryExceededError(" ".join(str(error).split())[:200]) from error
