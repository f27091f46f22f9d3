"""A task's examples as the model is trained on them: the prompt of decoding, and the answer, which alone is learned.

Shapes: B examples of a batch, L tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edt.errors import DataError
from edt.generation.task_prompts import TaskPrompts
from edt.models.language_model import LanguageModel
from edt.records import Example, Prompt
from edt.tasks.prompts import encode
from edt.training.answer_tokens import AnswerTokens

__all__ = ["IGNORED", "Collator", "ExampleList", "LengthGroupedOrder", "TrainingExample", "TrainingExamples"]

IGNORED = -100
"""The label of a token that is not in the loss, for transformers and torch."""


@dataclass(frozen=True, kw_only=True)
class TrainingExample:
    """An example in tokens. answer_ids: what the loss is on, with the end token. cut: tokens that the source lost."""

    example_id: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    cut: int

    @property
    def length(self) -> int:
        """Tokens of prompt and answer together."""
        return len(self.prompt_ids) + len(self.answer_ids)


@dataclass(frozen=True, kw_only=True)
class TrainingExamples:
    """Encodes the examples of a task for training, with the very prompts that decoding reads."""

    reading: TaskPrompts
    answers: AnswerTokens

    @classmethod
    def of(cls, model: LanguageModel, reading: TaskPrompts) -> TrainingExamples:
        """Return how the model is trained on the task that it reads so."""
        return cls(reading=reading, answers=AnswerTokens(model=model))

    def encode(self, example: Example) -> TrainingExample:
        """Return the example in tokens; its answer is the first reference, and its source is cut where it must be.

        Raises DataError where the answer is too long for the model's context, whatever is cut.
        """
        model = self.answers.model
        prompt = self.reading.prompt(example)
        answer = self.answers.ids(prompt.token_ids, example.references[0])
        # The prompt's budget leaves room for the new tokens of decoding; a longer answer takes it from the source.
        room = model.context - len(answer)
        # There prompt and answer are read apart, each within the context.
        if model.is_encoder_decoder:
            if room < 0:
                raise self._too_long(example, len(answer))
        elif len(prompt.token_ids) > room:
            prompt = self._shorter(example, room, len(answer))
        return TrainingExample(
            example_id=example.example_id,
            prompt_ids=prompt.token_ids,
            answer_ids=tuple(answer),
            cut=prompt.truncated_tokens,
        )

    def _shorter(self, example: Example, room: int, answer_tokens: int) -> Prompt:
        # Encoded again and not cut from its end: the question and the cue for the answer must stay.
        try:
            return encode(example, self.reading.tokenize, budget=room)
        except DataError as error:
            raise self._too_long(example, answer_tokens) from error

    def _too_long(self, example: Example, answer_tokens: int) -> DataError:
        return DataError(
            f"the answer of example '{example.example_id}' of task '{example.task}' has {answer_tokens:,} tokens, "
            f"which with the parts of its prompt that are never shortened exceeds the model's context of "
            f"{self.answers.model.context:,}, and an answer is not cut. Remove the row, lower task.shots where it is "
            "set, or use a model with a longer context."
        )


@dataclass(frozen=True, kw_only=True)
class Collator:
    """Makes a batch of examples: padded on the right, with labels for the tokens of the answers alone.

    pad_id: fills masked positions. two_parts: an encoder reads the prompt, and the answer is the decoder's.
    keeps_logits: the model computes the logits of the last positions alone where it is asked to. multiple: lengths are
    padded to a multiple of it.
    """

    pad_id: int
    two_parts: bool
    keeps_logits: bool
    multiple: int = 1

    @classmethod
    def of(cls, model: LanguageModel) -> Collator:
        """Return the collator of a model."""
        # Matrix units of GPUs work on tiles of 8.
        multiple = 8 if model.device.type == "cuda" else 1
        keeps_logits = not model.is_encoder_decoder and "logits_to_keep" in model.forward_arguments
        return cls(
            pad_id=model.pad_id, two_parts=model.is_encoder_decoder, keeps_logits=keeps_logits, multiple=multiple
        )

    def __call__(self, batch: Sequence[TrainingExample]) -> dict[str, Any]:
        """Return input_ids and attention_mask, [B, L], and labels, [B, L]; with `keeps_logits` these are [B, K].

        K, `logits_to_keep`, is the number of positions from the one before the first answer of the batch on.
        """
        if self.two_parts:
            inputs = [list(e.prompt_ids) for e in batch]
            labels = [list(e.answer_ids) for e in batch]
        else:
            inputs = [[*e.prompt_ids, *e.answer_ids] for e in batch]
            # The model shifts labels by one itself, so they are as long as the inputs.
            labels = [[IGNORED] * len(e.prompt_ids) + list(e.answer_ids) for e in batch]
        labels_BL = self._padded(labels, IGNORED)
        batch_of_model: dict[str, Any] = {
            "input_ids": self._padded(inputs, self.pad_id),
            "attention_mask": self._padded([[1] * len(row) for row in inputs], 0),
            "labels": labels_BL,
        }
        if self.keeps_logits:
            # Logits of prompts are most of the memory, and in no loss.
            kept = self.logit_positions(batch)
            batch_of_model |= {"labels": labels_BL[:, -kept:], "logits_to_keep": kept}
        return batch_of_model

    def logit_positions(self, batch: Sequence[TrainingExample]) -> int:
        """Return the positions of each row of a batch whose logits are computed: the number of its labels, K or L."""
        if self.two_parts:
            return self._width(len(e.answer_ids) for e in batch)
        # From the last token of the shortest prompt on, whose logits are of its answer's first token.
        first = max(0, min(len(e.prompt_ids) for e in batch) - 1) if self.keeps_logits else 0
        return self._width(e.length for e in batch) - first

    def _width(self, lengths: Iterable[int]) -> int:
        width = max(lengths)
        # Up to the multiple, where it is not one already.
        return width + -width % self.multiple

    def _padded(self, rows: Sequence[Sequence[int]], fill: int) -> Tensor:
        width = self._width(map(len, rows))
        return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


class ExampleList(torch.utils.data.Dataset[TrainingExample]):
    """The examples as a data set of torch."""

    def __init__(self, examples: Sequence[TrainingExample]) -> None:
        self.examples = list(examples)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> TrainingExample:
        return self.examples[index]


class LengthGroupedOrder(torch.utils.data.Sampler[int]):
    """The order of an epoch: a pure function of seed and epoch, with examples of like length in one batch.

    The sampler of transformers draws from torch's global generator, whose state at the beginning of an epoch no
    checkpoint holds: a training that is resumed in the middle of one would skip other examples than it had read.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = list(lengths), batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Any:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        # Far apart, so that the epochs of two neighboring seeds share no order.
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=generator))  # type: ignore[no-untyped-call]
