"""Demos of what temperature and truncation do to a distribution and to samples of prompts (`edt trace demo=…`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from edt.decoding.engine_specs import with_model_here
from edt.decoding.model_engine import ModelEngine
from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError
from edt.extras import check_extra
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.self_bleu import self_bleu
from edt.ranges import check_whole
from edt.records import Generation, Prompt
from edt.redact import without_secrets
from edt.report.table import TEXT_WIDTH, result_console
from edt.store.atomic import write_text
from edt.store.layout import short_name
from edt.strategies import Fixed
from edt.strategies.base import Strategy
from edt.tasks.prompts import text_prompt
from edt.tracing.decode_in_memory import DecodeConfig, decode_traced
from edt.tracing.demo_page import demo_page
from edt.tracing.demo_results import (
    DemoResults,
    DistributionComparison,
    PromptSamples,
    SettingDistribution,
    TemperatureSamples,
)
from edt.tracing.demo_terminal import print_demo
from edt.tracing.distribution import sampling_probabilities, strategy_temperature
from edt.tracing.teacher_forcing import forced_logits
from edt.tracing.token_text import TokenTexts
from edt.tracing.trace_prompt import SETTING

_LANGUAGE = "en"
"""Language of the tokenizer that Self-BLEU uses for prompts without a task."""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The distribution of a prompt's next token to compare under several settings.

    settings: strategies by the name that is shown. tokens: how many of the likeliest tokens to show.
    """

    prompt: str
    settings: Mapping[str, Strategy]
    tokens: int = 12

    def __post_init__(self) -> None:
        check_whole("demo.distribution.tokens", self.tokens, "the number of likeliest tokens that are shown", most=1000)
        for name, strategy in self.settings.items():
            if not isinstance(strategy, Strategy):
                raise ConfigError(f"demo.distribution.settings.{name} is {strategy!r}; it must be a strategy.")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Prompts to sample at fixed temperatures, `sampling.samples` times each, and optionally one distribution.

    labels: the kind of each prompt; kinds are summarized separately. Empty: all prompts are of one kind.
    stop: texts that end an output.
    """

    title: str
    prompts: tuple[str, ...]
    temperatures: tuple[float, ...]
    labels: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    distribution: Distribution | None = None

    def __post_init__(self) -> None:
        if not self.prompts or not self.temperatures:
            raise ConfigError("demo.prompts or demo.temperatures is empty; each must be a list with at least one item.")
        # Labels are optional, but a list that is too short would silently drop prompts.
        if self.labels and len(self.labels) != len(self.prompts):
            raise ConfigError(
                f"demo.labels has {len(self.labels)} items for {len(self.prompts)} prompts; set one for each, or []."
            )

        # Samples are kept by prompt and temperature, so a repeated one would be shown twice with the same samples.
        for name, items in (("prompts", self.prompts), ("temperatures", self.temperatures)):
            if len(set(items)) < len(items):
                raise ConfigError(f"demo.{name} has an item twice; remove the repeated one.")
        if "" in self.stop:
            raise ConfigError("demo.stop has an empty text; set texts, or [] for no stop.")


def show_demo(demo: Demo, decoding: DecodeConfig) -> None:
    """Decode the demo, print its results, and write them as a page."""
    # Before the model is loaded: what is missing is reported at once.
    check_extra("report", "the page of a demo")
    # Fixed temperatures only: the demo shows what T does, before a rule chooses it.
    strategies = [Fixed(t0=temperature) for temperature in demo.temperatures]
    engine = with_model_here(decoding.engine, "edt trace").open(decoding.model)
    prompts = [text_prompt(text, engine.model.tokenize) for text in demo.prompts]
    limits = decoding.limits(demo.stop)
    generations = decode_traced(engine, prompts, strategies, decoding.sampling, limits)

    results = DemoResults(
        title=demo.title,
        model=without_secrets(decoding.model.path),
        seed=decoding.sampling.seed,
        comparison=None if demo.distribution is None else compare_distributions(demo.distribution, engine),
        prompts=tuple(_group_samples(demo, prompts, strategies, generations)),
    )
    folder = decoding.output_folder(f"{short_name(decoding.model.path)}-demo", engine, prompts, strategies, limits)
    write_text(folder / "demo.html", demo_page(results), setting=SETTING)

    console = result_console(TEXT_WIDTH)
    print_demo(results, console)
    console.print(f"page: {folder / 'demo.html'}", highlight=False, markup=False, soft_wrap=True)


def _group_samples(
    demo: Demo, prompts: Sequence[Prompt], strategies: Sequence[Strategy], generations: Sequence[Generation]
) -> list[PromptSamples]:
    """Return the samples of each prompt, in a column per temperature."""
    grouped: dict[tuple[str, str], list[Generation]] = {}
    for generation in generations:
        # Generations come prompt by prompt; the demo shows them by prompt and temperature.
        grouped.setdefault((generation.example_id, generation.strategy_id), []).append(generation)

    return [
        PromptSamples(
            label=label,
            prompt=text,
            columns=tuple(
                _temperature_samples(temperature, grouped[prompt.example_id, strategy.strategy_id])
                for temperature, strategy in zip(demo.temperatures, strategies, strict=True)
            ),
        )
        for label, text, prompt in zip(demo.labels or [""] * len(prompts), demo.prompts, prompts, strict=True)
    ]


def _temperature_samples(temperature: float, generations: Sequence[Generation]) -> TemperatureSamples:
    """Return the samples of one prompt at one temperature with their Self-BLEU and mean entropy."""
    texts = tuple(generation.text for generation in generations)
    # Self-BLEU compares samples with each other: with one sample it is missing, not 0.
    similarity = float(self_bleu([texts], bleu_tokenizer(_LANGUAGE)).mean()) if len(texts) > 1 else None
    entropies = [value for generation in generations for value in generation.trace_entropy or ()]
    return TemperatureSamples(temperature=temperature, texts=texts, self_bleu=similarity, entropy=fmean(entropies))


@torch.inference_mode()
def compare_distributions(distribution: Distribution, engine: ModelEngine) -> DistributionComparison:
    """Return the distribution of a prompt's next token under each setting, over its likeliest tokens at T = 1."""
    model = engine.model
    prompt = text_prompt(distribution.prompt, model.tokenize)
    # One forced token asks for the logits of one step; which token it is does not matter, since it is not read.
    logits_1V = forced_logits(model, prompt.token_ids, [model.pad_id])
    likeliest_K = logits_1V[0].topk(min(distribution.tokens, logits_1V.shape[-1])).indices

    settings = []
    for name, strategy in distribution.settings.items():
        # A rule such as EDT reads the entropy of this distribution and gives its own temperature.
        temperature_1 = strategy_temperature(logits_1V, strategy)
        probability_1V = sampling_probabilities(logits_1V, temperature_1, strategy)
        shown = probability_1V[0, likeliest_K].tolist()
        settings.append(
            SettingDistribution(
                name=name,
                strategy_id=strategy.strategy_id,
                temperature=float(temperature_1),
                probabilities=tuple(shown),
                # Summed, not 1 minus the others: a truncated distribution must have exactly 0 here.
                others=float(probability_1V[0].index_fill(0, likeliest_K, 0.0).sum()),
                kept_tokens=int((probability_1V > 0).sum()),
                entropy=float(entropy(probability_1V.log())),
            )
        )

    token_texts = TokenTexts(model.tokenizer)
    tokens = tuple(token_texts.text(token) for token in likeliest_K.tolist())
    return DistributionComparison(prompt=distribution.prompt, tokens=tokens, settings=tuple(settings))
