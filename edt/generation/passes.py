"""What a run lacks of the requested rows, planned as passes: rows × chunks of prompts that fit into memory.

A row is a strategy and a sample index. A pass decodes the same rows of every prompt in its chunks; one chunk of one
pass is one part on disk. The plan is in the manifest before the first token is decoded, so a command that was stopped
continues with the same chunks and writes the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from edt.decoding.engine import Engine
from edt.decoding.request import DecodeRequest, RowRequest
from edt.errors import MemoryExceededError, ModelError
from edt.generation.environment import environment
from edt.generation.prepare import Prepared
from edt.generation.request import GenerationRequest, Row
from edt.records import Prompt, Split
from edt.store.manifest import Manifest, Pass
from edt.store.parts import parts_with, read_generations
from edt.store.run import Run


def with_missing_passes(run: Run, request: GenerationRequest, prepared: Prepared, engine: Engine) -> Manifest:
    """Return the manifest with passes for every requested row that is neither on disk nor in an unfinished pass."""
    manifest = run.manifest
    wanted = set(request.rows)

    # Rows of unfinished passes count as covered: their chunks are decoded as they were planned.
    covered = _rows_on_disk(run, prepared.prompts, {name for name, _ in wanted})
    for number, planned in enumerate(manifest.passes):
        if _is_wanted(planned, wanted):
            for chunk, ids in enumerate(planned.chunks):
                if not run.part(number, chunk).is_file():
                    for example_id in ids:
                        covered[planned.split, example_id].update(planned.rows)

    # Prompts that lack the same rows share a pass.
    for split, prompts in prepared.prompts.items():
        groups: dict[frozenset[Row], list[Prompt]] = defaultdict(list)
        for example_id, prompt in prompts.items():
            missing = frozenset(wanted - covered[split, example_id])
            if missing:
                groups[missing].append(prompt)
        for missing, group in groups.items():
            manifest = manifest.with_pass(_new_pass(request, prepared, engine, split, missing, group))
    return manifest


def chunks_to_decode(run: Run, request: GenerationRequest, prepared: Prepared) -> list[tuple[int, int]]:
    """Return the (pass, chunk) that are requested and have no part yet."""
    wanted = set(request.rows)
    return [
        (number, chunk)
        for number, planned in enumerate(run.manifest.passes)
        # `Prepared.only` leaves splits out; their chunks wait for a command that wants them.
        if planned.split in prepared.prompts and _is_wanted(planned, wanted)
        for chunk in range(len(planned.chunks))
        if not run.part(number, chunk).is_file()
    ]


def chunk_prompts(prepared: Prepared, planned: Pass, chunk: int) -> list[Prompt]:
    """Return the prompts of one chunk of a pass."""
    return [prepared.prompts[planned.split][example_id] for example_id in planned.chunks[chunk]]  # type: ignore[index]


def decode_request(
    request: GenerationRequest, prepared: Prepared, rows: Sequence[Row], prompts: Sequence[Prompt]
) -> DecodeRequest:
    """Return what the engine is to decode: these rows of these prompts, as indices into the request's strategies."""
    # By id: the plan on disk names strategies, whose order in this request may be another.
    index = {strategy.strategy_id: i for i, strategy in enumerate(request.strategies)}
    return DecodeRequest(
        prompts=prompts,
        strategies=request.strategies,
        rows=[RowRequest(index[strategy_id], sample) for strategy_id, sample in rows],
        sampling=request.sampling,
        limits=prepared.limits,
    )


def split_in_two(planned: Pass, chunk: int, error: MemoryExceededError) -> Pass:
    """Return the pass with this chunk split. Raises ModelError when it cannot be any smaller."""
    changed = planned.split_chunk(chunk)
    if changed is None:
        raise ModelError(
            f"memory is exhausted by a single row of example '{planned.chunks[chunk][0]}' ({error}); use a smaller "
            "model, dtype or task.max_prompt_tokens, or a device with more memory."
        ) from error
    return changed


def _new_pass(
    request: GenerationRequest,
    prepared: Prepared,
    engine: Engine,
    split: Split,
    missing: frozenset[Row],
    prompts: Sequence[Prompt],
) -> Pass:
    """Plan the decoding of these rows of these prompts, in the request's order of strategies."""
    # In the order of the request: a set has none, and the same command must plan the same bytes.
    rows = tuple(row for row in request.rows if row in missing)
    plan = engine.plan(decode_request(request, prepared, rows, prompts))
    return Pass(
        split=split,
        rows=rows,
        chunks=plan.chunks,
        rows_per_batch=plan.rows_per_batch,
        # Per pass: a later command can run with other versions on another machine.
        environment=environment(request.command),
    )


def _rows_on_disk(run: Run, splits: Collection[str], strategy_ids: Collection[str]) -> dict[tuple[str, str], set[Row]]:
    """Return the done-set: rows by (split, example), at least those of these strategies in these splits."""
    done: dict[tuple[str, str], set[Row]] = defaultdict(set)
    # Parts of other strategies are not opened: a search looks often, in a run that grows.
    names = ("split", "example_id", "strategy_id", "sample")
    table = read_generations(run, names, parts=parts_with(run, splits, strategy_ids))
    for split, example_id, strategy_id, sample in zip(*(table[name].to_pylist() for name in names), strict=True):
        done[split, example_id].add((strategy_id, sample))
    return done


def _is_wanted(planned: Pass, wanted: set[Row]) -> bool:
    """Return whether the request names every row of the pass; otherwise its missing chunks are left as they are."""
    return set(planned.rows) <= wanted
