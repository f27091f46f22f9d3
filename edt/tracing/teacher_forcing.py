"""One teacher-forced pass: what the model said at each step of a text that is there already.

DistributionComparison: S steps, V vocabulary, K likeliest tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edt.models.language_model import LanguageModel
from edt.records import Alternative, Generation, Prompt, TracedOutput, TracedToken
from edt.strategies.base import Strategy
from edt.tracing.distribution import ranks, sampling_probabilities
from edt.tracing.token_text import TokenTexts


@torch.inference_mode()
def forced_logits(language_model: LanguageModel, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> Tensor:
    """The logits that each of `token_ids` was drawn from, [S, V] in the signals' dtype, in one forward pass."""
    model, steps = language_model.model, len(token_ids)
    if language_model.is_encoder_decoder:
        start = int(model.generation_config.decoder_start_token_id)
        read = {"input_ids": [list(prompt_ids)], "decoder_input_ids": [[start, *token_ids[:-1]]]}
    else:
        read = {"input_ids": [[*prompt_ids, *token_ids[:-1]]]}
    arguments = {name: torch.tensor(ids, device=language_model.device) for name, ids in read.items()}
    keep = {"logits_to_keep": steps} if "logits_to_keep" in language_model.forward_arguments else {}
    logits_1SV = model(**arguments, **keep, use_cache=False).logits[:, -steps:]
    logits_SV: Tensor = logits_1SV[0].to(language_model.signal_dtype)
    return logits_SV


@torch.inference_mode()
def traced_output(
    language_model: LanguageModel,
    prompt: Prompt,
    strategy: Strategy,
    generation: Generation,
    *,
    top: int,
    pieces: TokenTexts,
) -> TracedOutput:
    """A generation that has traces, token by token: entropy and temperature are those it was drawn with; rank and
    probabilities, and the `top` likeliest tokens of each step, are the model's.
    """
    entropy, temperature = generation.trace_entropy, generation.trace_temperature
    assert entropy is not None, "decoded with Sampling.trace"
    assert temperature is not None, "decoded with Sampling.trace"
    logits_SV = forced_logits(language_model, prompt.token_ids, generation.token_ids)
    token_S = torch.tensor(generation.token_ids, device=logits_SV.device)
    temperature_S = torch.tensor(temperature, dtype=logits_SV.dtype, device=logits_SV.device)
    probability_SV = logits_SV.softmax(dim=-1)
    sampling_SV = sampling_probabilities(logits_SV, temperature_S, strategy)
    columns = zip(
        generation.token_ids,
        pieces.of(generation.token_ids),
        entropy,
        temperature,
        ranks(logits_SV, token_S).tolist(),
        probability_SV.gather(-1, token_S.unsqueeze(-1)).squeeze(-1).tolist(),
        sampling_SV.gather(-1, token_S.unsqueeze(-1)).squeeze(-1).tolist(),
        likeliest(probability_SV, sampling_SV, top, pieces),
        strict=True,
    )
    names = ("token_id", "token", "entropy", "temperature", "rank", "probability", "sampling_prob", "alternatives")
    tokens = tuple(
        TracedToken(step=step, **dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        for step, values in enumerate(columns)
    )
    return TracedOutput(
        strategy_id=generation.strategy_id,
        sample=generation.sample,
        text=generation.text,
        finish_reason=generation.finish_reason,
        t_mean=generation.t_mean,
        h_mean=generation.h_mean,
        tokens=tokens,
    )


def likeliest(
    probability_SV: Tensor, sampling_SV: Tensor, top: int, pieces: TokenTexts
) -> list[tuple[Alternative, ...]]:
    """The `top` likeliest tokens of each step, the likeliest first."""
    token_SK = probability_SV.topk(min(top, probability_SV.shape[-1]), dim=-1).indices
    steps = zip(
        token_SK.tolist(),
        probability_SV.gather(-1, token_SK).tolist(),
        sampling_SV.gather(-1, token_SK).tolist(),
        strict=True,
    )
    return [
        tuple(
            Alternative(token=pieces.one(token), probability=probability, sampling_prob=drawn)
            for token, probability, drawn in zip(*columns, strict=True)
        )
        for columns in steps
    ]
