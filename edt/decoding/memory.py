"""How much memory a batch may take when nobody says."""

from __future__ import annotations

import os

import torch

GPU_SHARE = 0.5
CPU_SHARE = 0.25
CPU_CEILING = 4 * 2**30


def default_budget(device: torch.device) -> int:
    """Bytes: half of a GPU's free memory; a quarter of this machine's memory, at most 4 GiB, on a CPU."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * GPU_SHARE)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(CPU_CEILING, int(total * CPU_SHARE))
