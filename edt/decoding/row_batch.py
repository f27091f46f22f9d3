"""The rows of a batch and what each has produced. Shapes: A rows, R rows alive, U noise streams, S steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

import torch
from torch import Tensor

from edt.decoding.ops.draw import floored
from edt.decoding.ops.noise import FOR_PAST_STEP, uniform_noise
from edt.records import FinishReason


@dataclass(kw_only=True)
class RowBatch:
    """The rows of a batch: index into the strategy table, noise key and, while decoding, what each has produced.

    strategy_A: each row's strategy. Rows with the same key share a noise stream: key_U2 holds the distinct keys,
    stream_A each row's. All is on the CPU; `AliveRows` has what a step reads on the model's device.
    """

    strategy_A: Tensor
    keys: InitVar[Sequence[tuple[int, int]]]
    max_new_tokens: int
    key_U2: Tensor = field(init=False)
    stream_A: Tensor = field(init=False)
    tokens_AS: Tensor = field(init=False)
    temperature_AS: Tensor = field(init=False)
    entropy_AS: Tensor = field(init=False)
    floored_AS: Tensor = field(init=False)
    surprisal_A: Tensor = field(init=False)
    """−ln p of each row's last token, where a strategy reads it; NaN before the first."""
    length_A: Tensor = field(init=False)
    reason_A: list[FinishReason] = field(init=False)

    def __post_init__(self, keys: Sequence[tuple[int, int]]) -> None:
        shape = (len(self.strategy_A), self.max_new_tokens)
        # dict.fromkeys: the distinct keys in order of appearance.
        streams = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.key_U2 = torch.tensor(list(streams), dtype=torch.int64)
        self.stream_A = torch.tensor([streams[key] for key in keys])

        self.tokens_AS = torch.zeros(shape, dtype=torch.int64)
        self.temperature_AS = torch.zeros(shape, dtype=torch.float64)
        self.entropy_AS = torch.zeros(shape, dtype=torch.float64)
        self.floored_AS = torch.zeros(shape, dtype=torch.bool)
        self.surprisal_A = torch.full((shape[0],), torch.nan, dtype=torch.float64)
        self.length_A = torch.full((shape[0],), self.max_new_tokens)
        self.reason_A = ["length"] * shape[0]

    def apply_per_instance(
        self, alive_R: Tensor, step: int | Tensor, temperature_R: Tensor, per_instance_R: Tensor | None
    ) -> Tensor:
        """Return the temperatures, with that of step 0 in rows whose temperature is computed once per instance.

        step: of all rows, or of each, [R] on the CPU. per_instance_R: these rows, [R] bool; None: there are none.
        """
        if per_instance_R is None or (isinstance(step, int) and step == 0):
            return temperature_R
        if isinstance(step, Tensor):
            per_instance_R = per_instance_R & (step > 0).to(per_instance_R.device)
        first_R = self.temperature_AS[alive_R, 0].to(temperature_R)
        return torch.where(per_instance_R, first_R, temperature_R)

    def past_entropy(self, alive_R: Tensor, step: int | Tensor, entropy_R: Tensor) -> Tensor:
        """Return the entropy of one of each row's steps so far, drawn evenly by the row's own noise, [R].

        step: of all rows, or of each, [R] on the CPU. entropy_R: that of this step, on the model's device, which the
        result is on.
        """
        # Drawn on the CPU, where the past is: a device would have to be waited for.
        uniform_R = uniform_noise(self.key_U2[self.stream_A[alive_R]], step, torch.float64, FOR_PAST_STEP)
        chosen_R = (uniform_R * (step + 1)).long()
        past_R = self.entropy_AS[alive_R, chosen_R].to(entropy_R.device, entropy_R.dtype, non_blocking=True)
        is_now_R = (chosen_R == step).to(entropy_R.device, non_blocking=True)
        return torch.where(is_now_R, entropy_R, past_R)

    def record(
        self, alive_R: Tensor, step: int | Tensor, token_R: Tensor, temperature_R: Tensor, entropy_R: Tensor
    ) -> None:
        """Record what these rows drew at this step, at which temperature and entropy; all on the CPU.

        step: of all rows, or of each, [R].
        """
        # In float64, whatever the model's dtype: a mean over steps then adds no rounding, and a temperature per
        # instance is read back unchanged.
        self.tokens_AS[alive_R, step] = token_R
        self.temperature_AS[alive_R, step] = temperature_R.double()
        self.entropy_AS[alive_R, step] = entropy_R.double()
        self.floored_AS[alive_R, step] = floored(temperature_R)

    def record_end(self, ended: Tensor, step: int, reason: FinishReason) -> None:
        """Record why and when these rows ended."""
        self.length_A[ended] = step + 1
        # A list of texts, not a tensor: reasons are written to the store as they are.
        for row in ended.tolist():
            self.reason_A[row] = reason

    def summary(self) -> dict[str, list[float]]:
        """Return each row's figures over its own steps: t_mean, t_min, t_max, h_mean, floored_steps."""
        # Steps after a row's end hold zeros, which must count in no mean and be no minimum.
        within_AS = torch.arange(self.max_new_tokens) < self.length_A.unsqueeze(-1)
        temperature_AS = self.temperature_AS.masked_fill(~within_AS, 0.0)
        figures = {
            "t_mean": temperature_AS.sum(dim=-1) / self.length_A,
            "t_min": self.temperature_AS.masked_fill(~within_AS, torch.inf).amin(dim=-1),
            "t_max": temperature_AS.amax(dim=-1),
            "h_mean": self.entropy_AS.masked_fill(~within_AS, 0.0).sum(dim=-1) / self.length_A,
            "floored_steps": (self.floored_AS & within_AS).sum(dim=-1),
        }
        return {name: values.tolist() for name, values in figures.items()}

    def trace(self, values_AS: Tensor, row: int) -> tuple[float, ...]:
        """Return a row's values over its own steps."""
        return tuple(values_AS[row, : int(self.length_A[row])].tolist())
