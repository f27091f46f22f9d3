"""Decode with the best rule there could be: one that knows at each step which tokens keep the output right.

Shapes: R rows alive, V vocabulary, G temperatures tried, A admissible tokens of a row.

A rule that knows the admissible tokens can use that in two ways, alone or together: draw from them only (truncation),
and choose the temperature of the step. The best distribution at a step draws each right output with the same
probability, so it gives every admissible token a weight u proportional to the number of right outputs that begin with
it (`Options.weights`; a token that the tokenizer does not write there gets the least weight). The temperature of a step
is the one that maximizes

    −KL(q ‖ u) + care · ln m

where q is softmax(logits/T) over the admissible tokens, renormalized, and m is its mass there before. `care` is what a
right output is worth in diversity; it is swept, and chosen on dev. With truncation m = 1 and it has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edt.decoding.ops.draw import draw
from edt.decoding.ops.noise import gumbel_noise, stream_key
from edt.decoding.sampling import Limits, Sampling
from edt.metrics.admissible import START, State
from edt.models.growing_texts import GrowingTexts
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.study.attribution.vocabulary import AdmissibleTokens, Options

TEMPERATURES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
"""The temperatures among which an oracle chooses at each step."""


_LEAST_WEIGHT = 1e-6
"""Weight of a token that begins no output as the tokenizer writes it; with 0 the divergence would be infinite."""

_TOGETHER = 512
"""Rows that are decoded together."""


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """A rule that knows the admissible tokens.

    temperature: of all steps; None chooses the best at each step. care: see the module; for temperature=None alone.
    truncates: whether only admissible tokens are drawn.
    """

    temperature: float | None = None
    care: float = 1.0
    truncates: bool = False

    @property
    def label(self) -> str:
        """What a table calls the setting."""
        at = f"care={self.care:g}" if self.temperature is None else f"t0={self.temperature:g}"
        return "both" if self.temperature is None and self.truncates else at


@dataclass(kw_only=True)
class _Row:
    """One output as it grows. state: None when it has ended. right: whether it can still be correct."""

    prompt: int
    key: tuple[int, int]
    state: State | None = START
    right: bool = True


@torch.inference_mode()
def decode_oracle(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    tokens: Mapping[str, AdmissibleTokens],
    oracle: Oracle,
    *,
    sampling: Sampling,
    limits: Limits,
) -> dict[str, list[tuple[int, ...] | None]]:
    """Return, by example id, the token ids of each sample that is correct; None for one that is not.

    The noise is that of the engines, so that the outputs are paired with those of any other rule. A row that departs
    is not decoded further: it cannot become correct.
    """
    rows = [
        _Row(prompt=index, key=stream_key(sampling.seed, prompt.task, prompt.example_id, sample))
        for index, prompt in enumerate(prompts)
        for sample in range(sampling.samples)
    ]
    # The ids are kept of rows that depart too, but only those of correct ones are returned.
    drawn: list[list[int]] = [[] for _ in rows]
    # In batches of rows and not of examples: memory depends on rows, and the noise of a row on its key alone.
    for start in range(0, len(rows), _TOGETHER):
        batch = list(range(start, min(start + _TOGETHER, len(rows))))
        _decode_rows(model, prompts, tokens, oracle, rows, drawn, batch, limits)

    outputs: dict[str, list[tuple[int, ...] | None]] = {prompt.example_id: [] for prompt in prompts}
    for row, ids in zip(rows, drawn, strict=True):
        # An output that the limit cut has a state and no end: it is not correct, as in the departures of the rules.
        done = row.right and row.state is None
        outputs[prompts[row.prompt].example_id].append(tuple(ids) if done else None)
    return outputs


def _decode_rows(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    tokens: Mapping[str, AdmissibleTokens],
    oracle: Oracle,
    rows: Sequence[_Row],
    drawn: list[list[int]],
    alive: list[int],
    limits: Limits,
) -> None:
    """Decode some of the rows to their ends, together."""
    # No sharing of beginnings: rows of one prompt part after a few tokens, and an oracle is decoded once per study.
    texts = GrowingTexts(model.model, *model.pad([prompts[rows[index].prompt].token_ids for index in alive]))
    for step in range(limits.max_new_tokens):
        logits_RV = model.token_rules.apply(texts.logits(), step)
        # What is admissible depends on the example and on the state of its automaton, not on the text behind it.
        own = [tokens[prompts[rows[index].prompt].example_id] for index in alive]
        known = [of.at(_living(rows[index])) for of, index in zip(own, alive, strict=True)]
        keys_R2 = torch.tensor([rows[index].key for index in alive], device=model.device)
        noise_RV = gumbel_noise(keys_R2, step, logits_RV.shape[-1], logits_RV.dtype)
        token_R = _draw(logits_RV, known, oracle, noise_RV)

        for index, token, options in zip(alive, token_R.tolist(), known, strict=True):
            drawn[index].append(token)
            rows[index].right = token in options.following
            rows[index].state = options.following.get(token)
        # A row that has departed or ended is not read again.
        going = [n for n, index in enumerate(alive) if rows[index].right and rows[index].state is not None]
        if not going:
            return
        alive = [alive[n] for n in going]
        kept = torch.tensor(going, device=model.device)
        texts.select(kept)
        texts.append(token_R[kept])


def _living(row: _Row) -> State:
    assert row.state is not None, "a row that has ended is not decoded"
    return row.state


def _draw(
    logits_RV: Tensor,
    known: Sequence[Options],
    oracle: Oracle,
    noise_RV: Tensor,
) -> Tensor:
    """Draw a token per row by the oracle's rule, [R]."""
    rows = range(len(known))
    if oracle.temperature is None:
        # Of all tokens, once for all rows: the mass of the admissible ones is relative to it.
        log_total_GR = torch.stack([torch.logsumexp(logits_RV / t, dim=-1) for t in TEMPERATURES])
        pairs = zip(logits_RV, known, log_total_GR.unbind(-1), strict=True)
        temperature_R = torch.tensor(
            [_best_temperature(*pair, care=0.0 if oracle.truncates else oracle.care) for pair in pairs],
            dtype=logits_RV.dtype,
            device=logits_RV.device,
        )
    else:
        temperature_R = torch.full((len(known),), oracle.temperature, dtype=logits_RV.dtype, device=logits_RV.device)
    if oracle.truncates:
        # By a mask and not by gathering, so that the noise of a token is the same as without truncation.
        kept_RV = torch.zeros_like(logits_RV, dtype=torch.bool)
        for n, options in enumerate(known):
            kept_RV[n, list(options.following)] = True
        logits_RV = logits_RV.masked_fill(~kept_RV, -torch.inf)
    own = torch.tensor(rows, device=logits_RV.device)
    return draw(logits_RV, own, temperature_R, None, noise_RV, own)


def _best_temperature(logits_V: Tensor, options: Options, log_total_G: Tensor, care: float) -> float:
    """Return the temperature of a step that maximizes −KL(q ‖ u) + care · ln m; see the module."""
    index_A = torch.tensor(list(options.following), device=logits_V.device)
    # Tokens that lead to the same state ("The" and " the") begin the same outputs: one option, with one weight.
    states = list(options.weights)
    number = {state: n for n, state in enumerate(states)}
    option_A = torch.tensor([number[state] for state in options.following.values()], device=logits_V.device)
    # Counts of outputs can be larger than float32 holds, so they become shares in Python first.
    total = sum(options.weights.values())
    shares = [max(options.weights[state] / total, _LEAST_WEIGHT) for state in states]
    log_u_O = torch.tensor(shares, dtype=logits_V.dtype, device=logits_V.device).log()
    # Again a distribution after the least weights were raised.
    log_u_O = log_u_O - log_u_O.logsumexp(dim=-1)

    t_G1 = torch.tensor(TEMPERATURES, dtype=logits_V.dtype, device=logits_V.device).unsqueeze(-1)
    p_GA = (logits_V[index_A] / t_G1 - log_total_G.unsqueeze(-1)).exp()
    p_GO = torch.zeros(len(TEMPERATURES), len(states), dtype=p_GA.dtype, device=p_GA.device).index_add(
        1, option_A, p_GA
    )
    # Where all admissible tokens underflow, q would be 0/0, and argmax would meet a NaN.
    mass_G1 = p_GO.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(p_GA.dtype).tiny)
    q_GO = p_GO / mass_G1
    divergence_G = (torch.xlogy(q_GO, q_GO) - q_GO * log_u_O).sum(dim=-1)
    return TEMPERATURES[int((care * mass_G1.squeeze(-1).log() - divergence_G).argmax())]
