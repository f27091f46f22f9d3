"""Trace one prompt: decode it under a few strategies and show each token with its temperature (`edt trace`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edt.decoding.engine_specs import with_model_here
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError, suggestion
from edt.extras import check_extra
from edt.generation.request import TaskRequest
from edt.generation.task_prompts import TaskPrompts
from edt.models.language_model import LanguageModel
from edt.ranges import check_whole
from edt.records import Example, Prompt, Trace
from edt.redact import without_secrets
from edt.report.table import TEXT_WIDTH, result_console
from edt.store.atomic import write_text
from edt.store.layout import file_name, short_name
from edt.strategies.base import Strategy
from edt.tasks.prompts import text_prompt
from edt.tracing.decode_in_memory import DecodeConfig, decode_traced
from edt.tracing.teacher_forcing import traced_output
from edt.tracing.token_text import TokenTexts
from edt.tracing.trace_files import write_trace
from edt.tracing.trace_page import trace_page
from edt.tracing.trace_terminal import print_trace

if TYPE_CHECKING:
    from edt.decoding.model_engine import ModelEngine

SETTING = "paths.traces"
"""The setting that errors about the folder of the results name."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TraceRequest:
    """A prompt to trace, the strategies, and `top`, the number of likeliest tokens to keep of each step.

    The prompt is a text (`prompt`), or the example of the tasks with the id `example`; by default their first one.
    """

    decoding: DecodeConfig
    strategies: tuple[Strategy, ...]
    tasks: tuple[TaskRequest, ...] = ()
    prompt: str | None = None
    unconditional_prompt: str | None = None
    example: str | None = None
    top: int = 8

    def __post_init__(self) -> None:
        check_whole("top", self.top, "the number of likeliest tokens of each step", most=1000)

        for name in ("prompt", "unconditional_prompt", "example"):
            if (value := getattr(self, name)) is not None and not isinstance(value, str):
                raise ConfigError(f"{name} is {value!r}; it must be text.")

        if self.prompt is not None and self.example is not None:
            raise ConfigError("prompt and example are both set, but a trace has one prompt; remove one of them.")
        if self.prompt is None and self.unconditional_prompt is not None:
            raise ConfigError(
                "unconditional_prompt is set without prompt; it must be the text of prompt without its source."
            )


@dataclass(frozen=True, kw_only=True)
class PromptToTrace:
    """A prompt with a description of its origin, its references, and where its outputs end."""

    prompt: Prompt
    origin: str
    references: tuple[str, ...]
    limits: Limits


def show_trace(request: TraceRequest, *, details: bool) -> None:
    """Trace the prompt, print the trace, and write it as a page and as parquet.

    details: print a table of the tokens below each output.
    """
    # Before the model is loaded: what is missing is reported at once.
    check_extra("report", "the page of a trace")
    engine = with_model_here(request.decoding.engine, "edt trace").open(request.decoding.model)
    chosen = _load_prompt(request, engine.model)
    # compare_three, the default, includes KLD, which a text without a source cannot use.
    strategies = _usable_strategies(request.strategies, chosen.prompt)
    trace = trace_prompt(engine, chosen, strategies, request.decoding.sampling, top=request.top)

    name = f"{short_name(request.decoding.model.path)}-{file_name(chosen.prompt.task)}"
    folder = request.decoding.output_folder(name, engine, [chosen.prompt], strategies, chosen.limits)
    # The files are written before anything is printed: a closed terminal must not lose them.
    write_trace(folder / "trace.parquet", trace)
    write_text(folder / "trace.html", trace_page(trace), setting=SETTING)

    console = result_console(TEXT_WIDTH)
    print_trace(trace, console, details=details)
    for label, file in (("page", "trace.html"), ("table", "trace.parquet")):
        console.print(f"{label}: {folder / file}", highlight=False, markup=False, soft_wrap=True)


def trace_prompt(
    engine: ModelEngine, chosen: PromptToTrace, strategies: Sequence[Strategy], sampling: Sampling, *, top: int
) -> Trace:
    """Decode the prompt and return its outputs token by token. top: likeliest tokens to keep of each step."""
    prompt, model = chosen.prompt, engine.model
    by_id = {strategy.strategy_id: strategy for strategy in strategies}
    token_texts = TokenTexts(model.tokenizer)
    generations = decode_traced(engine, [prompt], strategies, sampling, chosen.limits)

    return Trace(
        model=without_secrets(model.spec.path),
        origin=without_secrets(chosen.origin),
        # The prompt as the model read it: after truncation, with special tokens.
        prompt=model.decode([prompt.token_ids])[0],
        references=chosen.references,
        seed=sampling.seed,
        outputs=tuple(
            traced_output(model, prompt, by_id[g.strategy_id], g, top=top, token_texts=token_texts) for g in generations
        ),
    )


def _load_prompt(request: TraceRequest, model: LanguageModel) -> PromptToTrace:
    """Return the text, or the example of a task, that the request names."""
    if request.prompt is not None:
        note = model.prompts.note([request.prompt], as_text=False, in_chat=model.in_chat)
        if note is not None:
            _logger.warning("%s", note)
        prompt = text_prompt(request.prompt, model.tokenize, unconditional=request.unconditional_prompt)
        return PromptToTrace(prompt=prompt, origin="a prompt", references=(), limits=request.decoding.limits())

    task, example = _find_example(request.tasks, request.example)
    # The same encoding and limits as in a run, so the tokens are those of a run.
    reading = TaskPrompts.of(model, task, request.decoding.sampling)
    origin = f"{example.task}, {example.split}, example {example.example_id}"
    return PromptToTrace(
        prompt=reading.prompt(example), origin=origin, references=example.references, limits=reading.limits
    )


def _find_example(tasks: Sequence[TaskRequest], example_id: str | None) -> tuple[TaskRequest, Example]:
    """Return the example with this id, or the first example of all.

    Raises ConfigError if there is none, with the most similar id.
    """
    ids: list[str] = []
    for task in tasks:
        for split in task.splits:
            for example in task.task.load(split).examples:
                # The first match ends the search: later splits are not loaded.
                if example_id is None or example.example_id == example_id:
                    return task, example
                ids.append(example.example_id)

    names = " and ".join(f"'{task.task.name}', {'/'.join(task.splits)}" for task in tasks)
    raise ConfigError(
        f"example is '{example_id}'{suggestion(str(example_id), ids)}; task {names} has {len(ids)} examples, such as "
        f"{', '.join(ids[:3])}."
    )


def _usable_strategies(strategies: Sequence[Strategy], prompt: Prompt) -> Sequence[Strategy]:
    """Return the strategies that the prompt allows, and log which ones are left out.

    KL-guided strategies compare the prompt with and without its source, so they need a prompt that has one.
    Raises ConfigError if no strategy remains.
    """
    guided = [strategy.strategy_id for strategy in strategies if "kl" in strategy.needs]
    # Without a source, both contexts are equal, the divergence is 0, and KLD is a fixed temperature.
    if not guided or prompt.token_ids != prompt.unconditional_ids:
        return strategies

    reason = (
        f"{', '.join(guided)}: the prompt has no source to leave out; set the text without it as "
        "unconditional_prompt='…'"
    )
    usable = [strategy for strategy in strategies if "kl" not in strategy.needs]
    if not usable:
        raise ConfigError(f"{reason}, or use another strategy.")
    _logger.warning("Left out %s.", reason)
    return usable
