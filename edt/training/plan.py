"""What is said before a training starts: counts, an estimate of memory and time, and one example with its loss mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from accelerate.utils import send_to_device

from edt.generation.data_notes import count
from edt.generation.progress import duration
from edt.models.language_model import LanguageModel
from edt.terminal_text import shortened
from edt.training.examples import Collator, TrainingExample
from edt.training.spec import TrainingSpec
from edt.training.trainer import Schedule

__all__ = ["Memory", "estimated_memory", "estimated_seconds", "masked_example", "plan_lines"]

_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a training takes on its device: an estimate.

    weights: of the model and the adapter. optimizer: gradients and the two moments of AdamW. activations: of the
    longest batch, with the logits that are computed.
    """

    weights: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.activations


def estimated_memory(
    *,
    weight_bytes: int,
    trainable: int,
    layers: int,
    hidden: int,
    vocabulary: int,
    tokens: int,
    logit_tokens: int,
    element: int,
    checkpointing: bool,
) -> Memory:
    """Return an estimate of the memory from sizes.

    tokens: of a device's longest batch. logit_tokens: those of them whose logits are computed. element: bytes of an
    activation.

    Activations take 34 bytes per token, layer and unit of width where an element has 2 (Korthikanti et al., 2022,
    arXiv 2205.05198, eq. 2, without the attention matrix, which fused kernels never hold); with checkpoints 2, and one
    layer in full. The logits take an element and two floats. AdamW holds two floats for each trainable weight, and its
    gradient is a third.
    """
    # 34 bytes at 2 bytes an element are 17 elements; see the docstring.
    per_layer = 17 * element * tokens * hidden
    stored = element * tokens * hidden * layers + per_layer if checkpointing else per_layer * layers
    return Memory(
        weights=weight_bytes,
        optimizer=12 * trainable,
        activations=stored + logit_tokens * vocabulary * (element + 8),
    )


def memory_of(
    model: LanguageModel, trained: Any, spec: TrainingSpec, schedule: Schedule, train: Sequence[TrainingExample]
) -> Memory:
    """Return the estimate for a loaded model."""
    # Of a model with several parts the language model, which is what is trained.
    config = model.model.config.get_text_config()
    on_gpu = model.device.type == "cuda"
    return estimated_memory(
        weight_bytes=sum(p.numel() * p.element_size() for p in trained.parameters()),
        trainable=_trainable_parameters(trained),
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        vocabulary=model.vocabulary,
        tokens=schedule.at_a_time * max(e.length for e in train),
        logit_tokens=_logit_tokens(model, schedule, train),
        element=2 if on_gpu else int(model.model.dtype.itemsize),
        checkpointing=spec.recomputes(on_gpu=on_gpu),
    )


def _logit_tokens(model: LanguageModel, schedule: Schedule, train: Sequence[TrainingExample]) -> int:
    """Return the tokens of a device's batch whose logits are computed, at most."""
    collator, by_length = Collator.of(model), sorted(train, key=lambda example: example.length)
    # Batches hold examples of like length.
    batches = [by_length[at : at + schedule.at_a_time] for at in range(0, len(by_length), schedule.at_a_time)]
    return max(len(batch) * collator.logit_positions(batch) for batch in batches)


def _trainable_parameters(trained: Any) -> int:
    """Return how many numbers are trained."""
    return sum(p.numel() for p in trained.parameters() if p.requires_grad)


def estimated_seconds(
    model: LanguageModel, spec: TrainingSpec, schedule: Schedule, train: Sequence[TrainingExample], evaluated: int
) -> float:
    """Return an estimate of the time, from one forward pass over a batch of median length.

    A backward pass costs as much as a forward one for the activations, and as much again for the gradients of weights,
    which an adapter hardly has. Checkpoints cost one more forward pass. evaluated: dev tokens of all evaluations.
    """
    # Of median length: batches hold examples of like length, and the time grows about linearly with it.
    by_length = sorted(train, key=lambda example: example.length)
    middle = len(by_length) // 2
    batch = by_length[max(0, middle - schedule.at_a_time // 2) :][: schedule.at_a_time]
    inputs = send_to_device(Collator.of(model)(batch), model.device)
    with torch.no_grad():
        # The first pass also warms up.
        model.model(**inputs, use_cache=False)
        began = perf_counter()
        loss = model.model(**inputs, use_cache=False).loss
        # Waits for the device.
        float(loss)
        seconds = perf_counter() - began
    per_token = seconds / sum(example.length for example in batch)
    # Forward, backward for the activations, and what the docstring adds.
    passes = 2 + spec.full + spec.recomputes(on_gpu=model.device.type == "cuda")
    tokens = sum(example.length for example in train) * schedule.steps / schedule.steps_per_epoch
    return per_token * (passes * tokens / schedule.devices + evaluated)


def masked_example(model: LanguageModel, example: TrainingExample) -> str:
    """Return one example as the model is trained on it; what is in the loss stands between marks."""
    prompt, answer = model.as_read(example.prompt_ids), model.as_read(example.answer_ids)
    return (
        f"example {example.example_id}: {len(example.prompt_ids):,} tokens of prompt, not in the loss, and "
        f"{len(example.answer_ids):,} of answer ⟦in the loss⟧: {shortened(prompt, _SHOWN_CHARACTERS)}⟦{answer}⟧"
    )


def plan_lines(
    *,
    label: str,
    examples: Mapping[str, Sequence[TrainingExample]],
    trained: Any,
    spec: TrainingSpec,
    schedule: Schedule,
    memory: Memory,
    seconds: float,
    longer: int,
    new_tokens: int,
) -> list[str]:
    """Return the plan, a line each. longer: answers of train that decoding would cut at `new_tokens`."""
    train, dev = examples["train"], examples.get("dev", ())
    total = sum(p.numel() for p in trained.parameters())
    trainable = _trainable_parameters(trained)
    of_all = "all weights" if spec.full else f"a LoRA adapter of rank {spec.rank}"
    tokens, learned = sum(e.length for e in train), sum(len(e.answer_ids) for e in train)
    lines = [
        f"{label}: {count(len(train), 'example')} of train ({tokens:,} tokens, {learned:,} of them in the loss) and "
        f"{len(dev):,} of dev; {count(schedule.steps, 'step')} of {spec.batch} examples "
        f"({schedule.at_a_time} at a time), evaluated every {schedule.every:,}",
        f"{label}: {of_all}, {trainable:,} trainable of {total:,} parameters ({100 * trainable / total:.2f} %); "
        f"estimated: {memory.total / 1e9:.2f} GB of memory (weights {memory.weights / 1e9:.2f}, gradients and "
        f"optimizer {memory.optimizer / 1e9:.2f}, activations {memory.activations / 1e9:.2f}), {duration(seconds)}",
    ]
    # Notes only where they apply: a plan that always has ten lines is not read.
    shortened_prompts = [e.cut for e in train if e.cut]
    if shortened_prompts:
        lines.append(
            f"{label}: the sources of {count(len(shortened_prompts), 'example')} were shortened to fit "
            f"task.max_prompt_tokens or the context, by {sum(shortened_prompts):,} tokens in all; no answer is"
        )
    if longer:
        lines.append(
            f"{label}: answers with more than the {new_tokens:,} tokens that an output may have (task.max_new_tokens): "
            f"{longer:,}; they are trained on whole"
        )
    if not dev:
        lines.append(
            f"{label}: without dev there is no early stopping, and the last weights are kept (task.split=[train,dev])"
        )
    return lines
