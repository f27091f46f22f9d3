"""Stage one: from tasks and strategies to generations on disk. Resumes, and generates only what is missing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from edt.decoding.engine import Engine
from edt.decoding.request import DecodeRequest, OnStep
from edt.errors import MemoryExceededError, ModelError, StoreError
from edt.generation.chunk_decoder import ChunkDecoder, OneChunkHere
from edt.generation.passes import chunk_prompts, decode_request, in_this_environment, plan_decoding
from edt.generation.prepare import Prepared
from edt.generation.progress import Advance, Progress
from edt.generation.ray_workers import RayDecoder, RayEngine
from edt.generation.request import GenerationRequest, Row
from edt.logs import announced, log_into
from edt.records import Example, Split
from edt.store.manifest import Manifest, Pass
from edt.store.parts import examples_digest, examples_on_disk, read_generations, write_examples, write_part
from edt.store.rebuild import rebuilt_manifest
from edt.store.run import Run
from edt.strategies.kld import KLD

logger = logging.getLogger(__name__)

_ROW_KEYS = ("split", "example_id", "strategy_id", "sample")


def generate_task(
    request: GenerationRequest, prepared: Prepared, engine: Engine, progress: Progress, phase: str = ""
) -> Run:
    """Decode what is missing of one task, in the splits that have prompts; return the run with all of its passes.

    phase: what of a longer command this is; the progress names it after the task.
    """
    rebuild = rebuilt_manifest if request.repair else None
    with Run.at(request.runs, prepared.manifest).writing(rebuild) as run:
        # Checked before anything is written, but for the log.
        log_into(run.folder)
        examples = [e for subset in prepared.examples.values() for e in subset.examples]
        manifest = _with_references(run, _as_scored_now(run, prepared), examples)
        run = replace(run, manifest=_with_second_models(manifest, request, engine))
        with announced("%s: planning", run.manifest.task):
            plan = in_this_environment(plan_decoding(run, request, prepared, engine), request, engine)
        for what in plan.damaged:
            logger.warning("it is decoded again: %s", what)
        write_examples(run, examples)
        # Saved before the first token: a command that is stopped continues with the same plan.
        run = run.saved(plan.manifest)
        run = _decode_passes(run, plan.todo, request, prepared, engine, progress, phase)

    # After the lock is given back: the warning reads every part, and changes none.
    if request.sampling.trace:
        _warn_of_untraced_rows(run, request.rows, prepared.prompts)
    return run


def _as_scored_now(run: Run, prepared: Prepared) -> Manifest:
    """Return the run's manifest with what the command says of its scoring, which is no part of a run's identity."""
    # The command that runs now decides: with another quality metric, a run that exists would be scored by the old one.
    given = prepared.manifest
    return replace(
        run.manifest,
        quality=given.quality,
        target_language=given.target_language,
        extra_metrics=given.extra_metrics,
        # The same ids, by the run's identity; where the rows come from and how many there are may have changed.
        splits=given.splits,
    )


def _with_references(run: Run, manifest: Manifest, examples: Sequence[Example]) -> Manifest:
    """Return the manifest with the digest of the examples; warn where they are not those of before."""
    now, known = examples_digest(examples), list(manifest.references)
    try:
        before = examples_on_disk(run) if run.examples_path.is_file() else []
    except StoreError as error:
        # They are written again.
        logger.warning("%s", error)
        before = []
    # A folder of before it was recorded has them only in its file.
    if not known and before:
        known = [examples_digest(before)]
    if known and known[-1] != now:
        old = {(e.split, e.example_id): e for e in before}
        changed = sum(old.get((e.split, e.example_id)) != e for e in examples)
        logger.warning(
            "%s: %s of the run have other references (or clusters, or fields for metrics) in the data now; its outputs "
            "are kept, and scores of before no longer count: edt score makes them again.",
            manifest.task,
            f"{changed:,} of {len(examples):,} examples" if before else "examples",
        )
    return replace(manifest, references=(*known, *([] if known and known[-1] == now else [now])))


def _with_second_models(manifest: Manifest, request: GenerationRequest, engine: Engine) -> Manifest:
    """Return the manifest with the weights of kld's second model.

    Raises StoreError when the model's folder holds other weights than when the run began.
    """
    paths = {s.model for s in request.strategies if isinstance(s, KLD) and s.model is not None}
    # Not part of the identity: the strategies are rows, and only those of kld read a second model.
    known = dict(manifest.second_models)

    for path in sorted(paths):
        guided = [s for s in request.strategies if isinstance(s, KLD) and s.model == path]
        weights = engine.second_weights(guided)
        # Checked for every path anew: a folder can be trained further under the same name.
        if known.setdefault(path, weights) != weights:
            raise StoreError(
                f"the second model '{path}' has other weights than when this run began; its generations would mix two "
                "models. Give the new one another path, or another paths.runs."
            )
    return replace(manifest, second_models=known)


def _decode_passes(
    run: Run,
    todo: Sequence[tuple[int, int]],
    request: GenerationRequest,
    prepared: Prepared,
    engine: Engine,
    progress: Progress,
    phase: str,
) -> Run:
    """Decode these chunks of the run's passes; return the run, with chunks that were split."""
    # A study whose experiments decode for themselves needs the folder alone: "0 rows" would be a line of nothing.
    if not request.rows:
        return run

    passes = run.manifest.passes
    rows_to_do = sum(len(passes[n].chunks[chunk]) * len(passes[n].rows) for n, chunk in todo)
    # Rows from before count as done, so that a resumed command shows its progress in the whole.
    rows_in_all = len(request.rows) * sum(len(prompts) for prompts in prepared.prompts.values())

    finished = 0
    waiting, begun = deque(todo), dict[tuple[int, int], int]()
    sizes = {number: _BatchSize(_planned_size(request, prepared, engine, passes[number])) for number, _ in todo}
    label = f"{run.manifest.task}, {phase}" if phase else run.manifest.task
    with (
        _count_at_interrupt(run.manifest.task, lambda: (finished, finished + len(begun) + len(waiting))),
        progress.task(label, total=rows_in_all, done=rows_in_all - rows_to_do, chunks=len(todo)) as advance,
    ):
        decoder = _chunk_decoder(engine, advance)
        while waiting or begun:
            # In the order of the plan. With workers they end in any order, and each is written as it ends: a command
            # that is stopped then loses what is being decoded, and nothing that only waits for its turn.
            while waiting and len(begun) < decoder.at_once:
                number, chunk = waiting.popleft()
                planned, rows = run.manifest.passes[number], sizes[number].rows
                begun_request = _chunk_request(request, prepared, planned, chunk, rows, advance)
                decoder.begin((number, chunk), replace(begun_request, journal=run.journal(number, chunk)))
                begun[number, chunk] = rows
            decoded = decoder.finished()
            (number, chunk), generations, rows = decoded.key, decoded.generations, begun.pop(decoded.key)
            if decoded.shortage is not None:
                advance.end_chunk(0, 0)
                run = _with_less_memory(run, number, chunk, rows, sizes[number], waiting, decoded.shortage)
            else:
                write_part(run, number, chunk, generations, decoded.device)
                run.journal(number, chunk).unlink(missing_ok=True)
                sizes[number].has_fitted()
                finished += 1
                # For the log alone: the terminal has a bar, or a line a minute.
                logger.debug("%s: wrote part %d of pass %d, %d rows", label, chunk, number, len(generations))
                advance.end_chunk(len(generations), sum(len(generation.token_ids) for generation in generations))
    return run


@dataclass
class _BatchSize:
    """The rows of a batch in one pass: as planned, fewer while memory is short, and more again when it is not.

    It is no part of the plan on disk: a shortage, for which another program may be to blame, must not outlast itself.
    """

    planned: int
    rows: int = 0
    _patience: int = 1
    """Chunks that have to fit before more rows are tried; doubled at each shortage, so that a lasting one costs
    little."""
    _fitted: int = 0

    def __post_init__(self) -> None:
        self.rows = self.planned

    def halve(self, rows: int) -> bool:
        """Take half as many rows, of those that a batch really has; return whether that was possible."""
        rows = min(self.rows, rows)
        if rows <= 1:
            return False
        self.rows, self._fitted, self._patience = rows // 2, 0, 2 * self._patience
        return True

    def has_fitted(self) -> None:
        """Count a chunk that was decoded."""
        self._fitted += 1
        if self.rows < self.planned and self._fitted >= self._patience:
            self.rows, self._fitted = min(self.planned, 2 * self.rows), 0


def _planned_size(request: GenerationRequest, prepared: Prepared, engine: Engine, planned: Pass) -> int:
    """Return the rows of a batch that a pass was planned with."""
    if not planned.splits:
        return planned.rows_per_batch
    # Before version 0.2 a shortage of memory was written into the plan, for good.
    prompts = [prompt for chunk in range(len(planned.chunks)) for prompt in chunk_prompts(prepared, planned, chunk)]
    plan = engine.plan(decode_request(request, prepared, planned.rows, prompts))
    return max(planned.rows_per_batch, plan.rows_per_batch)


def _with_less_memory(
    run: Run,
    number: int,
    chunk: int,
    rows: int,
    size: _BatchSize,
    waiting: deque[tuple[int, int]],
    error: MemoryExceededError,
) -> Run:
    """Return the run with a chunk in two, which wait first; one of a single example is decoded in smaller batches.

    rows: of a batch, with which it was too large. Raises ModelError when it cannot be any smaller.
    """
    planned = run.manifest.passes[number]
    if len(planned.chunks[chunk]) == 1:
        tried = min(rows, len(planned.rows))
        # Another worker's chunk may have made the batches smaller since this one was begun.
        if tried <= size.rows and not size.halve(tried):
            raise ModelError(
                f"memory is exhausted by a single row of example '{planned.chunks[chunk][0]}' ({error}); use a smaller "
                "model, dtype or task.max_prompt_tokens, or a device with more memory."
            ) from error
        logger.debug("memory is short; batches of %d rows until it is not.", size.rows)
        waiting.appendleft((number, chunk))
        return run
    if not planned.splits:  # once per pass is enough
        logger.warning(
            "a chunk did not fit into memory and was split; the manifest records the new plan "
            "(a lower engine.kv_budget avoids it from the start)."
        )
    run = run.saved(run.manifest.with_changed_pass(number, planned.split_chunk(chunk)))
    # Next in line: the rest of the plan may fit again.
    waiting.extendleft([(number, len(planned.chunks)), (number, chunk)])
    return run


@contextmanager
def _count_at_interrupt(task: str, chunks: Callable[[], tuple[int, int]]) -> Iterator[None]:
    """Log after Ctrl-C how many chunks are finished, of how many. chunks: returns the two when it happens."""
    # Outermost, so that the bar is gone from the terminal when the line is printed.
    try:
        yield
    except KeyboardInterrupt:
        finished, planned = chunks()
        logger.info("%s: %d of %d chunks are finished.", task, finished, planned)
        raise


def _chunk_decoder(engine: Engine, advance: Advance) -> ChunkDecoder:
    """Return what decodes the chunks."""
    if isinstance(engine, RayEngine):
        return RayDecoder(engine)
    return OneChunkHere(engine, advance.begin_chunk)


def _chunk_request(
    request: GenerationRequest, prepared: Prepared, planned: Pass, chunk: int, rows_per_batch: int, on_step: OnStep
) -> DecodeRequest:
    """Return what one chunk of a pass asks of the engine."""
    prompts = chunk_prompts(prepared, planned, chunk)
    rows = decode_request(request, prepared, planned.rows, prompts)
    in_pass = sum(len(ids) for ids in planned.chunks)
    return replace(rows, rows_per_batch=rows_per_batch, planned_prompts=in_pass, on_step=on_step)


def _warn_of_untraced_rows(run: Run, rows: Sequence[Row], ids: Mapping[Split, Collection[str]]) -> None:
    """Warn of requested rows that were decoded before tracing was on; they are not decoded again."""
    # One of the two traces is enough: both are written together.
    table = read_generations(run, [*_ROW_KEYS, "trace_temperature"])
    wanted = set(rows)

    missing = [
        row
        for row in table.filter(pc.is_null(table["trace_temperature"])).select(list(_ROW_KEYS)).to_pylist()
        if (row["strategy_id"], row["sample"]) in wanted and row["example_id"] in ids.get(row["split"], ())
    ]
    if missing:
        logger.warning(
            "%s: %d of %d rows were decoded without sampling.trace and keep no traces; to have them, decode once more "
            "into another folder: paths.runs=FOLDER (the tokens will be the same).",
            run.manifest.task,
            len(missing),
            len(wanted) * sum(len(of_split) for of_split in ids.values()),
        )
