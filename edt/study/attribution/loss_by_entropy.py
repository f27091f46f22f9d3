"""The temperature that minimizes a model's loss on reference texts, by the entropy of the step: the learned T(H).

A rule T(H) that is right for a model would give each step the temperature at which the true token is likeliest on
average. Shapes: S steps, V vocabulary, T temperatures tried, E references, Q bins of entropy, B resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from edt.decoding.ops.signals import entropy
from edt.models.language_model import LanguageModel
from edt.tracing.distribution import ranks
from edt.tracing.teacher_forcing import forced_logits

EDGES = (0.1, 0.3, 0.7, 1.2, 2.0, 3.0, 4.0)
"""Edges of the bins of entropy, in nats."""

TEMPERATURES = tuple(round(0.1 + 0.05 * n, 2) for n in range(59))
"""The temperatures whose loss is measured: 0.1 to 3."""

_HOT = 1.4
_HEAD = 10
"""The tail is what is outside so many likeliest tokens."""

_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class EntropyBin:
    """What a model does where its entropy is in a bin; None stands for what a bin without tokens has not.

    best: the temperature with the least mean loss, with a 95 % interval over references. gain: nats per token by which
    its loss is below that at T = 1. likeliest: share of tokens that are the likeliest one; confidence: the mean
    probability of that one. tail, hot_tail: mean mass outside the 10 likeliest at T = 1 and at T = 1.4.
    """

    low: float
    high: float
    tokens: int
    entropy: float | None = None
    best: float | None = None
    interval: tuple[float, float] | None = None
    gain: float | None = None
    likeliest: float | None = None
    confidence: float | None = None
    tail: float | None = None
    hot_tail: float | None = None


def reference_ids(model: LanguageModel, prompt_ids: Sequence[int], reference: str, *, language: str) -> list[int]:
    """Return the tokens of a reference as an output of the prompt, with the end token where there is one."""
    # A word begins with its space, but where the prompt ends in one or the language has none.
    needs_space = language != "zh" and not model.as_read(prompt_ids)[-1:].isspace()
    # Without special tokens: the prompt has them already, and a reference is its continuation.
    ids: list[int] = model.tokenizer((" " if needs_space else "") + reference, add_special_tokens=False)["input_ids"]
    return ids


@torch.inference_mode()
def loss_by_entropy(
    model: LanguageModel, pairs: Iterable[tuple[Sequence[int], Sequence[int]]], *, seed: int = 0
) -> list[EntropyBin]:
    """Return the figures of each bin over (prompt ids, reference ids), each read in one teacher-forced pass."""
    # One reference at a time: its logits are [steps, vocabulary], and only the columns are kept.
    columns: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    for number, (prompt_ids, token_ids) in enumerate(pairs):
        if len(token_ids):
            made, loss = _reference_steps(model, prompt_ids, token_ids)
            columns.append(np.concatenate([np.full((len(made), 1), number), made], axis=1))
            losses.append(loss)
    if not columns:
        return [EntropyBin(low=low, high=high, tokens=0) for low, high in _bounds()]
    return _bins(np.concatenate(columns), np.concatenate(losses), seed)


def _bounds() -> list[tuple[float, float]]:
    return list(zip((0.0, *EDGES), (*EDGES, float("inf")), strict=True))


def _reference_steps(
    model: LanguageModel, prompt_ids: Sequence[int], token_ids: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return, per step of one reference, [entropy, is likeliest, largest p, tail, hot tail], and the losses [S, T]."""
    logits_SV = forced_logits(model, prompt_ids, token_ids)
    token_S = torch.tensor(list(token_ids), device=logits_SV.device)
    drawn_S = logits_SV.gather(-1, token_S.unsqueeze(-1)).squeeze(-1)
    top_SK = logits_SV.topk(min(_HEAD, logits_SV.shape[-1]), dim=-1).values

    # −ln p at temperature t is logsumexp(logits / t) − logit / t.
    loss_TS = torch.stack([torch.logsumexp(logits_SV / t, dim=-1) - drawn_S / t for t in TEMPERATURES])

    def tail(t: float) -> torch.Tensor:
        return 1 - (top_SK / t - torch.logsumexp(logits_SV / t, dim=-1, keepdim=True)).exp().sum(dim=-1)

    # Of the whole vocabulary: the likeliest token's probability is relative to all tokens, not to the head.
    largest_S = (top_SK[:, 0] - torch.logsumexp(logits_SV, dim=-1)).exp()
    # By rank and not by equality with the maximum: of tokens that tie only one is the likeliest.
    likeliest_S = (ranks(logits_SV, token_S) == 1).to(logits_SV.dtype)
    columns = [entropy(logits_SV), likeliest_S, largest_S, tail(1.0), tail(_HOT)]
    return torch.stack(columns, dim=-1).double().cpu().numpy(), loss_TS.T.double().cpu().numpy()


def _bins(columns: np.ndarray, loss_NT: np.ndarray, seed: int) -> list[EntropyBin]:
    """Return the figures of each bin. columns: per token [reference, entropy, …] of `_reference_steps`."""
    reference_N, entropy_N = columns[:, 0].astype(int), columns[:, 1]
    bin_N, references = np.digitize(entropy_N, EDGES), int(reference_N.max()) + 1
    # References are resampled, not tokens: those of one text are not independent.
    weight_BE = np.random.default_rng(seed).multinomial(references, [1 / references] * references, size=_RESAMPLES)
    found = []
    for index, (low, high) in enumerate(_bounds()):
        inside = bin_N == index
        if not inside.any():
            found.append(EntropyBin(low=low, high=high, tokens=0))
            continue
        # Summed per reference, so that a resample of references is a product of two matrices.
        loss_ET = np.zeros((references, len(TEMPERATURES)))
        np.add.at(loss_ET, reference_N[inside], loss_NT[inside])
        mean_T = loss_NT[inside].mean(axis=0)
        # A resample without a token of the bin has no best temperature.
        held_E = np.bincount(reference_N[inside], minlength=references)
        drawn_BT = (weight_BE @ loss_ET)[weight_BE @ held_E > 0]
        best_B = np.array(TEMPERATURES)[drawn_BT.argmin(axis=1)]
        means = columns[inside, 1:].mean(axis=0)
        found.append(
            EntropyBin(
                low=low,
                high=high,
                tokens=int(inside.sum()),
                entropy=float(means[0]),
                best=TEMPERATURES[int(mean_T.argmin())],
                interval=(float(np.quantile(best_B, 0.025)), float(np.quantile(best_B, 0.975))),
                gain=float(mean_T[TEMPERATURES.index(1.0)] - mean_T.min()),
                likeliest=float(means[1]),
                confidence=float(means[2]),
                tail=float(means[3]),
                hot_tail=float(means[4]),
            )
        )
    return found


def bin_rows(found: Sequence[EntropyBin]) -> list[list[str]]:
    """Return the bins as rows of texts, for a table with the columns `COLUMNS`."""
    rows = []
    for entry in found:
        name = f"{entry.low:g}–{entry.high:g}" if np.isfinite(entry.high) else f"≥ {entry.low:g}"
        if entry.best is None or entry.interval is None:
            rows.append([name, "0", *["–"] * (len(COLUMNS) - 2)])
            continue
        rows.append([
            name,
            str(entry.tokens),
            f"{entry.best:.2f} [{entry.interval[0]:.2f}, {entry.interval[1]:.2f}]",
            f"{entry.gain:.4f}",
            f"{100 * (entry.likeliest or 0):.1f}",
            f"{entry.confidence:.3f}",
            f"{entry.tail:.4f}",
            f"{entry.hot_tail:.3f}",
        ])  # fmt: skip
    return rows


COLUMNS = (
    "entropy (nats)", "tokens", "best T", "gain over T = 1 (nats)", "% likeliest", "its probability",
    "mass outside the 10 likeliest", "at T = 1.4",
)  # fmt: skip
"""Column heads of `bin_rows`."""
