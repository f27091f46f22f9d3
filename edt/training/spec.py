"""How a model is fine-tuned: the configuration group `training`. Importing this module does not import torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edt.errors import ConfigError, suggestion
from edt.ranges import check_whole

ALL_LINEAR = "all-linear"
"""peft's word for every linear layer but the output's."""
_SCHEDULES = ("cosine", "linear", "constant_with_warmup")
_QUANTIZED = ("4bit",)
_LORA_RATE, _FULL_RATE = 2e-4, 2e-5
DEVICE_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Fine-tuning by LoRA (arXiv 2106.09685), or of all weights."""

    full: bool = False
    """true: train all weights, which takes about 16 bytes of memory for each; false: a LoRA adapter."""
    rank: int = 16
    """Rank of the adapter's matrices."""
    alpha: int = 32
    """Scale of the adapter: its product is multiplied by alpha / rank."""
    dropout: float = 0.05
    """Share of the adapter's inputs that a step leaves out."""
    target_modules: str | tuple[str, ...] = ALL_LINEAR
    """Layers that get an adapter: all-linear, or a list of the ends of their names, such as [q_proj,v_proj]."""
    learning_rate: float | None = None
    """Largest learning rate of AdamW; null: 2e-4 for an adapter, 2e-5 with full=true."""
    schedule: str = "cosine"
    """How the rate falls after the warm-up: cosine, linear or constant_with_warmup."""
    warmup: float = 0.03
    """Share of the steps in which the rate rises."""
    weight_decay: float = 0.0
    """Weight decay of AdamW."""
    max_grad_norm: float = 1.0
    """Norm to which a step's gradients are clipped."""
    epochs: float = 3.0
    """Passes over the examples, at most: early stopping may end it before."""
    batch: int = 32
    """Examples of an update, on all devices together."""
    device_batch: int | None = None
    """Examples that a device reads at a time; null: 8, or the largest smaller number that divides `batch`. It changes
    the memory and the speed.
    """
    seed: int = 0
    """Draws the adapter's first weights, the dropout and the order of the examples."""
    evaluations: int = 4
    """Evaluations on dev in an epoch. After each of them the training can be continued from there."""
    dev_examples: int = 200
    """Examples of dev for the loss, at most."""
    quality_examples: int = 16
    """How many of them are decoded greedily at each evaluation, for the task's quality metric; 0: none."""
    patience: int | None = 4
    """Evaluations without a lower loss on dev after which it stops; null: it trains to the end."""
    gradient_checkpointing: bool | None = None
    """true: compute activations twice, in less memory; null: on a GPU."""
    quantize: str | None = None
    """4bit: hold the base in four bits (QLoRA, arXiv 2305.14314; extra `qlora`); null: as model.dtype says."""

    def __post_init__(self) -> None:
        check_whole("training.rank", self.rank, "the rank of the adapter", least=1, most=4096)
        check_whole("training.alpha", self.alpha, "the scale of the adapter", least=1, most=65_536)
        check_whole("training.batch", self.batch, "the examples of an update", least=1, most=65_536)
        check_whole("training.evaluations", self.evaluations, "the evaluations in an epoch", least=1, most=1000)
        check_whole("training.dev_examples", self.dev_examples, "the examples of dev", least=1)
        check_whole("training.quality_examples", self.quality_examples, "the examples that are decoded", least=0)
        if self.patience is not None:
            check_whole("training.patience", self.patience, "evaluations without a lower loss (null: no stop)", least=1)
        for name in (
            "epochs",
            "max_grad_norm",
            *(["learning_rate"] if self.learning_rate is not None else []),
        ):
            self._require(0 < getattr(self, name) < math.inf, name, "a number above 0")
        for name in ("dropout", "warmup"):
            self._require(0 <= getattr(self, name) < 1, name, "a share, from 0 to below 1")
        self._require(0 <= self.weight_decay < math.inf, "weight_decay", "0 or more")
        self._require(0 <= self.seed < 2**31, "seed", "a whole number from 0 to 2,147,483,647")
        for name, allowed in (("schedule", _SCHEDULES), ("quantize", (None, *_QUANTIZED))):
            if (value := getattr(self, name)) not in allowed:
                shown = ["null" if one is None else str(one) for one in allowed]
                raise ConfigError(
                    f"training.{name} is '{value}'{suggestion(str(value), shown)}; it must be {' or '.join(shown)}."
                )
        if self.device_batch is not None:
            check_whole("training.device_batch", self.device_batch, "the examples that a device reads", least=1)
        # One name is a list of one, as the command line makes it from training.target_modules=q_proj.
        modules = (self.target_modules,) if isinstance(self.target_modules, str) else self.target_modules
        if not modules or "" in modules:
            raise ConfigError(
                "training.target_modules is empty; it must be all-linear, or a list of names such as [q_proj,v_proj]."
            )
        if self.full and self.quantize is not None:
            raise ConfigError(
                "training.full=true trains all weights, which training.quantize=4bit holds in four bits, where they "
                "cannot be trained; set one of the two."
            )

    def _require(self, holds: bool, name: str, allowed: str) -> None:
        if not holds:
            raise ConfigError(f"training.{name} is {getattr(self, name)}; it must be {allowed}.")

    @property
    def rate(self) -> float:
        """The largest learning rate."""
        # An adapter begins at zero and can move faster than weights that are trained already.
        if self.learning_rate is not None:
            return self.learning_rate
        return _FULL_RATE if self.full else _LORA_RATE

    def recomputes(self, *, on_gpu: bool) -> bool:
        """Return whether activations are computed twice."""
        # A GPU is short of memory, a CPU of time.
        return on_gpu if self.gradient_checkpointing is None else self.gradient_checkpointing

    def split_batch(self, devices: int) -> tuple[int, int]:
        """Return how many examples a device reads at a time, and how many times for an update.

        Raises ConfigError where the batch cannot be split so.
        """
        # `batch` counts on all devices, so that more of them give the same weights up to rounding.
        share, rest = divmod(self.batch, devices)
        if self.device_batch is None:
            at_a_time = next((n for n in range(min(DEVICE_BATCH, share), 0, -1) if share % n == 0), 0)
        else:
            at_a_time = self.device_batch
        if rest or not at_a_time or share % at_a_time:
            on = f" on {devices} devices" if devices > 1 else ""
            raise ConfigError(
                f"training.batch is {self.batch}, which cannot be read {at_a_time or 1} examples at a time{on}; "
                f"training.batch must be a multiple of training.device_batch{' times the devices' if on else ''}."
            )
        return at_a_time, share // at_a_time

    @property
    def identity_fields(self) -> tuple[str, ...]:
        """The fields that change the weights; the others change what is watched or how fast it goes."""
        # Options of an adapter that is not there change nothing, and so make no other training.
        of_adapter = () if self.full else ("rank", "alpha", "dropout", "target_modules", "quantize")
        return (
            *("full", *of_adapter, "rate", "schedule", "warmup", "weight_decay", "max_grad_norm"),
            *("epochs", "batch", "seed", "evaluations", "dev_examples", "patience"),
        )
