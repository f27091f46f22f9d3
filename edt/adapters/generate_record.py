"""What a call of `generate` did, step by step. Shapes: R rows of a call, A the same as a batch, S steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edt.decoding.engine import raise_non_finite
from edt.decoding.loop import finish
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import StopWatch
from edt.records import Prompt


class Record:
    """Gathers the temperatures and entropies of each step, and tells the logits that are not finite by them."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts
        self.temperatures: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def __call__(self, temperature_R: Tensor, entropy_R: Tensor) -> None:
        """Take one step's. Raises ModelError naming the example whose logits are not finite."""
        bad_R = ~(torch.isfinite(temperature_R) & torch.isfinite(entropy_R))
        if bad_R.any():
            row = int(bad_R.nonzero()[0])
            raise_non_finite(self.prompts[row * len(self.prompts) // len(bad_R)], len(self.temperatures))
        self.temperatures.append(temperature_R)
        self.entropies.append(entropy_R)

    def rows(self, tokens_AS: Tensor, max_new_tokens: int, eos_ids: frozenset[int], watch: StopWatch) -> RowBatch:
        """The rows that drew these tokens, each up to its own end; what `generate` padded behind it is dropped."""
        alive_R = torch.arange(len(tokens_AS))
        rows = RowBatch(
            strategy_A=torch.zeros_like(alive_R), keys=[(0, 0)] * len(alive_R), max_new_tokens=max_new_tokens
        )
        eos = torch.tensor(sorted(eos_ids), dtype=torch.int64)
        for step in range(tokens_AS.shape[1]):
            temperature_A, entropy_A = self.temperatures[step].cpu(), self.entropies[step].cpu()
            rows.record(alive_R, step, tokens_AS[alive_R, step], temperature_A[alive_R], entropy_A[alive_R])
            alive_R = alive_R[~finish(rows, alive_R, step, eos, watch)]
            if not len(alive_R):
                break
        return rows
