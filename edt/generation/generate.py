"""Stage one: from tasks and strategies to generations on disk. Resumes, and generates only what is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute as pc

from edt.decoding.engine import Engine, RowRequest
from edt.decoding.sampling import STORED_NOISE, Limits
from edt.errors import ConfigError, MemoryExceededError, ModelError, StoreError
from edt.generation.environment import environment
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest, Row, TaskRequest
from edt.ids import digest
from edt.models.language_model import LanguageModel
from edt.records import Generation, Prompt, Split
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest, Pass
from edt.store.parts import parts_with, read_generations, write_examples, write_part
from edt.strategies.kld import KLD
from edt.tasks.base import ExampleSet
from edt.tasks.prompts import encode

ROW_KEYS = ("split", "example_id", "strategy_id", "sample")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A task ready to decode: its examples and prompts by split, and the manifest that they make."""

    examples: Mapping[Split, ExampleSet]
    prompts: Mapping[Split, Mapping[str, Prompt]]
    limits: Limits
    manifest: Manifest

    def only(self, splits: Sequence[Split]) -> Prepared:
        """The same run, with the prompts of these splits alone to decode."""
        return replace(self, prompts={split: self.prompts[split] for split in splits})


def generate_task(
    request: GenerationRequest, prepared: Prepared, engine: Engine, progress: Progress
) -> tuple[RunFolder, Manifest]:
    """Decode what is missing of one task, in the splits that have prompts; the run's folder and manifest."""
    fresh = prepared.manifest
    run = RunFolder.named(request.runs, model=fresh.model, task=fresh.task, generation_id=fresh.generation_id)
    with run.writing():
        manifest = Manifest.read(run.manifest) if run.manifest.is_file() else fresh
        manifest = with_second_models(manifest, request, engine)
        write_examples(run.examples, [e for examples in prepared.examples.values() for e in examples.examples])
        manifest = plan_missing(request, prepared, engine, run, manifest)
        manifest.write(run.manifest)
        manifest = decode_passes(request, prepared, engine, run, manifest, progress)
    if request.sampling.trace:
        progress.say(*untraced_note(run, manifest, request.rows, prepared.prompts))
    return run, manifest


def prepare(request: GenerationRequest, task: TaskRequest, engine: Engine) -> Prepared:
    """Load the examples, encode the prompts, and derive the run's identity from them."""
    engine.check_strategies(request.strategies)
    limits = task.limits(request.sampling)
    budget = prompt_budget(engine.model, task, limits)
    examples = {split: task.task.load(split) for split in task.splits}
    prompts = {
        split: {e.example_id: encode(e, engine.model.tokenize, budget=budget) for e in found.examples}
        for split, found in examples.items()
    }
    identity = {
        **engine.identity(),
        "task": task.task.name,
        "seed": request.sampling.seed,
        "coupling": STORED_NOISE[engine.noise(request.sampling)],
        "limits": limits.identity(),
        "prompts": prompts_digest(prompts),
    }
    manifest = Manifest(
        identity=identity,
        task=task.task.name,
        model=request.model.path,
        quality=task.task.quality,
        target_language=task.task.target_language,
        extra_metrics=task.task.extra_metrics,
        splits={split: split_facts(examples[split], prompts[split]) for split in task.splits},
        config=request.config,
    )
    return Prepared(examples=examples, prompts=prompts, limits=limits, manifest=manifest)


def prompt_budget(model: LanguageModel, task: TaskRequest, limits: Limits) -> int:
    """Tokens that a prompt of the task may have. Raises ConfigError where the new tokens leave it no room."""
    room = model.context - limits.max_new_tokens
    if room < 1:
        raise ConfigError(
            f"sampling.max_new_tokens is {limits.max_new_tokens}, which leaves no room for a prompt in the model's "
            f"context of {model.context} tokens; lower it, or use a model with a longer context."
        )
    return room if task.task.max_prompt_tokens is None else min(room, task.task.max_prompt_tokens)


def prompts_digest(prompts: Mapping[Split, Mapping[str, Prompt]]) -> str:
    """Digest of the subset's ids and of the exact tokens of every prompt, with and without the source."""
    return digest(
        {s: [[p.example_id, p.token_ids, p.unconditional_ids] for p in by_id.values()] for s, by_id in prompts.items()}
    )


def split_facts(examples: ExampleSet, prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """What the manifest says of one split."""
    shortened = [prompt.truncated_tokens for prompt in prompts.values() if prompt.truncated_tokens]
    return {
        "examples": len(examples.examples),
        "available": examples.available,
        "dropped": dict(examples.dropped),
        "shortened_prompts": len(shortened),
        "truncated_tokens": sum(shortened),
        "prompts_without_source": sum(prompt.token_ids == prompt.unconditional_ids for prompt in prompts.values()),
        "origin": dict(examples.origin),
        "ids": [example.example_id for example in examples.examples],
    }


def shortening_notes(manifest: Manifest) -> list[str]:
    """What a reader must know of prompts that the budget shortened."""
    notes = []
    for split, facts in manifest.splits.items():
        if facts["shortened_prompts"]:
            notes.append(
                f"{manifest.task}, {split}: {facts['shortened_prompts']} of {facts['examples']} prompts were shortened "
                f"to fit the budget, by {facts['truncated_tokens']} tokens in all."
            )
        if facts["prompts_without_source"]:
            notes.append(
                f"{manifest.task}, {split}: {facts['prompts_without_source']} prompts have no source text left; there "
                "both contexts of kld are the same, and it equals fixed temperature."
            )
    return notes


def with_second_models(manifest: Manifest, request: GenerationRequest, engine: Engine) -> Manifest:
    """The manifest with the weights of kld's second model. Raises StoreError when its folder holds others by now."""
    paths = {s.model for s in request.strategies if isinstance(s, KLD) and s.model is not None}
    known = dict(manifest.second_models)
    for path in sorted(paths):
        second = engine.second_models.of([s for s in request.strategies if isinstance(s, KLD) and s.model == path])
        weights = digest(second.identity) if second is not None else ""
        if known.setdefault(path, weights) != weights:
            raise StoreError(
                f"the second model '{path}' has other weights than when this run began; its generations would mix two "
                "models. Give the new one another path, or another paths.runs."
            )
    return replace(manifest, second_models=known)


def plan_missing(
    request: GenerationRequest, prepared: Prepared, engine: Engine, run: RunFolder, manifest: Manifest
) -> Manifest:
    """The manifest with passes for every wanted row that neither lies on disk nor is in an unfinished pass."""
    wanted = set(request.rows)
    covered = rows_on_disk(run, manifest, prepared.prompts, {name for name, _ in wanted})
    for number, planned in enumerate(manifest.passes):
        if is_wanted(planned, wanted):
            for chunk, ids in enumerate(planned.chunks):
                if not run.part(number, chunk).is_file():
                    for example_id in ids:
                        covered[planned.split, example_id].update(planned.rows)
    for split, prompts in prepared.prompts.items():
        groups: dict[frozenset[Row], list[Prompt]] = defaultdict(list)
        for example_id, prompt in prompts.items():
            missing = frozenset(wanted - covered[split, example_id])
            if missing:
                groups[missing].append(prompt)
        for missing, group in groups.items():
            manifest = manifest.with_pass(new_pass(request, prepared, engine, split, missing, group))
    return manifest


def new_pass(
    request: GenerationRequest,
    prepared: Prepared,
    engine: Engine,
    split: Split,
    missing: frozenset[Row],
    prompts: Sequence[Prompt],
) -> Pass:
    """Plan the decoding of these rows of these prompts, in the request's order of strategies."""
    rows = tuple(row for row in request.rows if row in missing)
    plan = engine.plan(prompts, request.strategies, row_requests(request, rows), prepared.limits)
    return Pass(
        split=split,
        rows=rows,
        chunks=plan.chunks,
        rows_per_batch=plan.rows_per_batch,
        environment=environment(),
    )


def rows_on_disk(
    run: RunFolder, manifest: Manifest, splits: Collection[str], strategy_ids: Collection[str]
) -> dict[tuple[str, str], set[Row]]:
    """The done-set: rows by (split, example), at least those of these strategies in these splits."""
    done: dict[tuple[str, str], set[Row]] = defaultdict(set)
    names = ("split", "example_id", "strategy_id", "sample")
    parts = parts_with(run, manifest.passes, splits, strategy_ids)
    table = read_generations(run, manifest.generation_id, names, parts=parts)
    for split, example_id, strategy_id, sample in zip(*(table[name].to_pylist() for name in names), strict=True):
        done[split, example_id].add((strategy_id, sample))
    return done


def is_wanted(planned: Pass, wanted: set[Row]) -> bool:
    """Whether the request asks for every row of the pass; otherwise its missing chunks are left as they are."""
    return set(planned.rows) <= wanted


def row_requests(request: GenerationRequest, rows: Sequence[Row]) -> list[RowRequest]:
    """Rows as indices into the request's strategies."""
    index = {strategy.strategy_id: place for place, strategy in enumerate(request.strategies)}
    return [RowRequest(index[strategy_id], sample) for strategy_id, sample in rows]


def decode_passes(
    request: GenerationRequest,
    prepared: Prepared,
    engine: Engine,
    run: RunFolder,
    manifest: Manifest,
    progress: Progress,
) -> Manifest:
    """Decode every chunk of the wanted passes that has no part yet; the manifest, with the chunks that were split."""
    todo = chunks_to_do(request, prepared, run, manifest)
    rows_to_do = sum(len(manifest.passes[n].chunks[chunk]) * len(manifest.passes[n].rows) for n, chunk in todo)
    rows_in_all = len(request.rows) * sum(len(prompts) for prompts in prepared.prompts.values())
    with progress.task(f"{manifest.task}", total=rows_in_all, done=rows_in_all - rows_to_do) as advance:
        while todo:
            number, chunk = todo[0]
            planned = manifest.passes[number]
            try:
                generations = decode_chunk(request, prepared, engine, planned, chunk)
            except MemoryExceededError as error:
                manifest = manifest.with_changed_pass(number, smaller(planned, chunk, error, progress))
                manifest.write(run.manifest)
            else:
                write_part(run.part(number, chunk), generations, manifest.generation_id)
                advance(len(generations))
            todo = chunks_to_do(request, prepared, run, manifest)
    return manifest


def chunks_to_do(
    request: GenerationRequest, prepared: Prepared, run: RunFolder, manifest: Manifest
) -> list[tuple[int, int]]:
    """The (pass, chunk) that are wanted and have no part yet."""
    wanted = set(request.rows)
    return [
        (number, chunk)
        for number, planned in enumerate(manifest.passes)
        if planned.split in prepared.prompts and is_wanted(planned, wanted)
        for chunk in range(len(planned.chunks))
        if not run.part(number, chunk).is_file()
    ]


def decode_chunk(
    request: GenerationRequest, prepared: Prepared, engine: Engine, planned: Pass, chunk: int
) -> list[Generation]:
    """The generations of one chunk of a pass."""
    prompts = [prepared.prompts[planned.split][example_id] for example_id in planned.chunks[chunk]]  # type: ignore[index]
    return list(
        engine.generate(
            prompts,
            request.strategies,
            row_requests(request, planned.rows),
            sampling=request.sampling,
            limits=prepared.limits,
            rows_per_batch=planned.rows_per_batch,
        )
    )


def smaller(planned: Pass, chunk: int, error: MemoryExceededError, progress: Progress) -> Pass:
    """The pass with this chunk split, which is said once per pass. Raises ModelError when it cannot be any smaller."""
    changed = planned.split_chunk(chunk)
    if changed is None:
        raise ModelError(
            f"memory is exhausted by a single row of example '{planned.chunks[chunk][0]}' ({error}); use a smaller "
            "model, dtype or task.max_prompt_tokens, or a device with more memory."
        ) from error
    if not planned.splits:
        progress.say(
            "a chunk did not fit into memory and was split; the manifest records the new plan "
            "(a lower engine.kv_budget avoids it from the start)."
        )
    return changed


def untraced_note(
    run: RunFolder, manifest: Manifest, rows: Sequence[tuple[str, int]], ids: Mapping[Split, Collection[str]]
) -> list[str]:
    """What to know of wanted rows that were decoded before tracing was on: nothing, or one sentence."""
    table = read_generations(run, manifest.generation_id, [*ROW_KEYS, "trace_temperature"])
    wanted = set(rows)
    missing = [
        row
        for row in table.filter(pc.is_null(table["trace_temperature"])).select(list(ROW_KEYS)).to_pylist()
        if (row["strategy_id"], row["sample"]) in wanted and row["example_id"] in ids.get(row["split"], ())
    ]
    if not missing:
        return []
    in_all = len(wanted) * sum(len(found) for found in ids.values())
    return [
        f"{manifest.task}: {len(missing)} of {in_all} rows were decoded without sampling.trace and keep no traces; to "
        "have them, decode once more into another folder: paths.runs=FOLDER (the tokens will be the same)."
    ]
