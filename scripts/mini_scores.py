"""Score a model on the mini tasks, next to the grammar itself: what a perfect model would reach.

A module without a command: `mini_first_look`, `train_mini` and the tests use it. 100 examples of each task with 8
samples take about a minute per strategy on 2 cores. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from edt.cli.build import task_requests
from edt.cli.composition import compose
from edt.decoding.engine import Engine
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.metrics.base import SampleSet
from edt.metrics.suite import MetricsSpec
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Example, Split
from edt.strategies.base import Strategy
from edt.tasks.mini.generated_task import GeneratedTask, ideal_texts
from edt.tasks.mini.variants import Variant
from edt.tasks.prompts import encode

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("mini_xlsum", "mini_msmarco", "mini_quac", "mini_wmt19")

_DEFAULT = Variant()

Scores = dict[str, float]
"""Metric -> value; a metric without a value is left out."""


def mini_tasks(variant: Variant = _DEFAULT) -> dict[str, GeneratedTask]:
    """Return the four tasks of a variant as their files in `configs/task` define them, by name."""
    changes = [f"task.{name}={value}" for name, value in variant.changes.items()]
    tasks: dict[str, GeneratedTask] = {}
    for name in TASKS:
        content: Any = OmegaConf.to_container(compose("run", [f"task={name}", "task.limit=null", *changes]).task)
        (request,) = task_requests(content)
        tasks[name] = request.task
    return tasks


def load_engine(folder: Path) -> Engine:
    """Return the engine on a model folder, in float32 on the CPU."""
    return BatchedSpec().build(LanguageModel.load(ModelSpec(path=str(folder), device="cpu")))


def decode_samples(
    engine: Engine, task: GeneratedTask, examples: Sequence[Example], strategies: Sequence[Strategy], samples: int
) -> dict[str, SampleSet]:
    """Return each strategy's samples of the examples, by strategy id."""
    limits = Limits(max_new_tokens=task.max_new_tokens, stop=task.stops(chat_template=False))
    budget = engine.model.context - limits.max_new_tokens
    prompts = {example.example_id: encode(example, engine.model.tokenize, budget=budget) for example in examples}
    request = DecodeRequest.all_rows(
        list(prompts.values()), strategies, sampling=Sampling(samples=samples), limits=limits
    )
    texts: dict[tuple[str, str, int], str] = {}
    for chunk in request.chunks(engine.plan(request)):
        for item in engine.generate(chunk):
            texts[item.strategy_id, item.example_id, item.sample] = item.text
    return {
        strategy.strategy_id: _sample_set(
            task, examples, [[texts[strategy.strategy_id, e.example_id, k] for k in range(samples)] for e in examples]
        )
        for strategy in strategies
    }


def grammar_samples(task: GeneratedTask, examples: Sequence[Example], samples: int) -> SampleSet:
    """Return what the grammar itself would answer: right texts drawn independently of the reference."""
    return _sample_set(task, examples, ideal_texts(examples, samples))


def _sample_set(task: GeneratedTask, examples: Sequence[Example], texts: Sequence[Sequence[str]]) -> SampleSet:
    return SampleSet(examples=examples, texts=texts, target_language=task.target_language)


def compute_scores(task: GeneratedTask, samples: SampleSet) -> Scores:
    """Return the task's metrics; the quality metric of each task is called `quality`."""
    scores: Scores = {}
    for metric in MetricsSpec().metrics(task.quality, task.extra_metrics):
        statistics = metric.statistics(samples)
        if statistics is not None:
            name = "quality" if metric.name == task.quality else metric.name
            scores[name] = round(float(metric.aggregate(statistics.sum(axis=0))), 2)
    return scores


def score_model(
    folder: Path,
    strategies: Mapping[str, Strategy],
    *,
    split: Split,
    limit: int | None,
    samples: int,
    variant: Variant = _DEFAULT,
) -> dict[str, dict[str, Scores]]:
    """Return task -> label -> scores; the label "grammar" has those of the grammar itself."""
    engine = load_engine(folder)
    table: dict[str, dict[str, Any]] = {}
    for name, task in mini_tasks(variant).items():
        limited = replace(task, limit=limit)
        examples = limited.load(split).examples
        samples_by_strategy = decode_samples(engine, limited, examples, list(strategies.values()), samples)
        table[name] = {"grammar": compute_scores(limited, grammar_samples(limited, examples, samples))}
        for label, strategy in strategies.items():
            table[name][label] = compute_scores(limited, samples_by_strategy[strategy.strategy_id])
    return table
