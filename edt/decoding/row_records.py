"""What is recorded of the rows of a batch: tokens, text, end, and what the temperature did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.stops import cut_at_stop
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
