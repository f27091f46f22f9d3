"""Prompts as a model reads them, with where their outputs end and what of them is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edt.decoding.sampling import Sampling
from edt.errors import ConfigError, suggestion
from edt.generation.estimate import limit_note
from edt.generation.prepare import special_token_notes
from edt.generation.request import TaskRequest
from edt.generation.task_prompts import TaskPrompts
from edt.models.language_model import LanguageModel
from edt.models.spec import has_chat_template
from edt.records import Example
from edt.tasks.base import ExampleSet

__all__ = ["shown_prompts"]


def shown_prompts(
    model: LanguageModel, tasks: Sequence[TaskRequest], sampling: Sampling, *, n: int | None, example_id: str | None
) -> Iterator[str]:
    """Yield texts for a reader: for each split what holds for all its prompts, then prompt by prompt.

    model: may be without its weights. n: prompts of each split; None for all. example_id: this one alone instead.

    Raises ConfigError where no task has the example.
    """
    ids: list[str] = []
    for task in tasks:
        reading = TaskPrompts.of(model, task, sampling)
        for split in task.splits:
            subset = task.task.load(split)
            ids += [example.example_id for example in subset.examples]
            examples = _chosen(subset, n, example_id)
            # Of several tasks, one has the example that is looked for.
            if not examples:
                continue
            taken = limit_note(len(subset.examples), subset.available)
            yield f"{task.task.name}, {split}: {len(examples):,} shown, of {taken}"
            yield _rules(model, task, reading, sampling)
            for example in examples:
                yield from _prompt_texts(model, reading, example)
            yield from special_token_notes(task.task.name, {split: subset}, model)

    if example_id is not None and example_id not in ids:
        raise ConfigError(
            f"example is '{example_id}'{suggestion(example_id, ids)}; it is not among the {len(ids):,} that are drawn, "
            f"such as {', '.join(ids[:3])}. task.limit=null draws every example, and task.split another split's."
        )


def _chosen(subset: ExampleSet, n: int | None, example_id: str | None) -> Sequence[Example]:
    if example_id is None:
        return subset.examples[:n]
    return [example for example in subset.examples if example.example_id == example_id]


def _rules(model: LanguageModel, task: TaskRequest, reading: TaskPrompts, sampling: Sampling) -> str:
    """Return what holds for all prompts of a task, a line each."""
    form = "a user turn of the chat template" if model.in_chat else "plain text"
    # Most users want it for a model that was trained on conversations.
    unused = not model.in_chat and has_chat_template(model.tokenizer)
    limits, ends = reading.limits, model.tokenizer.convert_ids_to_tokens(sorted(model.eos_ids))
    # The key that has decided, so that the reader changes the right one.
    key = "task.max_new_tokens" if sampling.max_new_tokens is None else "sampling.max_new_tokens"
    of = "task.max_prompt_tokens" if task.task.max_prompt_tokens == reading.budget else f"the context less {key}"
    hint = " (the tokenizer has a chat template: model.chat_template=true)" if unused else ""
    rows = {
        "model": model.spec.path,
        "form": form + hint,
        "budget": f"{reading.budget:,} tokens of a prompt ({of})",
        "stops": ", ".join(map(repr, limits.stop)) or "none",
        "end tokens": ", ".join(map(repr, ends)) or "none",
        "new tokens": f"at most {limits.max_new_tokens:,} ({key})",
        "answer": reading.answer,
    }
    return "\n".join(f"  {name:<11} {value}" for name, value in rows.items())


def _prompt_texts(model: LanguageModel, reading: TaskPrompts, example: Example) -> Iterator[str]:
    """Yield one example: its prompt, the same without its source, and its references."""
    prompt = reading.prompt(example)
    has_source = prompt.token_ids != prompt.unconditional_ids
    cut = "nothing was cut"
    if prompt.truncated_tokens:
        # Where nothing of the source is left, the oldest turns of a dialogue went as well.
        what = "from the end of its source" if has_source else "its source and, if need be, its oldest turns"
        cut = f"{prompt.truncated_tokens:,} more were cut, {what}"
    yield f"=== {example.example_id}: {len(prompt.token_ids):,} tokens; {cut}"
    yield model.as_read(prompt.token_ids)

    if has_source:
        yield f"--- without its source, the second context of kld: {len(prompt.unconditional_ids):,} tokens"
        yield model.as_read(prompt.unconditional_ids)
    else:
        yield "--- it has no source to leave out: kld equals fixed temperature here"
    for reference in example.references:
        yield f"--- reference: {model.count_tokens(reference):,} tokens"
        yield reference
