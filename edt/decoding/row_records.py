"""What is recorded of the rows of a batch: tokens, text, end, and what the temperature did.

Shapes: A rows of the batch, S steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from edt.decoding.loop import finish
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import StopWatch, cut_at_stop
from edt.models.text_model import TextModel
from edt.records import Generation


def row_records(
    model: TextModel, request: DecodeRequest, pairs: Sequence[Pair], rows: RowBatch
) -> Iterator[Generation]:
    """Return the record of each row of a batch that has ended. pairs: the prompt and the request of each row."""
    tokens = [ids[:length] for ids, length in zip(rows.tokens_AS.tolist(), rows.length_A.tolist(), strict=True)]
    # The token that ends a text is no part of it, also where it is spelled out.
    ended = [reason == "eos" for reason in rows.reason_A]
    texts = model.decode([ids[:-1] if at_eos else ids for ids, at_eos in zip(tokens, ended, strict=True)])
    summary = rows.summary()
    # A batch has many rows of few strategies, whose ids and parameters are text to build: once each.
    used = {row.strategy: request.strategies[row.strategy] for _, row in pairs}
    names = {index: (strategy.strategy_id, strategy.params()) for index, strategy in used.items()}

    for index, (prompt_index, row) in enumerate(pairs):
        prompt, strategy, (strategy_id, params) = (
            request.prompts[prompt_index],
            used[row.strategy],
            names[row.strategy],
        )
        # The text is cut at the stop string; the token ids keep it, as they were drawn.
        yield Generation(
            task=prompt.task,
            split=prompt.split,
            example_id=prompt.example_id,
            cluster_id=prompt.cluster_id,
            strategy_id=strategy_id,
            family=strategy.family,
            params=params,
            granularity=strategy.granularity,
            sample=row.sample,
            token_ids=tuple(tokens[index]),
            text=cut_at_stop(texts[index], request.limits).strip(),
            finish_reason=rows.reason_A[index],
            t_mean=summary["t_mean"][index],
            t_min=summary["t_min"][index],
            t_max=summary["t_max"][index],
            h_mean=summary["h_mean"][index],
            floored_steps=int(summary["floored_steps"][index]),
            prompt_tokens=len(prompt.token_ids),
            truncated_tokens=prompt.truncated_tokens,
            trace_entropy=rows.trace(rows.entropy_AS, index) if request.sampling.trace else None,
            trace_temperature=rows.trace(rows.temperature_AS, index) if request.sampling.trace else None,
        )


def rows_from_tokens(
    tokens_AS: Tensor,
    temperature_AS: Tensor,
    entropy_AS: Tensor,
    *,
    max_new_tokens: int,
    eos_ids: frozenset[int],
    watch: StopWatch,
) -> RowBatch:
    """Return rows that another program drew, each up to its end; what comes after it is dropped. All on the CPU."""
    alive_R = torch.arange(len(tokens_AS))
    # Their noise is not drawn again, so the keys have no meaning.
    keys = [(0, 0)] * len(alive_R)
    rows = RowBatch(strategy_A=torch.zeros_like(alive_R), keys=keys, max_new_tokens=max_new_tokens)
    eos = torch.tensor(sorted(eos_ids), dtype=torch.int64)

    # Step by step as in our loop, so that ends and records follow the same code.
    for step in range(tokens_AS.shape[1]):
        rows.record(alive_R, step, tokens_AS[alive_R, step], temperature_AS[alive_R, step], entropy_AS[alive_R, step])
        alive_R = alive_R[~finish(rows, alive_R, step, eos, watch)]
        if not len(alive_R):
            break
    return rows
