"""EDT inside `transformers`' own `generate`: a logits processor. Shapes: R rows of a batch, V vocabulary, L tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor

from edt.adapters.sampler_scores import check_step, sampler_scores
from edt.decoding.ops.kernels import Kernels, shared_kernels
from edt.decoding.ops.signals import finite_rows
from edt.errors import ConfigError
from edt.strategies.base import GRANULARITIES, Signals
from edt.strategies.edt import EDT

PerRow = float | Sequence[float] | Tensor
Observer = Callable[[Tensor, Tensor], None]
"""Receives the temperatures and the entropies in nats of each step, [R] and [R]."""


class EDTLogitsProcessor(LogitsProcessor):
    """Divide the logits by T = T0 · N^(θ/H), H the entropy of the model's distribution (arXiv 2403.14541, Eq. 7).

        model.generate(**inputs, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                       logits_processor=[EDTLogitsProcessor(t0=0.8, theta=0.5)])

    The rule reads the logits as the model gives them, so this should be the only processor, or the first.
    `temperature=1.0` keeps `generate` from scaling again, and `top_k=0` switches off its default of 50. The top_k,
    top_p and min_p of `generate`, where given, come after this processor: temperature first, then truncation. At and
    below T = 1e-4 the largest logit wins, of several the first: the other tokens of such a row have probability 0.
    Logits that are no distribution (NaN, infinity, no possible token) are a ModelError.

    t0, theta: a number; or one per row of the batch; or one per prompt, repeated for `num_return_sequences`.
    n: the base, 0.8 in the paper.
    granularity: "token" computes T at each step and holds no state, so it is right under beam search and speculative
        decoding too. "instance" computes T once, at the prompt's end, and keeps it for the row; a call whose
        `input_ids` are not the last call's with one more token begins a new text. It needs rows that stay in place:
        beam search reorders them, speculative decoding takes tokens back, and both are refused with a ConfigError at
        the first step that shows it.
    observe: called at each step with the temperatures used and the entropies, to watch or record them.
    compile: compile the passes over a vocabulary of 8,192 tokens or more, once in a process, where a compiler is found.
    """

    def __init__(
        self,
        t0: PerRow,
        theta: PerRow,
        *,
        n: float = 0.8,
        granularity: str = "token",
        observe: Observer | None = None,
        compile: bool = True,
    ) -> None:
        """Raise ConfigError for a value out of range, or for a wrong number of values."""
        if granularity not in GRANULARITIES:
            raise ConfigError(f"granularity is '{granularity}'; it must be one of {', '.join(GRANULARITIES)}.")

        self.t0, self.theta = _as_column("t0", t0), _as_column("theta", theta)
        # A column of one value fits any other; two longer ones must agree.
        counts = {len(column) for column in (self.t0, self.theta) if len(column) > 1}
        if len(counts) > 1:
            raise ConfigError(f"t0 has {len(self.t0)} values and theta {len(self.theta)}; give as many, or one number.")
        # EDT checks one pair of values; a column of one value is paired with each of the other.
        size = max(len(self.t0), len(self.theta))
        for first, second in zip(self.t0.expand(size).tolist(), self.theta.expand(size).tolist(), strict=True):
            EDT(t0=first, theta=second, n=n)
        self.n, self.granularity, self.observe, self.compile = n, granularity, observe, compile
        self.reset()

    def reset(self) -> None:
        """Forget the text so far: the next call begins a new one."""
        self._seen_RL: Tensor | None = None
        self._start = 0
        self._kept_R: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scaled logits, [R, V], in the dtype of `scores`. input_ids: [R, L], the tokens so far."""
        # Half precision is too coarse for the entropy and for the division.
        logits_RV = scores if scores.dtype == torch.float64 else scores.float()

        temperature_R = self._kept(input_ids) if self.granularity == "instance" else None
        # A kept temperature needs no entropy, unless somebody watches.
        if temperature_R is None or self.observe is not None:
            entropy_R = self._passes(logits_RV).entropy(logits_RV)
            temperature_R = self._rule(entropy_R) if temperature_R is None else temperature_R
            if self.observe is not None:
                self.observe(temperature_R, entropy_R)
            # The entropy is NaN exactly where the logits are no distribution: they need not be read again.
            finite_R = torch.isfinite(entropy_R)
        else:
            finite_R = finite_rows(logits_RV)
        check_step(temperature_R, finite_R)
        if self.granularity == "instance":
            self._kept_R, self._seen_RL = temperature_R, input_ids.clone()
        scaled_RV = self._passes(logits_RV).scale(logits_RV, temperature_R)
        return sampler_scores(scaled_RV, temperature_R).to(scores.dtype)

    def temperature(self, logits_RV: Tensor) -> Tensor:
        """Return T per row, [R], from raw logits."""
        return self._rule(self._passes(logits_RV).entropy(logits_RV))

    def _passes(self, logits_RV: Tensor) -> Kernels:
        vocabulary, device = logits_RV.shape[-1], logits_RV.device
        # Eager passes hold no state, so a new object costs nothing.
        if not self.compile:
            return Kernels(compile=False, vocabulary=vocabulary, device=device)
        return shared_kernels(vocabulary, device)

    def _rule(self, entropy_R: Tensor) -> Tensor:
        """Return T per row from the entropies, [R]."""
        # Columns are repeated at the call, since the number of rows is not known before.
        rows = len(entropy_R)
        t0_R, theta_R = (_for_rows(column, rows).to(entropy_R) for column in (self.t0, self.theta))
        signals = Signals.build(entropy_R)
        return EDT.temperature(signals, {"t0": t0_R, "theta": theta_R, "n": torch.full_like(t0_R, self.n)})

    def _kept(self, input_ids: Tensor) -> Tensor | None:
        """Return the temperatures of the first step of this text, [R]; None where this is a first step."""
        if self._kept_R is not None and self._is_next_step(input_ids):
            return self._kept_R
        # Where the prompt ends: what distinguishes a new text from beam search.
        self._start = input_ids.shape[1]
        return None

    def _is_next_step(self, input_ids: Tensor) -> bool:
        """Return whether this call is the next step of the same texts.

        `generate` does not announce a new text, so it is found by its tokens. Raises ConfigError where rows moved or
        tokens were taken back.
        """
        seen_RL = self._seen_RL
        assert seen_RL is not None
        rows, length = input_ids.shape
        if rows != len(seen_RL):
            return False

        # One token more: the next step if all else is as before; beam search, if only the prompts are.
        if length == seen_RL.shape[1] + 1:
            if torch.equal(input_ids[:, :-1], seen_RL):
                return True
            if torch.equal(input_ids[:, : self._start], seen_RL[:, : self._start]):
                raise ConfigError(
                    "the rows changed places between two steps, as in beam search, and a temperature per instance "
                    "would follow the wrong row; use num_beams=1, or granularity='token'."
                )

        # No token more, after the same prompts: speculative decoding takes tokens back.
        same_start = torch.equal(input_ids[:, : self._start], seen_RL[:, : self._start])
        if same_start and self._start < length <= seen_RL.shape[1]:
            raise ConfigError(
                "the text became shorter within a generation, as in speculative decoding (assistant_model, "
                "prompt_lookup_num_tokens), where a temperature per instance has no meaning; switch that off, or use "
                "granularity='token'. If this is a new prompt that begins like the last one, call reset() first."
            )
        return False


def _as_column(name: str, value: PerRow) -> Tensor:
    """Return one value or several as a float64 column."""
    # In float64, so that a value is the same number in every dtype of the scores.
    column = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    if column.ndim > 1 or not column.numel():
        raise ConfigError(f"{name} has the shape {tuple(column.shape)}; give a number, or one for each row or prompt.")
    return column.reshape(-1)


def _for_rows(column: Tensor, rows: int) -> Tensor:
    """Return one value per row, where values of prompts are repeated for the sequences of each.

    Raises ConfigError for a number of values that does not divide the rows.
    """
    if rows % len(column):
        raise ConfigError(
            f"there are {len(column)} values for a batch of {rows} rows; give one number, one value per row, or one "
            "per prompt (then rows = prompts × num_return_sequences)."
        )
    # In generate, the sequences of a prompt are neighbors.
    return column.repeat_interleave(rows // len(column))
