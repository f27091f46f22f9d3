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
class Cost:
    """per_token: cache bytes of one token in all contexts of a row. per_row: what a row holds beside (its logits).
    shared_prompt: whether the rows of a prompt read one copy of its keys and values, or each has its own, which
    transformers copies whole whenever rows fork or end.
    """

    per_token: int
    per_row: int
    shared_prompt: bool

    def of(self, prompt: int, new_tokens: int, rows: int) -> int:
        """Bytes of so many rows of one prompt."""
        if self.shared_prompt:
            return prompt * self.per_token + rows * (new_tokens * self.per_token + self.per_row)
        return rows * (2 * (prompt + new_tokens) * self.per_token + self.per_row)


def plan_chunks(
    prompts: Sequence[Prompt], *, rows_per_prompt: int, new_tokens: int, cost: Cost, budget: int, max_rows: int
) -> Plan:
    """Prompts sorted by length (so that padding is small) and cut where a chunk would exceed the budget or max_rows.

    A single prompt may exceed both: its rows are then decoded in several batches from one prefill.
    """
    ordered = sorted(prompts, key=lambda prompt: (len(prompt.token_ids), prompt.example_id))
    longest = len(ordered[-1].token_ids)
    fixed, more = cost.of(longest, new_tokens, 0), cost.of(longest, new_tokens, 1)
    fitting = max(0, budget - fixed) // (more - fixed)
    rows_per_batch = max(1, min(max_rows, fitting))
    chunks: list[list[str]] = []
    spent = 0
    for prompt in ordered:
        needed = cost.of(len(prompt.token_ids), new_tokens, rows_per_prompt)
        if chunks and rows_per_prompt * (len(chunks[-1]) + 1) <= max_rows and spent + needed <= budget:
            chunks[-1].append(prompt.example_id)
            spent += needed
        else:
            chunks.append([prompt.example_id])
            spent = needed
    return Plan(chunks=tuple(tuple(chunk) for chunk in chunks), rows_per_batch=rows_per_batch)
