"""`edt trace demo=…`: what temperature and truncation do to a distribution, and to samples of a few prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from edt.decoding.engine import Engine
from edt.decoding.ops.signals import entropy
from edt.errors import ConfigError
from edt.extras import check_extra
from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.self_bleu import self_bleu
from edt.models.language_model import LanguageModel
from edt.records import Generation, Prompt
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
from edt.tracing.demo_terminal import print_show
from edt.tracing.distribution import sampling_probabilities, strategy_temperature
from edt.tracing.teacher_forcing import forced_logits
from edt.tracing.token_text import TokenTexts
from edt.tracing.trace_prompt import SETTING

LANGUAGE = "en"
"""Whose tokenizer Self-BLEU uses for prompts without a task."""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The next token of a prompt under several settings; `tokens` of the likeliest are shown."""

    prompt: str
    settings: Mapping[str, Strategy]
    tokens: int = 12

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ConfigError(f"demo.distribution.tokens is {self.tokens}; it is a number of tokens, 1 or more.")
        for name, strategy in self.settings.items():
            if not isinstance(strategy, Strategy):
                raise ConfigError(f"demo.distribution.settings.{name} is {strategy!r}; it must be a strategy.")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Prompts at fixed temperatures, `sampling.samples` each, and optionally one distribution.

    labels: one per prompt, to measure prompts of different kinds apart; none: all together.
    """

    title: str
    prompts: tuple[str, ...]
    temperatures: tuple[float, ...]
    labels: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    distribution: Distribution | None = None

    def __post_init__(self) -> None:
        if not self.prompts or not self.temperatures:
            raise ConfigError("demo.prompts and demo.temperatures are lists with at least one item each.")
        if self.labels and len(self.labels) != len(self.prompts):
            raise ConfigError(
                f"demo.labels has {len(self.labels)} items for {len(self.prompts)} prompts; give one each, or []."
            )
        for name, items in (("prompts", self.prompts), ("temperatures", self.temperatures)):
            if len(set(items)) < len(items):
                raise ConfigError(f"demo.{name} has an item twice; remove the repeated one.")
        if "" in self.stop:
            raise ConfigError("demo.stop holds empty text; give text, or [] for no stop.")


def show(demo: Demo, decoding: DecodeConfig) -> None:
    """Decode the demo, print it and write its page; says where that is."""
    check_extra("report", "edt trace")
    strategies = [Fixed(t0=temperature) for temperature in demo.temperatures]
    engine = decoding.engine.build(LanguageModel.load(decoding.model))
    prompts = [text_prompt(text, engine.model.tokenize) for text in demo.prompts]
    limits = decoding.limits(demo.stop)
    generations = decode_traced(engine, prompts, strategies, decoding.sampling, limits)
    found = DemoResults(
        title=demo.title,
        model=decoding.model.path,
        seed=decoding.sampling.seed,
        shapes=None if demo.distribution is None else shapes(demo.distribution, engine),
        blocks=tuple(blocks(demo, prompts, strategies, generations)),
    )
    path = decoding.output_folder(f"{short_name(decoding.model.path)}-demo", prompts, strategies, limits) / "demo.html"
    write_text(path, demo_page(found), setting=SETTING)
    console = result_console(TEXT_WIDTH)
    print_show(found, console)
    console.print(f"page: {path}", highlight=False, markup=False, soft_wrap=True)


def blocks(
    demo: Demo, prompts: Sequence[Prompt], strategies: Sequence[Strategy], generations: Sequence[Generation]
) -> list[PromptSamples]:
    """Per prompt, a column of samples for each temperature."""
    found: dict[tuple[str, str], list[Generation]] = {}
    for generation in generations:
        found.setdefault((generation.example_id, generation.strategy_id), []).append(generation)
    return [
        PromptSamples(
            label=label,
            prompt=text,
            columns=tuple(
                column(temperature, found[prompt.example_id, strategy.strategy_id])
                for temperature, strategy in zip(demo.temperatures, strategies, strict=True)
            ),
        )
        for label, text, prompt in zip(demo.labels or [""] * len(prompts), demo.prompts, prompts, strict=True)
    ]


def column(temperature: float, generations: Sequence[Generation]) -> TemperatureSamples:
    """The samples of one prompt at one temperature with what is measured of them; Self-BLEU needs 2."""
    texts = tuple(generation.text for generation in generations)
    alike = float(self_bleu([texts], bleu_tokenizer(LANGUAGE)).mean()) if len(texts) > 1 else None
    steps = [value for generation in generations for value in generation.trace_entropy or ()]
    return TemperatureSamples(temperature=temperature, texts=texts, self_bleu=alike, entropy=fmean(steps))


@torch.inference_mode()
def shapes(distribution: Distribution, engine: Engine) -> DistributionComparison:
    """The distribution of a prompt's next token under each setting, over its likeliest tokens."""
    model = engine.model
    prompt = text_prompt(distribution.prompt, model.tokenize)
    logits_1V = forced_logits(model, prompt.token_ids, [model.pad_id])  # of the one step; its token is not read
    likeliest_K = logits_1V[0].topk(min(distribution.tokens, logits_1V.shape[-1])).indices
    pieces = TokenTexts(model.tokenizer)
    settings = []
    for name, strategy in distribution.settings.items():
        temperature_1 = strategy_temperature(logits_1V, strategy)
        probability_1V = sampling_probabilities(logits_1V, temperature_1, strategy)
        shown = probability_1V[0, likeliest_K].tolist()
        settings.append(
            SettingDistribution(
                name=name,
                strategy_id=strategy.strategy_id,
                temperature=float(temperature_1),
                probabilities=tuple(shown),
                others=max(0.0, 1.0 - math.fsum(shown)),
                kept_tokens=int((probability_1V > 0).sum()),
                entropy=float(entropy(probability_1V.log())),
            )
        )
    return DistributionComparison(
        prompt=distribution.prompt, tokens=tuple(map(pieces.one, likeliest_K.tolist())), settings=tuple(settings)
    )
