"""Time strategies in turn, step by step, on prescribed tokens: the same rows on the same branches for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import torch

from edt.benchmark.random_model import random_prompts
from edt.benchmark.timing import seconds_of
from edt.decoding.alive_rows import AliveRows
from edt.decoding.cache.branches import Branches, Prefilled
from edt.decoding.cache.contexts import SharedContexts, SharedPrefill
from edt.decoding.loop import draw_step, record_step
from edt.decoding.ops.kernels import Kernels
from edt.decoding.row_batch import RowBatch
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.strategies.base import Signals, Strategy
from edt.strategies.kld import KLD
from edt.strategies.rows import StrategyTable

WARM_UP = 2
"""Steps that are not counted: the first start from one branch, and compile."""


BARE = "bare"
"""The name of the contender that decodes without entropy."""


class _BareBranches(Branches):
    """Branches that compute no entropy: what decoding costs without any of this package's signals."""

    def signals(self, read: Collection[str] = ()) -> Signals:
        """Return zeros."""
        zero_R = torch.zeros(len(self.branch_R), dtype=self.logits_BV.dtype, device=self.logits_BV.device)
        return Signals.build(zero_R, max_entropy_R=zero_R, kl_R=zero_R, uniform_R=zero_R)


class Contender:
    """One strategy's rows of one prompt. What they draw is not used. second: the other model of dual mode."""

    def __init__(
        self,
        strategy: Strategy,
        model: LanguageModel,
        *,
        second: LanguageModel | None = None,
        kernels: Kernels,
        prompt: Prompt,
        rows: int,
        steps: int,
    ) -> None:
        # A contender is a batch of one strategy, prefilled once.
        guided = "kl" in strategy.needs
        prefilled = Prefilled.read(SharedPrefill, model, [prompt], with_unconditional=guided, second=second)
        self.table = StrategyTable.build([strategy], dtype=model.signal_dtype, device=model.device)
        # Distinct keys: every row has a noise stream, as with different samples.
        keys = [(number, 7) for number in range(rows)]
        zero_R = torch.zeros(rows, dtype=torch.int64)

        self.rows = RowBatch(strategy_A=zero_R, keys=keys, max_new_tokens=steps)
        guided_R = torch.full((rows,), guided)
        self.branches = prefilled.start(zero_R, guided_R, new_tokens=steps, kernels=kernels)
        self.alive = AliveRows.of(self.rows, self.table, torch.arange(rows))

    def step(self, number: int, token_R: torch.Tensor) -> None:
        """Draw, then continue with the prescribed tokens."""
        finite_R = self.branches.finite_rows()
        drawn = draw_step(self.rows, self.branches, self.table, self.alive, number)
        record_step(self.rows, self.table, self.alive, number, drawn, finite_R, _refuse)
        self.branches.advance(token_R)

    @property
    def models(self) -> set[int]:
        """The models whose contexts it holds, by `id`."""
        both = (self.branches.first, self.branches.second)
        return {id(contexts.language_model) for contexts in both if isinstance(contexts, SharedContexts)}


def _refuse(row: int, step: int) -> None:
    raise AssertionError(f"a random model gives logits that are not finite, in row {row} at step {step}")


def build_contenders(
    strategies: Mapping[str, Strategy],
    model: LanguageModel,
    *,
    second: LanguageModel,
    kernels: Kernels,
    length: int,
    rows: int,
    steps: int,
) -> dict[str, Contender]:
    """Return each strategy's rows of the same prompt of `length` random tokens; `second` is for dual mode.

    The one named BARE computes no entropy, whatever its strategy.
    """
    # One prompt: its rows share the prefill, so that the steps are what is measured.
    (prompt,) = random_prompts(model, 1, length)
    contenders = {
        name: Contender(
            strategy,
            model,
            second=second if isinstance(strategy, KLD) and strategy.mode == "dual" else None,
            kernels=kernels,
            prompt=prompt,
            rows=rows,
            steps=steps,
        )
        for name, strategy in strategies.items()
    }
    if BARE in contenders:
        # The same object with another class: prefilled and started as all the others are.
        contenders[BARE].branches.__class__ = _BareBranches
    return contenders


@torch.inference_mode()
def replay(contenders: Mapping[str, Contender], vocabulary: int, steps: int) -> dict[str, list[float]]:
    """Return the seconds of each contender at each step after the warm-up.

    All contenders take their turn at each step, in an order that rotates: what else the machine does meets them alike.
    """
    generator = torch.Generator().manual_seed(3)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names: Sequence[str] = list(contenders)
    for number in range(steps):
        # All contenders have the same rows.
        first = next(iter(contenders.values()))
        rows = len(first.alive.alive_R)
        # One draw for all contenders: their branches stay the same, so their steps cost the same but for the strategy.
        token_R = torch.randint(3, vocabulary, (rows,), generator=generator)

        # The order rotates with the step, so that no contender always follows the same one.
        for turn in range(len(names)):
            name = names[(turn + number) % len(names)]
            seconds[name].append(seconds_of(partial(contenders[name].step, number, token_R)))
    return {name: values[WARM_UP:] for name, values in seconds.items()}
