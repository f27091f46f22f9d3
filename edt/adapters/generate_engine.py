"""The hf_generate engine: transformers' own `model.generate`, one call per chunk of prompts and strategy.

It shares nothing between samples, settings or prefixes: the baseline that the batched engine is measured against.
Shapes: R rows of a call, A the same as a batch, P prompts, S steps, L tokens of the longest prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from edt.adapters.generate_call import arguments, check_strategy, own_generation_config_hidden
from edt.decoding.batching import Cost
from edt.decoding.engine import raise_non_finite
from edt.decoding.model_engine import ModelEngine
from edt.decoding.request import DecodeRequest, Pair, RowRequest
from edt.decoding.row_batch import RowBatch
from edt.decoding.row_records import rows_from_tokens
from edt.decoding.sampling import EXTERNAL, Limits, Sampling
from edt.decoding.stops import StopWatch
from edt.ids import canonical_json, seeded_rank
from edt.models.rope import switch_length
from edt.records import Prompt
from edt.strategies.base import Strategy

LOGIT_COPIES = 4
"""Arrays of the logits' size that a row holds at the peak of a step: the model's, the warpers', the probabilities."""


@dataclass(frozen=True, kw_only=True)
class HFGenerateEngine(ModelEngine):
    """Decodes by `model.generate`.

    Its draws come from torch's generator, seeded for each call from what it decodes: the same chunk gives the same
    tokens, but strategies share no noise (`noise: external`).
    """

    name = "hf_generate"
    signals = frozenset({"entropy", "kl", "step", "varentropy", "collision", "surprisal"})

    def identity(self) -> dict[str, Any]:
        """See Engine."""
        return {**super().identity(), "noise": "torch.multinomial"}

    def noise(self, sampling: Sampling) -> str:
        """See Engine."""
        return EXTERNAL

    def check_strategies(self, strategies: Sequence[Strategy]) -> None:
        """See Engine. Also refuses what `generate` has no equivalent for."""
        super().check_strategies(strategies)
        for strategy in strategies:
            check_strategy(
                strategy,
                encoder_decoder=self.model.is_encoder_decoder,
                has_token_rules=not self.model.token_rules.is_empty,
            )

    def rows_together(self, rows: Sequence[RowRequest]) -> int:
        """See Engine: a call decodes one strategy."""
        return max(len(samples) for samples in _samples_by_strategy(rows).values())

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine. Each row has its own copy of the prompt, in both contexts where there are two."""
        # generate has no batch of mixed strategies: each call pays for two contexts if one of them is guided.
        contexts = 2 if any("kl" in strategy.needs for strategy in strategies) else 1
        return Cost(
            per_token=contexts * self.model.cache_bytes_per_token,
            per_row=LOGIT_COPIES * contexts * self.model.vocabulary * self.model.signal_dtype.itemsize,
            shared_prompt=False,
        )

    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """See ModelEngine. A call takes all prompts and all of a strategy's samples, as far as the batch allows."""
        groups = self._read_together(request)
        for strategy, samples in _samples_by_strategy(request.rows).items():
            # A call decodes one strategy, whose warpers hold for all of its rows.
            for group in groups:
                for places, some in calls(len(group), samples, request.batch_size):
                    indices = [group[place] for place in places]
                    pairs = [(index, RowRequest(strategy, sample)) for index in indices for sample in some]
                    prompts = [request.prompts[index] for index in indices]
                    rows = self._call(prompts, request.strategies[strategy], some, request.sampling, request.limits)
                    request.on_step(float(len(pairs)), int(rows.length_A.sum()))
                    yield pairs, rows

    def _read_together(self, request: DecodeRequest) -> list[list[int]]:
        """Return the indices of the prompts that one call may read: all, or those of one length."""
        # With and without the source, which kld reads side by side.
        lengths = [(len(prompt.token_ids), len(prompt.unconditional_ids)) for prompt in request.prompts]
        longest = max(map(max, lengths)) + request.limits.max_new_tokens
        switch = switch_length(self.model.model.config.get_text_config())
        # A text's rotary positions would follow the longest of its call; in float64 masks of whole rows go wrong.
        if (switch is None or longest <= switch) and self.model.signal_dtype != torch.float64:
            return [list(range(len(lengths)))]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, length in enumerate(lengths):
            groups.setdefault(length, []).append(index)
        return list(groups.values())

    @torch.inference_mode()
    def _call(
        self,
        prompts: Sequence[Prompt],
        strategy: Strategy,
        samples: Sequence[int],
        sampling: Sampling,
        limits: Limits,
    ) -> RowBatch:
        """Call `generate` once; the rows come prompt by prompt, and for each prompt in the order of the samples."""
        model, watch = self.model, self.stop_watch(limits)
        record = _Record(prompts)
        how = arguments(strategy, model, prompts, record)
        # generate refuses several greedy rows per prompt: one is decoded, then repeated.
        sequences = 1 if not how["do_sample"] else len(samples)
        ids_PL, mask_PL = model.pad([p.token_ids for p in prompts], left=not model.is_encoder_decoder)
        start = 1 if model.is_encoder_decoder else ids_PL.shape[1]

        # The caller's generator must not move, or a program's own draws would depend on what it decodes.
        devices = [model.device] if model.device.type == "cuda" else []
        with own_generation_config_hidden(model.model), torch.random.fork_rng(devices=devices):
            torch.manual_seed(_call_seed(prompts, strategy, samples[0], sampling))
            out_RL: Tensor = model.model.generate(
                input_ids=ids_PL,
                attention_mask=mask_PL,
                max_new_tokens=limits.max_new_tokens,
                num_return_sequences=sequences,
                eos_token_id=sorted(model.eos_ids) or None,
                pad_token_id=model.pad_id,
                stopping_criteria=StoppingCriteriaList([_StopStrings(watch, start)]),
                **how,
            )

        # generate returns no reason for an end, so the ends are found again from the tokens.
        rows = record.rows(out_RL[:, start:].cpu(), limits.max_new_tokens, model.eos_ids, watch)
        return rows if sequences == len(samples) else _repeated(rows, len(samples))


class _StopStrings(StoppingCriteria):
    """Stops the rows whose new tokens, from position `start` on, hold a stop string."""

    def __init__(self, watch: StopWatch, start: int) -> None:
        self.watch, self.start = watch, start

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """Return the rows that are at their end, [R] bool."""
        return self.watch.stopped(input_ids[:, self.start :].cpu()).to(input_ids.device)


class _Record:
    """Gathers the temperatures and entropies of each step, and finds by them the logits that are not finite."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts
        self.temperatures: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def __call__(self, temperature_R: Tensor, entropy_R: Tensor) -> None:
        """Take one step's values. Raises ModelError naming the example whose logits are not finite."""
        # A NaN among the logits makes the entropy NaN, so the logits themselves need not be read again.
        bad_R = ~(torch.isfinite(temperature_R) & torch.isfinite(entropy_R))
        if bad_R.any():
            row = int(bad_R.nonzero()[0])
            raise_non_finite(self.prompts[row * len(self.prompts) // len(bad_R)], len(self.temperatures))
        self.temperatures.append(temperature_R)
        self.entropies.append(entropy_R)

    def rows(self, tokens_AS: Tensor, max_new_tokens: int, eos_ids: frozenset[int], watch: StopWatch) -> RowBatch:
        """Return the rows that drew these tokens, each up to its end; what `generate` padded after it is dropped."""
        temperature_AS, entropy_AS = (torch.stack(steps, dim=1).cpu() for steps in (self.temperatures, self.entropies))
        return rows_from_tokens(
            tokens_AS, temperature_AS, entropy_AS, max_new_tokens=max_new_tokens, eos_ids=eos_ids, watch=watch
        )


def _samples_by_strategy(rows: Sequence[RowRequest]) -> dict[int, list[int]]:
    """Return the requested samples of each strategy, in the order of `rows`."""
    samples: dict[int, list[int]] = {}
    for row in rows:
        samples.setdefault(row.strategy, []).append(row.sample)
    return samples


def calls(prompts: int, samples: Sequence[int], most: int) -> Iterator[tuple[range, Sequence[int]]]:
    """Cut prompts × samples into calls of at most `most` rows; yield the prompts and samples of each."""
    # All samples of a prompt in one call where they fit: generate encodes the prompt again for each call.
    together = min(len(samples), most)
    step = max(1, most // together)
    for first in range(0, prompts, step):
        for at in range(0, len(samples), together):
            yield range(first, min(first + step, prompts)), samples[at : at + together]


def _call_seed(prompts: Sequence[Prompt], strategy: Strategy, first_sample: int, sampling: Sampling) -> int:
    """Return the seed of a call: 64 bits of what it decodes."""
    # What it decodes, and nothing of when or where: a resumed run has the same calls and so the same tokens.
    first = prompts[0]
    ids = [prompt.example_id for prompt in prompts]
    return seeded_rank(
        sampling.seed, canonical_json([first.task, first.split, ids, strategy.strategy_id, first_sample])
    )


def _repeated(rows: RowBatch, times: int) -> RowBatch:
    """Return each row so many times."""
    many = RowBatch(
        strategy_A=rows.strategy_A.repeat_interleave(times),
        keys=[(0, 0)] * (times * len(rows.strategy_A)),
        max_new_tokens=rows.max_new_tokens,
    )
    # Greedy samples of a prompt are equal; each has its record nevertheless.
    for name in ("tokens_AS", "temperature_AS", "entropy_AS", "floored_AS", "length_A"):
        setattr(many, name, getattr(rows, name).repeat_interleave(times, dim=0))
    many.reason_A = [reason for reason in rows.reason_A for _ in range(times)]
    return many
