"""Read back, in one teacher-forced pass, what the model predicted at each step of an existing output.

Shapes: S steps, V vocabulary, K likeliest tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edt.models.language_model import LanguageModel
from edt.models.token_rules import decoder_start_id
from edt.records import Alternative, Generation, Prompt, TracedOutput, TracedToken
from edt.strategies.base import Strategy
from edt.tracing.distribution import ranks, sampling_probabilities
from edt.tracing.token_text import TokenTexts


@torch.inference_mode()
def forced_logits(language_model: LanguageModel, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> Tensor:
    """Return the logits that each of `token_ids` was drawn from, [S, V] in the signals' dtype, in one forward pass."""
    model, steps = language_model.model, len(token_ids)

    # The last token was drawn but never read, so it is not part of the input.
    if language_model.is_encoder_decoder:
        start = decoder_start_id(model)
        inputs = {"input_ids": [list(prompt_ids)], "decoder_input_ids": [[start, *token_ids[:-1]]]}
    else:
        inputs = {"input_ids": [[*prompt_ids, *token_ids[:-1]]]}
    arguments = {name: torch.tensor(ids, device=language_model.device) for name, ids in inputs.items()}

    # Logits of the whole prompt would take prompt length × vocabulary floats; most models can leave them out.
    keep = {"logits_to_keep": steps} if "logits_to_keep" in language_model.forward_arguments else {}
    # No cache: this is a single pass, and nothing is decoded after it.
    logits_1SV = model(**arguments, **keep, use_cache=False).logits[:, -steps:]
    logits_SV: Tensor = logits_1SV[0].to(language_model.signal_dtype)
    # What the checkpoint forces or suppresses held at each step.
    rules = language_model.token_rules
    return logits_SV if rules.is_empty else torch.stack([rules.apply(row, step) for step, row in enumerate(logits_SV)])


@torch.inference_mode()
def traced_output(
    language_model: LanguageModel,
    prompt: Prompt,
    strategy: Strategy,
    generation: Generation,
    *,
    top: int,
    token_texts: TokenTexts,
) -> TracedOutput:
    """Return a generation token by token, with the `top` likeliest tokens of each step.

    Entropy and temperature are those that were recorded while decoding; ranks and probabilities come from a
    teacher-forced pass. The generation must have been decoded with `Sampling.trace`.
    """
    # The recorded values, not new ones: in float32 a second pass differs by about 1e-5; with granularity
    # "instance" the temperature does not follow from the step's entropy either.
    entropy, temperature = generation.trace_entropy, generation.trace_temperature
    assert entropy is not None, "decoded with Sampling.trace"
    assert temperature is not None, "decoded with Sampling.trace"

    logits_SV = forced_logits(language_model, prompt.token_ids, generation.token_ids)
    token_S = torch.tensor(generation.token_ids, device=logits_SV.device)
    temperature_S = torch.tensor(temperature, dtype=logits_SV.dtype, device=logits_SV.device)
    probability_SV = logits_SV.softmax(dim=-1)
    sampling_SV = sampling_probabilities(logits_SV, temperature_S, strategy)

    # Columns first, then tokens: each quantity is one tensor operation over all steps.
    columns = zip(
        generation.token_ids,
        token_texts.texts(generation.token_ids),
        entropy,
        temperature,
        ranks(logits_SV, token_S).tolist(),
        probability_SV.gather(-1, token_S.unsqueeze(-1)).squeeze(-1).tolist(),
        sampling_SV.gather(-1, token_S.unsqueeze(-1)).squeeze(-1).tolist(),
        _likeliest(probability_SV, sampling_SV, top, token_texts),
        strict=True,
    )
    names = ("token_id", "token", "entropy", "temperature", "rank", "probability", "sampling_prob", "alternatives")
    tokens = tuple(
        TracedToken(step=step, **dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        for step, values in enumerate(columns)
    )

    # An engine that traces knows both.
    assert generation.t_mean is not None
    assert generation.h_mean is not None
    return TracedOutput(
        strategy_id=generation.strategy_id,
        sample=generation.sample,
        text=generation.text,
        finish_reason=generation.finish_reason,
        t_mean=generation.t_mean,
        h_mean=generation.h_mean,
        tokens=tokens,
    )


def _likeliest(
    probability_SV: Tensor, sampling_SV: Tensor, top: int, token_texts: TokenTexts
) -> list[tuple[Alternative, ...]]:
    """Return the `top` likeliest tokens of each step, the likeliest first."""
    # By the model's own probability: truncation would leave too few tokens to show.
    token_SK = probability_SV.topk(min(top, probability_SV.shape[-1]), dim=-1).indices
    steps = zip(
        token_SK.tolist(),
        probability_SV.gather(-1, token_SK).tolist(),
        sampling_SV.gather(-1, token_SK).tolist(),
        strict=True,
    )
    return [
        tuple(
            Alternative(token=token_texts.text(token), probability=probability, sampling_prob=sampling_prob)
            for token, probability, sampling_prob in zip(*columns, strict=True)
        )
        for columns in steps
    ]
