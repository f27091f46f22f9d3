"""How a model reads a task: what makes prompts of its examples, where outputs end, and what of them is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.generation.request import TaskRequest
from edt.models.prompt_tokens import data_reader
from edt.models.text_model import TextModel
from edt.records import Example, Prompt
from edt.tasks.prompts import encode


@dataclass(frozen=True, kw_only=True)
class TaskPrompts:
    """Encodes a task's examples for one model.

    answer: the rule of what of an output is scored. budget: tokens that a prompt may have.
    """

    limits: Limits
    answer: str
    budget: int
    tokenize: Callable[[str], list[int]]

    @classmethod
    def of(cls, model: TextModel, task: TaskRequest, sampling: Sampling) -> TaskPrompts:
        """Return how the model reads the task. Raises ConfigError where new tokens leave no room for a prompt."""
        limits = task.limits(sampling, chat_template=model.in_chat)
        return cls(
            limits=limits,
            answer=task.task.answer_rule(chat_template=model.in_chat),
            budget=_budget(model, task, limits, sampling),
            # Of special tokens, those in the task's own wording are meant; in its data they are text.
            tokenize=data_reader(
                model.prompts, "".join([task.task.instruction or "", *asdict(task.task.template).values()])
            ),
        )

    def prompt(self, example: Example) -> Prompt:
        """Return the example as the model reads it. Raises DataError where it cannot be made short enough."""
        return encode(example, self.tokenize, budget=self.budget)


def _budget(model: TextModel, task: TaskRequest, limits: Limits, sampling: Sampling) -> int:
    # Room for every new token is kept: a row that outgrew the context would end for another reason.
    room = model.context - limits.max_new_tokens
    if room < 1:
        key = "task.max_new_tokens" if sampling.max_new_tokens is None else "sampling.max_new_tokens"
        raise ConfigError(
            f"{key} is {limits.max_new_tokens}, which leaves no room for a prompt in the model's "
            f"context of {model.context} tokens; lower it, or use a model with a longer context."
        )
    return room if task.task.max_prompt_tokens is None else min(room, task.task.max_prompt_tokens)
