"""How much is decoded at once: the chunk plan, the memory that it may take, and what happens when that was too much.

The plan is computed once and written down. It is never derived from free memory again: float32 logits move by about
1e-5 with the shape of a batch, so the same chunks are what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from edt.errors import MemoryExceededError
from edt.models.guard import memory_exhausted
from edt.records import Prompt

_GPU_SHARE = 0.5
_CPU_SHARE = 0.25
_CPU_CEILING = 4 * 2**30

_CHUNK_WORK = {"cpu": 1e13, "cuda": 2e16}
"""Floating-point operations of a chunk, at most: a few minutes on such a device. What a command that is stopped loses
is one chunk; on a small model memory limits it long before.
"""


_MOST_ROWS = {"cpu": 1024, "cuda": 65_536}
"""Rows that are decoded together, at most. A GPU waits for Python at each step, so it wants as many rows as its memory
holds: on an H100 a 1B model drew 29,000 tokens a second with 1,024 rows, 284,000 with 65,536 (results/gpu).
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which prompts are decoded together.

    chunks: example ids that are prefilled together. rows_per_batch: the most rows that are decoded together.
    """

    chunks: tuple[tuple[str, ...], ...]
    rows_per_batch: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Bytes that decoding needs.

    per_token: the cache of one token in all contexts of a row. per_row: what a row holds besides (its logits).
    shared_prompt: whether the rows of a prompt read one copy of its keys and values, or each has its own, which
    transformers copies whole whenever rows fork or end.
    """

    per_token: int
    per_row: int
    shared_prompt: bool

    def in_bytes(self, prompt: int, new_tokens: int, rows: int) -> int:
        """Return the bytes of so many rows of one prompt."""
        if self.shared_prompt:
            return prompt * self.per_token + rows * (new_tokens * self.per_token + self.per_row)
        # Twice: the old cache and its copy exist at the same time.
        return rows * (2 * (prompt + new_tokens) * self.per_token + self.per_row)


def plan_chunks(
    prompts: Sequence[Prompt],
    *,
    rows_per_prompt: int,
    new_tokens: int,
    cost: Cost,
    budget: int,
    max_rows: int,
    max_tokens: int | None = None,
) -> Plan:
    """Sort the prompts by length and cut them where a chunk would exceed the budget, max_rows or max_tokens.

    max_tokens: the most that a chunk may read and write; None is any number.
    A single prompt may exceed all of these: its rows are then decoded in several batches from one prefill.
    """
    # By length, so that padding is small; by id as well, so that the plan does not depend on the order of the prompts.
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.token_ids), prompt.example_id))

    # The batch must fit for the longest prompt, whose chunk may hold no other.
    longest = len(ordered[-1].token_ids)
    none, one = cost.in_bytes(longest, new_tokens, 0), cost.in_bytes(longest, new_tokens, 1)
    # Rows in another program take no memory here.
    fitting_rows = max(0, budget - none) // (one - none) if one > none else max_rows
    rows_per_batch = max(1, min(max_rows, fitting_rows))

    chunks: list[list[str]] = []
    spent = tokens = 0
    for prompt in ordered:
        length = len(prompt.token_ids)
        needed = cost.in_bytes(length, new_tokens, rows_per_prompt)
        more_tokens = length + rows_per_prompt * new_tokens
        # A prompt joins the last chunk if all limits still hold; a chunk has one prompt at least.
        if (
            chunks
            and rows_per_prompt * (len(chunks[-1]) + 1) <= max_rows
            and spent + needed <= budget
            and (max_tokens is None or tokens + more_tokens <= max_tokens)
        ):
            chunks[-1].append(prompt.example_id)
            spent, tokens = spent + needed, tokens + more_tokens
        else:
            chunks.append([prompt.example_id])
            spent, tokens = needed, more_tokens
    return Plan(chunks=tuple(tuple(chunk) for chunk in chunks), rows_per_batch=rows_per_batch)


def chunk_tokens(parameters: int, device: torch.device) -> int:
    """Return how many tokens of a model with so many parameters a chunk may read and write."""
    # By an account and not by measured speed: the same command must plan the same chunks on a busy machine.
    return int(_CHUNK_WORK.get(device.type, _CHUNK_WORK["cuda"]) / (2 * max(1, parameters)))


def default_rows(device: torch.device) -> int:
    """Return how many rows are decoded together on such a device, at most, where the user names no number."""
    return _MOST_ROWS.get(device.type, _MOST_ROWS["cuda"])


def default_budget(device: torch.device) -> int:
    """Return half of a GPU's free memory in bytes; on a CPU a quarter of the machine's memory, at most 4 GiB."""
    if device.type == "cuda":
        # On a GPU the other processes' share is taken off, once; the plan then stays.
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _GPU_SHARE)
    # All of the machine's memory: what is free changes, and the plan must not.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(_CPU_CEILING, int(total * _CPU_SHARE))


@contextmanager
def translate_memory_errors() -> Iterator[None]:
    """Turn every way in which torch and Python report exhausted memory into MemoryExceededError."""
    try:
        yield
    except MemoryError as error:
        raise MemoryExceededError("memory is exhausted") from error
    except RuntimeError as error:
        # Only CUDA has an exception class for it; a CPU's allocator raises a plain RuntimeError.
        if not memory_exhausted(error):
            raise
        # Give the failed batch's memory back, or the smaller batch fails too.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise MemoryExceededError(" ".join(str(error).split())[:200]) from error
