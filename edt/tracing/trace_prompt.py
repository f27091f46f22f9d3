"""`edt trace`: one prompt under a few strategies, token by token, on the terminal, as a page and as parquet."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from edt.decoding.engine import Engine
from edt.decoding.sampling import Limits
from edt.errors import ConfigError, suggestion
from edt.extras import check_extra
from edt.generation.prepare import prompt_budget
from edt.generation.request import TaskRequest
from edt.models.language_model import LanguageModel
from edt.records import Example, Prompt, Trace
from edt.report.table import TEXT_WIDTH, result_console
from edt.store.atomic import write_text
from edt.store.layout import short_name
from edt.strategies.base import Strategy
from edt.tasks.prompts import encode, text_prompt
from edt.tracing.decode_in_memory import DecodeConfig, decode_traced
from edt.tracing.teacher_forcing import traced_output
from edt.tracing.token_text import TokenTexts
from edt.tracing.trace_files import write_trace
from edt.tracing.trace_page import trace_page
from edt.tracing.trace_terminal import print_trace

SETTING = "paths.traces"


@dataclass(frozen=True, kw_only=True)
class TraceRequest:
    """Which prompt (a text, or an example of the tasks) under which strategies. top: likeliest tokens to keep."""

    decoding: DecodeConfig
    strategies: tuple[Strategy, ...]
    tasks: tuple[TaskRequest, ...] = ()
    prompt: str | None = None
    unconditional_prompt: str | None = None
    example: str | None = None
    top: int = 8

    def __post_init__(self) -> None:
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise ConfigError(f"top is {self.top!r}; it is a number of tokens, 1 or more.")
        for name in ("prompt", "unconditional_prompt", "example"):
            if (value := getattr(self, name)) is not None and not isinstance(value, str):
                raise ConfigError(f"{name} is {value!r}; it must be text.")
        if self.prompt is not None and self.example is not None:
            raise ConfigError("prompt and example are both given; a trace has one prompt: leave one of them out.")
        if self.prompt is None and self.unconditional_prompt is not None:
            raise ConfigError(
                "unconditional_prompt is given without prompt; it is the prompt's text without its source."
            )


@dataclass(frozen=True, kw_only=True)
class Question:
    """The prompt to trace, with where it comes from and where its outputs end."""

    prompt: Prompt
    origin: str
    references: tuple[str, ...]
    limits: Limits


def show_trace(request: TraceRequest, *, details: bool) -> None:
    """Trace, print it, and write the page and the table; says where they are."""
    check_extra("report", "edt trace")
    engine = request.decoding.engine.build(LanguageModel.load(request.decoding.model))
    question = asked_question(request, engine.model)
    strategies = without_sourceless(request.strategies, question.prompt)
    trace = traced(request, engine, question, strategies)
    about = f"{short_name(request.decoding.model.path)}-{question.prompt.task}"
    folder = request.decoding.output_folder(about, [question.prompt], strategies, question.limits)
    write_trace(folder / "trace.parquet", trace)
    write_text(folder / "trace.html", trace_page(trace), setting=SETTING)
    console = result_console(TEXT_WIDTH)
    print_trace(trace, console, details=details)
    for name, file in (("page", "trace.html"), ("table", "trace.parquet")):
        console.print(f"{name}: {folder / file}", highlight=False, markup=False, soft_wrap=True)


def traced(request: TraceRequest, engine: Engine, question: Question, strategies: Sequence[Strategy]) -> Trace:
    """The outputs of a prompt, token by token."""
    prompt, sampling, model = question.prompt, request.decoding.sampling, engine.model
    by_id = {strategy.strategy_id: strategy for strategy in strategies}
    pieces = TokenTexts(model.tokenizer)
    outputs = [
        traced_output(model, prompt, by_id[generation.strategy_id], generation, top=request.top, pieces=pieces)
        for generation in decode_traced(engine, [prompt], strategies, sampling, question.limits)
    ]
    return Trace(
        model=request.decoding.model.path,
        origin=question.origin,
        prompt=model.decode([prompt.token_ids])[0],
        references=question.references,
        seed=sampling.seed,
        outputs=tuple(outputs),
    )


def asked_question(request: TraceRequest, model: LanguageModel) -> Question:
    """The text, or the example of a task, that the request names."""
    if request.prompt is not None:
        prompt = text_prompt(request.prompt, model.tokenize, unconditional=request.unconditional_prompt)
        return Question(prompt=prompt, origin="a prompt", references=(), limits=request.decoding.limits())
    task, example = chosen_example(request.tasks, request.example)
    limits = task.limits(request.decoding.sampling)
    prompt = encode(example, model.tokenize, budget=prompt_budget(model, task, limits))
    origin = f"{example.task}, {example.split}, example {example.example_id}"
    return Question(prompt=prompt, origin=origin, references=example.references, limits=limits)


def chosen_example(tasks: Sequence[TaskRequest], example_id: str | None) -> tuple[TaskRequest, Example]:
    """The example of that id, or the first of all. Raises ConfigError, with the near miss, where there is none."""
    ids: list[str] = []
    for task in tasks:
        for split in task.splits:
            for example in task.task.load(split).examples:
                if example_id is None or example.example_id == example_id:
                    return task, example
                ids.append(example.example_id)
    names = " and ".join(f"'{task.task.name}', {'/'.join(task.splits)}" for task in tasks)
    raise ConfigError(
        f"example is '{example_id}'{suggestion(str(example_id), ids)}; task {names} has {len(ids)} examples, such as "
        f"{', '.join(ids[:3])}."
    )


def without_sourceless(strategies: Sequence[Strategy], prompt: Prompt) -> Sequence[Strategy]:
    """The strategies but those that compare with and without the source, where the prompt has none; says so.

    Raises ConfigError where no other is asked for.
    """
    guided = [strategy.strategy_id for strategy in strategies if "kl" in strategy.needs]
    if not guided or prompt.token_ids != prompt.unconditional_ids:
        return strategies
    told = (
        f"{', '.join(guided)}: the prompt has no source to leave out; give the text without it as "
        "unconditional_prompt='…'"
    )
    kept = [strategy for strategy in strategies if "kl" not in strategy.needs]
    if not kept:
        raise ConfigError(f"{told}, or ask for another strategy.")
    print(f"left out {told}.", file=sys.stderr)
    return kept
