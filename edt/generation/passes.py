"""What a run lacks of the requested rows, planned as passes: rows × chunks of prompts that fit into memory.

A row is a strategy and a sample index. A pass decodes the same rows of every prompt in its chunks; one chunk of one
pass is one part on disk. The plan is in the manifest before the first token is decoded, so a command that was stopped
continues with the same chunks and writes the same bytes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from edt.decoding.engine import Engine
from edt.decoding.request import DecodeRequest, RowRequest
from edt.errors import DamagedFileError, StoreError
from edt.generation.environment import environment, environment_differences
from edt.generation.prepare import Prepared
from edt.generation.request import GenerationRequest, Row
from edt.records import Prompt, Split
from edt.store.manifest import Manifest, Pass
from edt.store.parts import read_part
from edt.store.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecodingPlan:
    """The manifest of a run with a pass for every requested row, and the (pass, chunk) that are still to decode.

    damaged: what is wrong with parts that are decoded again.
    """

    manifest: Manifest
    todo: Sequence[tuple[int, int]]
    damaged: Sequence[str] = ()


def plan_decoding(run: Run, request: GenerationRequest, prepared: Prepared, engine: Engine) -> DecodingPlan:
    """Plan passes for every requested row that is neither on disk nor in an unfinished pass; nothing is written.

    A damaged part counts as missing: its chunk is decoded again.
    """
    manifest = run.manifest
    wanted = set(request.rows)
    # Once for each pass, and once the folder: a run has thousands of chunks.
    requested = [
        number
        for number, planned in enumerate(manifest.passes)
        # A pass of which the request does not name every row is left as it is. `Prepared.only` leaves splits out;
        # their chunks wait for a command that wants them.
        if planned.split in prepared.prompts and wanted.issuperset(planned.rows)
    ]
    strategy_ids = {name for name, _ in wanted}
    covered, whole, damaged = _rows_on_disk(run, prepared.prompts, strategy_ids, can_replace=set(requested))

    # Rows of unfinished passes count as covered: their chunks are decoded as they were planned.
    todo = []
    for number in requested:
        planned = manifest.passes[number]
        for chunk, ids in enumerate(planned.chunks):
            if ids and (number, chunk) not in whole:
                todo.append((number, chunk))
                for example_id in ids:
                    covered[planned.split, example_id].update(planned.rows)

    # Prompts that lack the same rows share a pass.
    added = []
    for split, prompts in prepared.prompts.items():
        groups: dict[frozenset[Row], list[Prompt]] = defaultdict(list)
        for example_id, prompt in prompts.items():
            missing = frozenset(wanted - covered[split, example_id])
            if missing:
                groups[missing].append(prompt)
        added += [_new_pass(request, prepared, engine, split, missing, group) for missing, group in groups.items()]
    first = len(manifest.passes)
    todo += [(first + n, chunk) for n, one in enumerate(added) for chunk in range(len(one.chunks))]
    return DecodingPlan(replace(manifest, passes=(*manifest.passes, *added)), todo, damaged)


def in_this_environment(plan: DecodingPlan, request: GenerationRequest, engine: Engine) -> DecodingPlan:
    """Return the plan with this command's environment in every pass that it continues under another one.

    Warns of a run that continues under other versions, on another device or with other threads. With `request.strict`
    that is a StoreError.
    """
    now = environment(request.command, engine)
    passes = list(plan.manifest.passes)
    to_decode = {number for number, _ in plan.todo}
    differences: dict[str, tuple[str, str]] = {}
    for number, one in enumerate(passes):
        changed = environment_differences(one.continued[-1] if one.continued else one.environment, now)
        # What is decoded now stands in one table with the passes of before.
        if to_decode:
            differences |= changed
        if changed and number in to_decode:
            passes[number] = replace(one, continued=(*one.continued, now))
    if differences:
        _report_environment(plan.manifest, differences, strict=request.strict)
    return replace(plan, manifest=replace(plan.manifest, passes=tuple(passes)))


_reported: set[tuple[str, str]] = set()
"""What this process has warned of: a search decodes in a run many times."""


def _report_environment(manifest: Manifest, differences: Mapping[str, tuple[str, str]], *, strict: bool) -> None:
    changes = ", ".join(f"{name} {is_now} (before: {was})" for name, (was, is_now) in differences.items())
    text = (
        f"{manifest.task}: the run was begun in another environment than this one, {changes}; the last digits of its "
        "numbers can differ from here on, and rarely a token."
    )
    if strict:
        raise StoreError(
            f"{text} strict=true refuses that: use the environment of before, or another paths.runs, or strict=false."
        )
    if (manifest.generation_id, changes) not in _reported:
        logger.warning("%s Each pass records its own; strict=true refuses, another paths.runs begins anew.", text)
        _reported.add((manifest.generation_id, changes))


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
    added = {strategy.strategy_id for strategy in request.strategies[: request.scale_settings]}
    return Pass(
        split=split,
        rows=rows,
        chunks=plan.chunks,
        rows_per_batch=plan.rows_per_batch,
        # Per pass: a later command can run with other versions on another machine.
        environment=environment(request.command, engine),
        scale=tuple(dict.fromkeys(name for name, _ in rows if name in added)),
    )


def _rows_on_disk(
    run: Run, splits: Collection[str], strategy_ids: Collection[str], can_replace: Collection[int]
) -> tuple[dict[tuple[str, str], set[Row]], set[tuple[int, int]], list[str]]:
    """Return the done-set, the (pass, chunk) that have a whole part, and what is wrong with damaged parts.

    The done-set holds rows by (split, example), at least those of these strategies in these splits. can_replace: the
    passes of which a damaged part is decoded again; one of another pass is a DamagedFileError.
    """
    done: dict[tuple[str, str], set[Row]] = defaultdict(set)
    present, damaged = run.present_chunks(), []
    names = ("split", "example_id", "strategy_id", "sample")
    for number, planned in enumerate(run.manifest.passes):
        # Parts of other strategies are not opened: a search looks often, in a run that grows.
        if planned.split not in splits or not any(name in strategy_ids for name, _ in planned.rows):
            continue
        for chunk in range(len(planned.chunks)):
            if (number, chunk) not in present:
                continue
            try:
                table = read_part(run, run.part(number, chunk), names)
            except DamagedFileError as error:
                # Its other rows are no business of this command, and would be lost to every reader.
                if number not in can_replace:
                    raise
                present.remove((number, chunk))
                damaged.append(str(error))
                continue
            for split, example_id, strategy_id, sample in zip(*(table[n].to_pylist() for n in names), strict=True):
                done[split, example_id].add((strategy_id, sample))
    return done, present, damaged
