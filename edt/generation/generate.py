"""Stage one: from tasks and strategies to generations on disk. Resumes, and generates only what is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow.compute as pc

from edt.decoding.engine import Engine
from edt.decoding.request import OnStep
from edt.errors import MemoryExceededError, StoreError
from edt.generation.passes import chunk_prompts, chunks_to_decode, decode_request, split_in_two, with_missing_passes
from edt.generation.prepare import Prepared
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest, Row
from edt.ids import digest
from edt.logs import announced, log_into
from edt.records import Generation, Split
from edt.store.manifest import Manifest, Pass
from edt.store.parts import read_generations, write_examples, write_part
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
    with Run.at(request.runs, prepared.manifest).writing() as run:
        # Checked before anything is written, but for the log.
        log_into(run.folder)
        run = replace(run, manifest=_with_second_models(_as_scored_now(run, prepared), request, engine))
        write_examples(run, [e for subset in prepared.examples.values() for e in subset.examples])
        # Saved before the first token: a command that is stopped continues with the same plan.
        with announced("%s: planning", run.manifest.task):
            planned = with_missing_passes(run, request, prepared, engine)
        run = run.saved(planned)
        run = _decode_passes(run, request, prepared, engine, progress, phase)

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
    )


def _with_second_models(manifest: Manifest, request: GenerationRequest, engine: Engine) -> Manifest:
    """Return the manifest with the weights of kld's second model.

    Raises StoreError when the model's folder holds other weights than when the run began.
    """
    paths = {s.model for s in request.strategies if isinstance(s, KLD) and s.model is not None}
    # Not part of the identity: the strategies are rows, and only those of kld read a second model.
    known = dict(manifest.second_models)

    for path in sorted(paths):
        guided = [s for s in request.strategies if isinstance(s, KLD) and s.model == path]
        second = engine.second_models.for_strategies(guided)
        weights = digest(second.identity) if second is not None else ""
        # Checked for every path anew: a folder can be trained further under the same name.
        if known.setdefault(path, weights) != weights:
            raise StoreError(
                f"the second model '{path}' has other weights than when this run began; its generations would mix two "
                "models. Give the new one another path, or another paths.runs."
            )
    return replace(manifest, second_models=known)


def _decode_passes(
    run: Run, request: GenerationRequest, prepared: Prepared, engine: Engine, progress: Progress, phase: str
) -> Run:
    """Decode every chunk of the requested passes that has no part yet; return the run, with chunks that were split."""
    passes = run.manifest.passes
    todo = chunks_to_decode(run, request, prepared)
    rows_to_do = sum(len(passes[n].chunks[chunk]) * len(passes[n].rows) for n, chunk in todo)
    # Rows from before count as done, so that a resumed command shows its progress in the whole.
    rows_in_all = len(request.rows) * sum(len(prompts) for prompts in prepared.prompts.values())

    finished = 0
    label = f"{run.manifest.task}, {phase}" if phase else run.manifest.task
    with (
        _count_at_interrupt(run.manifest.task, lambda: (finished, finished + len(todo))),
        progress.task(label, total=rows_in_all, done=rows_in_all - rows_to_do, chunks=len(todo)) as advance,
    ):
        while todo:
            number, chunk = todo[0]
            planned = run.manifest.passes[number]
            advance.begin_chunk()
            try:
                generations = _decode_chunk(request, prepared, engine, planned, chunk, advance)
            except MemoryExceededError as error:
                advance.end_chunk(0, 0)
                smaller = split_in_two(planned, chunk, error)
                if not planned.splits:  # once per pass is enough
                    logger.warning(
                        "a chunk did not fit into memory and was split; the manifest records the new plan "
                        "(a lower engine.kv_budget avoids it from the start)."
                    )
                run = run.saved(run.manifest.with_changed_pass(number, smaller))
                # A split adds chunks.
                todo = chunks_to_decode(run, request, prepared)
            else:
                # Outside of the try, so that an error of writing is not taken for a chunk that was too large.
                write_part(run, number, chunk, generations)
                finished += 1
                # For the log alone: the terminal has a bar, or a line a minute.
                logger.debug("%s: wrote part %d of pass %d, %d rows", label, chunk, number, len(generations))
                advance.end_chunk(len(generations), sum(len(generation.token_ids) for generation in generations))
                todo = todo[1:]
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


def _decode_chunk(
    request: GenerationRequest, prepared: Prepared, engine: Engine, planned: Pass, chunk: int, on_step: OnStep
) -> list[Generation]:
    """Return the generations of one chunk of a pass."""
    prompts = chunk_prompts(prepared, planned, chunk)
    rows = decode_request(request, prepared, planned.rows, prompts)
    return list(engine.generate(replace(rows, rows_per_batch=planned.rows_per_batch, on_step=on_step)))


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
