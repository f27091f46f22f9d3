"""The training itself: transformers' Trainer over a model with an adapter of peft, or with all its weights.

Shapes: B examples of a batch, L tokens, V vocabulary.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from edt.models.guard import library_errors
from edt.models.language_model import LanguageModel
from edt.tracking.training_curve import LogStep
from edt.training.checkpoints import seal_checkpoint
from edt.training.examples import IGNORED, Collator, ExampleList, LengthGroupedOrder, TrainingExample
from edt.training.progress import Steps
from edt.training.quality import GreedyQuality
from edt.training.spec import TrainingSpec

__all__ = ["Schedule", "adapted", "build_trainer"]

logger = logging.getLogger(__name__)

DEV_LOSS = "answer_loss"
"""The mean loss of a token of the dev answers, in nats."""
CHECKPOINTS_KEPT = 3
"""The best one, the last one, and one before: while the last is written, another must be whole."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How many steps there are, and after how many an evaluation comes.

    at_a_time, accumulated: examples that a device reads at once, and how often for a step.
    """

    examples: int
    at_a_time: int
    accumulated: int
    devices: int
    steps: int
    steps_per_epoch: int
    every: int

    @classmethod
    def of(cls, spec: TrainingSpec, examples: int, devices: int) -> Schedule:
        """Return the schedule of so many examples. Raises ConfigError where the batch cannot be split."""
        at_a_time, accumulated = spec.split_batch(devices)
        # As the Trainer counts: batches of a device, then the updates that they make.
        batches = math.ceil(math.ceil(examples / devices) / at_a_time)
        per_epoch = max(1, math.ceil(batches / accumulated))
        steps = max(1, math.ceil(spec.epochs * per_epoch))
        every = max(1, math.ceil(per_epoch / spec.evaluations))
        return cls(
            examples=examples,
            at_a_time=at_a_time,
            accumulated=accumulated,
            devices=devices,
            steps=steps,
            steps_per_epoch=per_epoch,
            every=min(every, steps),
        )


def adapted(model: LanguageModel, spec: TrainingSpec) -> Any:
    """Return the model to train: with a new adapter in its layers, or with all weights trainable.

    The layers are changed in place, so that the language model decodes with the adapter as it is at any moment.
    """
    set_seed(spec.seed)
    if spec.full:
        return model.model.requires_grad_(True)
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

    base = model.model
    if spec.quantize is not None:
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call]
    config = LoraConfig(
        task_type=TaskType.SEQ_2_SEQ_LM if model.is_encoder_decoder else TaskType.CAUSAL_LM,
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=spec.target_modules if isinstance(spec.target_modules, str) else list(spec.target_modules),
    )
    remedy = "training.target_modules=all-linear takes every linear layer, whatever it is called."
    failure = f"training.target_modules does not fit model '{model.spec.path}'"
    with warnings.catch_warnings(), library_errors(failure, remedy):
        # peft asks for an attribute by its name of before.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        trained = get_peft_model(base, config)
    # A folder with a config: for any other name peft asks the hub at each checkpoint. The result names the base as the
    # user does.
    trained.peft_config[trained.active_adapter].base_model_name_or_path = str(model.folder)
    return trained


def build_trainer(
    model: LanguageModel,
    trained: Any,
    spec: TrainingSpec,
    schedule: Schedule,
    train: Sequence[TrainingExample],
    dev: Sequence[TrainingExample],
    *,
    folder: Path,
    quality: GreedyQuality | None,
    begins: bool,
    watchers: Watchers,
) -> Trainer:
    """Return the Trainer. folder: of its checkpoints. begins: it continues from none, and evaluates the base first."""
    on_gpu = model.device.type == "cuda"
    # The weights of a frozen base may have any dtype: the products are what runs in half precision.
    bf16 = on_gpu and torch.cuda.is_bf16_supported()
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=schedule.steps,
        num_train_epochs=math.ceil(spec.epochs),
        per_device_train_batch_size=schedule.at_a_time,
        per_device_eval_batch_size=schedule.at_a_time,
        gradient_accumulation_steps=schedule.accumulated,
        learning_rate=spec.rate,
        lr_scheduler_type=spec.schedule,
        # Rounded down: the first step of a warm-up has the rate 0, and where it is one of few it would train nothing.
        warmup_steps=int(spec.warmup * schedule.steps),
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm,
        seed=spec.seed,
        bf16=bf16,
        fp16=on_gpu and not bf16 and model.model.dtype == torch.float16,
        **(_recomputing() if spec.recomputes(on_gpu=on_gpu) else {}),
        use_cpu=model.device.type == "cpu",
        # Of each step: what a checkpoint does not hold of a mean over several would be lost with a kill.
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if dev else "no",
        eval_steps=schedule.every if dev else None,
        eval_on_start=bool(dev) and begins,
        save_strategy="steps",
        save_steps=schedule.every,
        save_total_limit=CHECKPOINTS_KEPT,
        load_best_model_at_end=bool(dev),
        metric_for_best_model=DEV_LOSS if dev else None,
        greater_is_better=False if dev else None,
        # What early stopping has counted.
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=on_gpu,
    )
    # The command chooses the device; further GPUs work as further processes of `accelerate launch`.
    arguments._n_gpu = min(1, arguments.n_gpu)
    order = LengthGroupedOrder([e.length for e in train], schedule.at_a_time * schedule.accumulated, spec.seed)
    callbacks: list[TrainerCallback] = [_Watching(schedule, order, watchers)]
    if dev and spec.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=spec.patience))
    trainer = _Trainer(
        model=trained,
        args=arguments,
        data_collator=Collator.of(model),
        train_dataset=ExampleList(train),
        eval_dataset=ExampleList(dev) if dev else None,
        compute_metrics=_Figures(model, quality) if dev else None,
        preprocess_logits_for_metrics=_answer_losses,
        callbacks=callbacks,
    )
    trainer.order = order
    # It prints every log entry.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _recomputing() -> dict[str, Any]:
    """Return the arguments by which activations are computed twice, as this version of transformers calls it."""
    names = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


@dataclass(frozen=True, kw_only=True)
class Watchers:
    """Who is shown the training: the progress, and what is shown elsewhere."""

    steps: Steps
    log: LogStep
    label: str
    quality: str


class _Trainer(Trainer):
    """The Trainer with an order of the examples that depends on seed and epoch alone."""

    order: LengthGroupedOrder

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        del train_dataset
        return self.order


def _answer_losses(logits: Any, labels_BL: Tensor) -> Tensor:
    """Return the loss of each example's answer in nats, and its tokens: [B, 2]."""
    # Encoder–decoder models give more than the logits.
    logits_BLV = logits[0] if isinstance(logits, tuple | list) else logits
    # The logits of a decoder that reads its own text are of the next token; T5's labels stand at their own place.
    if logits_BLV.shape[1] == labels_BL.shape[1] and bool((labels_BL[:, 0] == IGNORED).all()):
        logits_BLV, labels_BL = logits_BLV[:, :-1], labels_BL[:, 1:]
    is_answer_BL = labels_BL != IGNORED
    # Of the answers alone: logits of all positions in float32 can have gigabytes.
    losses = torch.nn.functional.cross_entropy(
        logits_BLV[is_answer_BL].float(), labels_BL[is_answer_BL], reduction="none"
    )
    loss_BL = torch.zeros(labels_BL.shape, dtype=losses.dtype, device=losses.device)
    loss_BL[is_answer_BL] = losses
    return torch.stack([loss_BL.sum(1), is_answer_BL.sum(1).to(losses.dtype)], dim=1)


class _Figures:
    """Computes what an evaluation on dev shows."""

    def __init__(self, model: LanguageModel, quality: GreedyQuality | None) -> None:
        self.model, self.quality = model, quality

    def __call__(self, predictions: Any) -> dict[str, float]:
        """Return the loss per token of the answers, and the quality of greedy decoding."""
        # Summed over all examples, so that the batches do not matter.
        loss, tokens = predictions.predictions.astype("float64").sum(axis=0)
        figures = {DEV_LOSS: float(loss / tokens)}
        if self.quality is not None:
            value = self.quality.value(self.model)
            if value is not None:
                figures["quality"] = float(value)
        return figures


class _Watching(TrainerCallback):
    """Sets the epoch of the order, evaluates at the end, seals checkpoints, and shows what happens."""

    def __init__(self, schedule: Schedule, order: LengthGroupedOrder, watchers: Watchers) -> None:
        self.schedule, self.order, self.watchers = schedule, order, watchers

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show what was logged before the training was interrupted."""
        for entry in state.log_history:
            self.watchers.log(int(entry["step"]), shown_values(entry))
        self.watchers.steps.begin(state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the epoch, by the number of steps: a resumed training begins in the middle of one."""
        self.order.epoch = state.global_step // self.schedule.steps_per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate and save after the last step, wherever it falls."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = args.eval_strategy != "no"
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal the checkpoint that was just written."""
        if args.should_save:
            seal_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Show the values of a step."""
        entry = dict(logs or {})
        values = shown_values(entry)
        if not values or not state.is_world_process_zero:
            return
        self.watchers.log(state.global_step, values)
        if "loss" in values:
            self.watchers.steps.at(state.global_step, values["loss"])
        if "dev loss" in values:
            quality = f", {self.watchers.quality} {values['quality']:.2f} (greedy)" if "quality" in values else ""
            logger.info(
                "%s: step %d of %d, dev loss %.4f%s",
                self.watchers.label,
                state.global_step,
                state.max_steps,
                values["dev loss"],
                quality,
            )


_SHOWN = {
    "loss": "loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    f"eval_{DEV_LOSS}": "dev loss",
    "eval_quality": "quality",
}


def shown_values(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return what is shown of a log entry of the Trainer, by the names that edt gives."""
    return {shown: float(entry[name]) for name, shown in _SHOWN.items() if name in entry}
