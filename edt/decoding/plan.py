"""The chunk plan: which prompts are decoded together. Computed once, written down, never derived from memory again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edt.records import Prompt


@dataclass(frozen=True, kw_only=True)
class Plan:
    """chunks: example ids that are prefilled together. rows_per_batch: rows decoded together, at most."""

    chunks: tuple[tuple[str, ...], ...]
    rows_per_batch: int


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """What one row holds in memory: cache bytes per token (of all its contexts) and a fixed part (its logits)."""

    per_token: int
    fixed: int

    def of(self, tokens: int) -> int:
        """Bytes of a row with so many tokens."""
        return tokens * self.per_token + self.fixed


def plan_chunks(
    prompts: Sequence[Prompt], *, rows_per_prompt: int, new_tokens: int, cost: RowCost, budget: int, max_rows: int
) -> Plan:
    """Prompts sorted by length (so that padding is small) and cut where a chunk would exceed the budget or max_rows.

    A single prompt may exceed both: its rows are then decoded in several batches from one prefill.
    """
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.token_ids), prompt.example_id))
    longest = len(ordered[-1].token_ids) + new_tokens
    rows_per_batch = max(1, min(max_rows, budget // cost.of(longest)))
    chunks: list[list[str]] = []
    for prompt in ordered:
        rows = rows_per_prompt * (len(chunks[-1]) + 1) if chunks else 0
        fits = rows <= max_rows and rows * cost.of(len(prompt.token_ids) + new_tokens) <= budget
        if chunks and fits:
            chunks[-1].append(prompt.example_id)
        else:
            chunks.append([prompt.example_id])
    return Plan(chunks=tuple(tuple(chunk) for chunk in chunks), rows_per_batch=rows_per_batch)
