"""A task made ready to decode: its examples, the prompts that the model reads, and the manifest of its run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edt.decoding.engine import Engine
from edt.decoding.sampling import STORED_NOISE, Limits
from edt.generation.request import GenerationRequest, TaskRequest, check_number_of_rows
from edt.generation.splits import check_disjoint
from edt.generation.task_prompts import TaskPrompts
from edt.ids import digest
from edt.logs import announced
from edt.models.spec import has_chat_template
from edt.models.text_model import TextModel
from edt.records import Prompt, Split
from edt.redact import json_without_secrets, without_secrets
from edt.store.manifest import Manifest
from edt.store.run import Run
from edt.tasks.base import ExampleSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A task ready to decode: its examples and prompts by split, and the manifest of a run that holds nothing yet."""

    examples: Mapping[Split, ExampleSet]
    prompts: Mapping[Split, Mapping[str, Prompt]]
    """By split and example id."""
    limits: Limits
    manifest: Manifest

    def only(self, splits: Sequence[Split]) -> Prepared:
        """Return the same run with the prompts of these splits alone to decode."""
        return replace(self, prompts={split: self.prompts[split] for split in splits})


def prepare(request: GenerationRequest, task: TaskRequest, engine: Engine) -> Prepared:
    """Load the examples, encode the prompts, and derive the run's identity from them."""
    # First, since loading the data can take minutes.
    engine.check_strategies(request.strategies)
    reading = TaskPrompts.of(engine.model, task, request.sampling)
    limits = reading.limits

    with announced("%s: reading the data", task.task.name):
        examples = {split: task.task.load(split) for split in task.splits}
    check_disjoint(task.task.name, examples)
    # Before the prompts are encoded, which takes minutes where there are that many.
    n_examples = sum(len(subset.examples) for subset in examples.values())
    rows = n_examples * len(request.strategies) * request.sampling.samples
    check_number_of_rows(rows, f"of task '{task.task.name}', with {n_examples:,} examples")
    with announced("%s: tokenizing %d prompts", task.task.name, n_examples):
        prompts = {s: {e.example_id: reading.prompt(e) for e in subset.examples} for s, subset in examples.items()}

    # Exactly what can change a token, and nothing else: see DESIGN, "Identity". Strategies and samples are rows.
    identity = {
        **engine.identity(),
        "task": task.task.name,
        "seed": request.sampling.seed,
        "coupling": STORED_NOISE[engine.noise(request.sampling)],
        "limits": limits.identity(),
        "prompts": _prompts_digest(prompts),
        # It changes no token, but all that is scored. Without it, as edt 0.1.0 wrote, all of an output is the answer.
        **({} if reading.answer == "all" else {"answer": reading.answer}),
    }

    # The rest is recorded, but no part of the identity: with another quality metric it is the same run.
    manifest = Manifest(
        identity=identity,
        task=task.task.name,
        # Recorded for good, and shown and exported later: without keys, and without tokens in addresses.
        model=without_secrets(request.model.path),
        quality=task.quality_metric,
        target_language=task.task.target_language,
        extra_metrics=task.task.extra_metrics,
        splits={split: _split_facts(examples[split], prompts[split]) for split in task.splits},
        config=json_without_secrets(request.config),
        has_chat_template=has_chat_template(engine.model.tokenizer),
    )
    manifest, limits = _as_begun(request, manifest, limits)
    return Prepared(examples=examples, prompts=prompts, limits=limits, manifest=manifest)


def _as_begun(request: GenerationRequest, manifest: Manifest, limits: Limits) -> tuple[Manifest, Limits]:
    """Return the manifest and limits with the stop rule of edt 0.1.0, where that version began the run."""
    before = replace(limits, stops_before_text=True)
    begun = replace(manifest, identity={**manifest.identity, "limits": before.identity()})
    # One folder has one rule: settings that were decoded under two could not be compared.
    if not limits.stop or not Run.at(request.runs, begun).manifest_path.is_file():
        return manifest, limits
    logger.info(
        "%s continues a run of edt 0.1.0 by its rule, that a stop also ends a text before its first character; another "
        "paths.runs begins a run in which stops count only after it.",
        manifest.task,
    )
    return begun, before


def shortening_notes(manifest: Manifest) -> list[str]:
    """Return what a reader must know of prompts that the token budget shortened."""
    notes = []
    for split, facts in manifest.splits.items():
        if facts["shortened_prompts"]:
            notes.append(
                f"{manifest.task}, {split}: {facts['shortened_prompts']:,} of {facts['examples']:,} prompts were "
                f"shortened to fit the budget, by {facts['truncated_tokens']:,} tokens in all."
            )
        if facts["prompts_without_source"]:
            notes.append(
                f"{manifest.task}, {split}: {facts['prompts_without_source']:,} prompts have no source text left; "
                "there both contexts of kld are the same, and it equals fixed temperature."
            )
    return notes


def special_token_notes(task: str, examples: Mapping[Split, ExampleSet], model: TextModel) -> list[str]:
    """Return a line per split whose data hold text that is spelled like a special token."""
    notes = []
    for split, subset in examples.items():
        # Of the data alone: what the wording holds is meant as it stands.
        texts = [e.parts.source + "".join(e.parts.turns) for e in subset.examples]
        note = model.prompts.note(texts, as_text=True, in_chat=model.in_chat)
        notes += [] if note is None else [f"{task}, {split}: {note}"]
    return notes


def _prompts_digest(prompts: Mapping[Split, Mapping[str, Prompt]]) -> str:
    """Return the digest of the subset's ids and of the exact tokens of every prompt, with and without the source."""
    return digest(
        # Token ids, not texts: a tokenizer or a chat template can change what the model reads of the same text.
        {s: [[p.example_id, p.token_ids, p.unconditional_ids] for p in by_id.values()] for s, by_id in prompts.items()}
    )


def _split_facts(examples: ExampleSet, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """Return what the manifest records of one split."""
    shortened = [prompt.truncated_tokens for prompt in prompts.values() if prompt.truncated_tokens]
    return {
        "examples": len(examples.examples),
        "available": examples.available,
        "dropped": dict(examples.dropped),
        "shortened_prompts": len(shortened),
        "truncated_tokens": sum(shortened),
        "prompts_without_source": sum(prompt.token_ids == prompt.unconditional_ids for prompt in prompts.values()),
        "origin": json_without_secrets(examples.origin),
        # The ids name the subset, so that it can be checked without loading the data.
        "ids": [example.example_id for example in examples.examples],
    }
