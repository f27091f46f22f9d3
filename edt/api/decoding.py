"""Load a model, decode prompts into a frame of samples, and trace single prompts.

The command line decodes with the same functions, so the same prompt, id, seed and strategy give the same tokens.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from edt.api.frames import samples_frame
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.model_engine import ModelEngine
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError, DataError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.prompt_tokens import data_reader
from edt.models.spec import ModelSpec
from edt.records import Example, Generation, Prompt, Trace
from edt.store.parts import TRACES, as_row
from edt.strategies.base import Strategy
from edt.strategies.grid import check_repeats
from edt.tasks.answers import answer as find_answer
from edt.tasks.answers import check_rule, default_rule
from edt.tasks.prompts import encode, prompt_text, text_prompt
from edt.tracing.decode_in_memory import decode_traced
from edt.tracing.trace_prompt import PromptToTrace, trace_prompt

logger = logging.getLogger(__name__)

Messages = Sequence[Mapping[str, str]]
"""A conversation in the form of chat templates: {"role": "user", "content": "…"}, …"""
PromptLike = str | Messages | Example

_KEY = re.compile(rf"\bmodel\.({'|'.join(field.name for field in fields(ModelSpec))})\b(=(?:true|false)\b)?")
"""A key of the command line in a message, with the value after it where that is spelled differently in Python."""
_OF_EXAMPLES = ("task", "split", "truncated_tokens", "cluster_id", "references")
"""Columns of `decode` that say nothing where all prompts are plain texts."""


@dataclass(frozen=True, repr=False)
class Model:
    """A loaded model, ready to decode; see `load_model`."""

    engine: ModelEngine

    @property
    def hf_model(self) -> Any:
        """The model as transformers has it."""
        return self.engine.model.model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.engine.model.tokenizer

    @cached_property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.hf_model.parameters())

    def __repr__(self) -> str:
        model = self.engine.model
        dtype = str(model.model.dtype).removeprefix("torch.")
        return f"<edt.Model '{model.spec.path}': {self.n_parameters / 1e6:.3g}M parameters, {dtype} on {model.device}>"


def load_model(
    path: str | Path = "edt:mini",
    *,
    dtype: str = "auto",
    device: str = "auto",
    revision: str | None = None,
    gguf_file: str | None = None,
    adapter: str | None = None,
    chat_template: bool | Literal["auto"] = False,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    template_date: str = ModelSpec.template_date,
    trust_remote_code: bool = False,
    attention: str | None = None,
) -> Model:
    """Load a model and its tokenizer.

    path: a hub id, a folder with safetensors weights, `edt:mini`, the small model that the package brings along, or
        `edt:NAME` for a model that `edt fetch NAME` brought.
    dtype: "auto" (float32 on a CPU, the checkpoint's own elsewhere), "float64", "float32", "bfloat16" or "float16".
    device: "auto" (a GPU if there is one) or a device of torch. revision: of a hub id.
    gguf_file: name of a GGUF file in the folder or of the hub id, converted once to safetensors in the cache folder.
    adapter: folder or hub id of a PEFT adapter, merged into the weights.
    chat_template: send each text prompt as a user turn; "auto": where the tokenizer has a template. Prompts given as
        message lists always use it.
    chat_template_kwargs: what the template is given besides the messages, as {"enable_thinking": False}.
    template_date: the day, YYYY-MM-DD, that a template is given which writes today's date.
    attention: attention implementation; None is transformers' choice.
    Raises ModelError, with the reason and the remedy, when the model cannot be loaded.
    """
    with _in_python():
        spec = ModelSpec(
            path=str(path),
            revision=revision,
            gguf_file=gguf_file,
            dtype=dtype,
            device=device,
            adapter=adapter,
            trust_remote_code=trust_remote_code,
            chat_template=chat_template,
            chat_template_kwargs=chat_template_kwargs,
            template_date=template_date,
            attention=attention,
        )
        # The batched engine alone: `reference` exists to test it, and `hf_generate` draws other tokens.
        return Model(BatchedSpec().build(LanguageModel.load(spec)))


@contextmanager
def _in_python() -> Iterator[None]:
    """Let errors name the arguments of `load_model` where the command line has keys: `adapter`, not `model.adapter`."""
    try:
        yield
    except (ConfigError, ModelError) as error:
        message = _KEY.sub(lambda found: found[1] + (found[2] or "").title(), str(error))
        raise type(error)(message) from error


def decode(
    model: Model,
    prompts: PromptLike | Sequence[PromptLike],
    strategies: Strategy | Sequence[Strategy],
    *,
    samples: int = 1,
    max_new_tokens: int = 64,
    seed: int = 0,
    stop: Sequence[str] = (),
    answer: str | None = None,
    noise: str = "shared",
    prompt_ids: Sequence[str] | None = None,
    unconditional_prompts: Sequence[str | Messages | None] | None = None,
    trace: bool = False,
) -> pd.DataFrame:
    """Decode every prompt under every strategy; return one row per (prompt, strategy, sample).

    prompts: texts, chat message lists, or examples of a task or a run; one, or a list of them.
    strategies: one, or a list; a list of values becomes strategies with `edt.grid`.
    samples: outputs per prompt and strategy.
    stop: texts that end an output once it has text; a special token's name ends it at that token.
    answer: what of a text `edt.score` reads: "all", "first_line", "first_paragraph" or "after_colon", which leaves out
        an introduction ("Here is a summary:"). None: "after_colon" where a prompt goes through the chat template, else
        "all".
    noise: "shared" gives all strategies the same noise, so they can be compared in pairs; "per_strategy" does not.
    prompt_ids: a name per prompt; with the seed and the sample's number it determines the noise. By default a digest of
        the text, as in `edt trace`; an example has its own.
    unconditional_prompts: for each prompt the same one without its source, or None; needed by `KLD` alone, and known
        for examples.
    trace: add the columns trace_entropy and trace_temperature, lists with a value per token.

    Columns: prompt_id, prompt, strategy, family, the strategies' parameters, sample, text, token_ids, finish_reason,
    t_mean, t_min, t_max (temperature over the steps), h_mean (entropy in nats), floored_steps, prompt_tokens; for
    examples also their task, split, cluster_id and references; and `answer` where a rule other than "all" holds.
    """
    # All that needs no model is checked first: a mistake in the last argument must not wait for the tokenizer.
    settings = _checked_strategies(strategies)
    limits = Limits(max_new_tokens=_count("max_new_tokens", max_new_tokens), stop=_stop_texts(stop))
    # The seed is whole, not a count: 0 is a seed like any other.
    sampling = Sampling(samples=_count("samples", samples), seed=_whole("seed", seed), noise=noise, trace=trace)

    if answer is not None:
        check_rule(answer, "answer")
    items = _prompt_list(prompts)
    ids = _per_prompt("prompt_ids", prompt_ids, len(items))
    unconditional = _per_prompt("unconditional_prompts", unconditional_prompts, len(items))
    encoded = [
        _encoded(model.engine.model, item, limits, prompt_id, plain)
        for item, prompt_id, plain in zip(items, ids, unconditional, strict=True)
    ]
    _warn_special_tokens(model.engine.model, items)
    _check_distinct(encoded)
    _check_sources(settings, encoded)

    generations = decode_traced(model.engine, [prompt for prompt, _ in encoded], settings, sampling, limits)
    rules = {
        prompt.example_id: _answer_rule(model.engine.model, item, answer)
        for item, (prompt, _) in zip(items, encoded, strict=True)
    }
    return _decoded_frame(generations, items, encoded, rules, trace=trace)


def _answer_rule(model: LanguageModel, item: PromptLike, rule: str | None) -> str:
    """Return the rule of a prompt's answers: as given, or by its form as in a task."""
    if rule is not None:
        return rule
    return default_rule(chat_template=model.in_chat or not isinstance(item, str | Example))


@dataclass(frozen=True)
class TraceView:
    """A trace that shows itself: colored tokens in a notebook, marked or colored text in a terminal.

    trace: the record, with all that was known at each token.
    """

    trace: Trace

    def _repr_html_(self) -> str:
        # Imported when shown, as below: decoding alone needs no templates.
        from edt.tracing.trace_page import trace_fragment

        return trace_fragment(self.trace)

    def __repr__(self) -> str:
        from edt.console import SafeConsole
        from edt.report.table import TEXT_WIDTH
        from edt.tracing.trace_terminal import print_trace

        # A terminal gets colors; a pipe, a file and a notebook's fallback get marks.
        terminal = sys.stdout.isatty()
        console = SafeConsole(file=io.StringIO(), force_terminal=terminal, width=None if terminal else TEXT_WIDTH)
        with console.capture() as capture:
            print_trace(self.trace, console, details=False)
        return "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per token: strategy, sample, step, token, entropy, temperature, rank and probabilities."""
        columns = ("step", "token_id", "token", "entropy", "temperature", "rank", "probability", "sampling_prob")
        rows = [
            [output.strategy_id, output.sample, *(getattr(token, name) for name in columns)]
            for output in self.trace.outputs
            for token in output.tokens
        ]
        return pd.DataFrame(rows, columns=["strategy", "sample", *columns])

    def save(self, path: str | Path) -> None:
        """Write the trace as a web page: one file that loads nothing."""
        from edt.store.atomic import write_text
        from edt.tracing.trace_page import trace_page

        write_text(Path(path), trace_page(self.trace), setting="path")


def trace(
    model: Model,
    prompt: PromptLike,
    strategies: Strategy | Sequence[Strategy],
    *,
    samples: int = 1,
    max_new_tokens: int = 64,
    seed: int = 0,
    stop: Sequence[str] = (),
    noise: str = "shared",
    prompt_id: str | None = None,
    unconditional_prompt: str | Messages | None = None,
    top: int = 8,
) -> TraceView:
    """Decode one prompt and return its outputs token by token, with entropy, temperature and what was likely.

    The outputs are those of `decode` with the same arguments. top: likeliest tokens to keep at each step.
    In a notebook the result is shown as colored text; `print` shows it in a terminal.
    """
    settings = _checked_strategies(strategies)
    limits = Limits(max_new_tokens=_count("max_new_tokens", max_new_tokens), stop=_stop_texts(stop))
    sampling = Sampling(samples=_count("samples", samples), seed=_whole("seed", seed), noise=noise)

    items = _prompt_list(prompt)
    if len(items) != 1:
        raise ConfigError(f"prompt holds {len(items)} prompts; a trace shows one. Call edt.trace for each.")
    encoded, _ = _encoded(model.engine.model, items[0], limits, prompt_id, unconditional_prompt)
    _warn_special_tokens(model.engine.model, items)
    # The check compares token ids, so it gets no text.
    _check_sources(settings, [(encoded, "")])

    example = items[0] if isinstance(items[0], Example) else None
    chosen = PromptToTrace(
        prompt=encoded,
        origin="a prompt" if example is None else f"{example.task}, {example.split}, example {example.example_id}",
        references=() if example is None else example.references,
        limits=limits,
    )

    return TraceView(trace_prompt(model.engine, chosen, settings, sampling, top=_count("top", top)))


def _decoded_frame(
    generations: Sequence[Generation],
    items: Sequence[PromptLike],
    encoded: Sequence[tuple[Prompt, str]],
    rules: Mapping[str, str],
    *,
    trace: bool,
) -> pd.DataFrame:
    """Return the outputs with the text of each prompt, and with what an example says of itself.

    rules: by prompt id, the rule of the answers.
    """
    # By id, all that a generation knows of its prompt; `_check_distinct` made it unique.
    texts = {prompt.example_id: text for prompt, text in encoded}
    references = {item.example_id: list(item.references) for item in items if isinstance(item, Example)}
    has_answers = any(rule != "all" for rule in rules.values())

    rows = [
        {
            **as_row(generation),
            "prompt": texts[generation.example_id],
            # Lists, as a frame that is read from a run has them.
            "token_ids": list(generation.token_ids),
            **({name: list(getattr(generation, name)) for name in TRACES} if trace else {}),
            "references": references.get(generation.example_id),
            **({"answer": find_answer(generation.text, rules[generation.example_id])} if has_answers else {}),
        }
        for generation in generations
    ]
    # A plain text has no task, split or references; columns that are empty for all rows would only be in the way.
    without = [*(() if trace else TRACES), *(() if references else _OF_EXAMPLES)]
    return samples_frame(rows, without=without)


def _prompt_list(prompts: PromptLike | Sequence[PromptLike]) -> list[PromptLike]:
    """Return the prompts as a list; a text, an example or one conversation is a list of one."""
    # First, since a text is a sequence too, of its letters.
    if isinstance(prompts, str | Example):
        return [prompts]
    if isinstance(prompts, Mapping):
        raise ConfigError("prompts is a mapping; give a list of prompts, and their names as prompt_ids.")
    items: list[Any] = list(prompts)
    if not items:
        raise ConfigError("prompts is empty; give at least one text, chat message list or example.")
    # A list of messages is one conversation, a list of lists several.
    return [items] if all(isinstance(item, Mapping) for item in items) else items


def _encoded(
    model: LanguageModel,
    item: PromptLike,
    limits: Limits,
    prompt_id: str | None,
    unconditional: str | Messages | None,
) -> tuple[Prompt, str]:
    """Return a prompt as tokens, and the text that the model reads."""
    if isinstance(item, Example):
        if prompt_id is not None or unconditional is not None:
            raise ConfigError(
                f"example '{item.example_id}' has its id and its source already; leave prompt_ids and "
                "unconditional_prompts at None for it."
            )
        # Only an example has parts that can be shortened; a text that is too long is an error of the engine.
        budget = model.context - limits.max_new_tokens
        # An example knows no wording of its task; its head and tail are nearest to it.
        tokenize = data_reader(model.prompts, item.parts.head + item.parts.tail)
        return encode(item, tokenize, budget=budget), prompt_text(item.parts)

    # The template of a conversation writes the special tokens itself; its tokenizer must not add them again.
    text, ids = _text_and_ids(model, item, "a prompt")
    if unconditional is None:
        prompt = text_prompt(text, {text: ids}.__getitem__)
    else:
        plain_text, plain_ids = _text_and_ids(model, unconditional, "an unconditional prompt")
        # One of each would differ in the chat template as well, and KL would measure that in place of the source.
        if isinstance(item, str) != isinstance(unconditional, str):
            raise ConfigError("a prompt and its unconditional prompt must both be texts, or both be message lists.")
        prompt = text_prompt(text, {plain_text: plain_ids, text: ids}.__getitem__, unconditional=plain_text)
    return (prompt if prompt_id is None else _renamed(prompt, prompt_id)), text


def _text_and_ids(model: LanguageModel, item: object, what: str) -> tuple[str, list[int]]:
    """Return the text of a prompt, and its tokens."""
    if isinstance(item, str):
        return str(item), model.tokenize(item)
    if isinstance(item, Sequence) and item and all(isinstance(message, Mapping) for message in item):
        return model.prompts.chat_text(item), model.prompts.message_ids(item)
    raise ConfigError(
        f"{what} is {item!r}; it must be a text, a list of messages ({{'role': 'user', 'content': '…'}}) or an example."
    )


def _warn_special_tokens(model: LanguageModel, items: Sequence[PromptLike]) -> None:
    """Log how the names of special tokens in the prompts are read."""
    texts: dict[tuple[bool, bool], list[str]] = {}
    for item in items:
        if isinstance(item, str):
            kind, text = (False, model.in_chat), item
        elif isinstance(item, Example):
            kind, text = (True, model.in_chat), item.parts.source + "".join(item.parts.turns)
        else:
            kind, text = (True, True), "\n".join(str(message.get("content", "")) for message in item)
        texts.setdefault(kind, []).append(text)
    for (as_text, in_chat), some in texts.items():
        note = model.prompts.note(some, as_text=as_text, in_chat=in_chat)
        if note is not None:
            logger.warning("%s", note)


def _renamed(prompt: Prompt, prompt_id: str) -> Prompt:
    if not isinstance(prompt_id, str) or not prompt_id:
        raise ConfigError(f"prompt_ids holds {prompt_id!r}; a name must be text.")
    # The cluster too: prompts of one's own are independent, each a cluster.
    return replace(prompt, example_id=prompt_id, cluster_id=prompt_id)


def _checked_strategies(strategies: Strategy | Sequence[Strategy]) -> list[Strategy]:
    """Return the strategies as a list. Raises ConfigError for what is no strategy, for none, and for repeats."""
    settings = [strategies] if isinstance(strategies, Strategy) else list(strategies)
    if not settings:
        raise ConfigError("strategies is empty; give at least one, as edt.EDT(t0=1, theta=0.5).")

    # The class in place of a point of it is the usual slip, and deserves another message than any other object.
    for index, strategy in enumerate(settings):
        if isinstance(strategy, type) and issubclass(strategy, Strategy):
            raise ConfigError(
                f"strategies[{index}] is the class {strategy.__name__}; give a setting of it, with its parameters."
            )
        if not isinstance(strategy, Strategy):
            raise ConfigError(f"strategies[{index}] is {strategy!r}; it must be a strategy, as edt.Fixed(t0=0.7).")
    check_repeats(settings)
    return settings


def _check_distinct(encoded: Sequence[tuple[Prompt, str]]) -> None:
    """Raise DataError for two prompts of one id: they would share their noise, and the frame could not hold both."""
    seen: set[str] = set()
    for prompt, text in encoded:
        if prompt.example_id in seen:
            start = text if len(text) <= 60 else text[:57] + "…"
            raise DataError(
                f"two prompts have the id '{prompt.example_id}' ({start!r}); ids must differ. Remove one, ask for more "
                "samples, or give prompt_ids."
            )
        seen.add(prompt.example_id)


def _check_sources(strategies: Sequence[Strategy], encoded: Sequence[tuple[Prompt, str]]) -> None:
    """Raise ConfigError when a strategy compares with the prompt without its source, and a prompt has no other form."""
    guided = [strategy.strategy_id for strategy in strategies if "kl" in strategy.needs]
    if not guided:
        return

    for number, (prompt, _) in enumerate(encoded):
        # `text_prompt` gives both contexts the same tokens where none was given: KL would be 0, and kld fixed
        # temperature.
        if prompt.token_ids == prompt.unconditional_ids:
            raise ConfigError(
                f"{guided[0]} compares each prompt with the same prompt without its source, which prompt {number} does "
                "not have; give it as unconditional_prompts=[…] (edt.trace: unconditional_prompt='…')."
            )


def _per_prompt(name: str, values: Sequence[Any] | None, n_prompts: int) -> list[Any]:
    """Return a value per prompt; None for each if there are none."""
    if values is None:
        return [None] * n_prompts
    # A text has a length too: for 3 prompts, "abc" would be three names.
    if isinstance(values, str):
        raise ConfigError(f"{name} is the text {values!r}; it must be a list with an entry per prompt.")
    if len(values) != n_prompts:
        raise ConfigError(f"{name} has {len(values)} entries for {n_prompts} prompts; give one per prompt.")
    return list(values)


def _stop_texts(stop: Sequence[str]) -> tuple[str, ...]:
    # An empty text is part of every output, and would end each at its first token.
    if stop is None or isinstance(stop, str) or not all(isinstance(text, str) and text for text in stop):
        raise ConfigError(f"stop is {stop!r}; it must be a list of texts that are not empty.")
    return tuple(stop)


def _count(name: str, value: object) -> int:
    number = _whole(name, value)
    if number < 1:
        raise ConfigError(f"{name} is {number}; it must be 1 or more.")
    return number


def _whole(name: str, value: object) -> int:
    # Also takes NumPy's integers, but not a bool, which is an int to Python.
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ConfigError(f"{name} is {value!r}; it must be a whole number.")
    return value.__index__()  # type: ignore[no-any-return]
