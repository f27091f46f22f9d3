"""Measure what planning, storing, resuming, scoring and reporting cost in a run of thousands of chunks.

    python -m scripts.bench_chunks [--chunks 5000] [--quick]

The mini model prepares the prompts, and every chunk is one example; a stub answers in place of the decoding, so what is
timed is the rest. Seconds per chunk, memory and open files of the last tenth of the chunks are compared with those of
the second tenth (the first warms up): flat costs give ratios near 1. The seals are timed inside of reading and scoring.
The last line is one JSON object. `--quick`: 200 chunks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.bench_common import show, where

from edt.decoding.engine import Engine  # isort: skip  after bench_common, which sets the threads' policy
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.model_engine import ModelEngine
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Sampling
from edt.generation import generate
from edt.generation.passes import plan_decoding
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest, TaskRequest
from edt.generation.session import Session
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.models.spec import ModelSpec
from edt.records import Generation
from edt.report.run_report import read_study
from edt.scoring.score import score_runs
from edt.store import run as run_module
from edt.store.parts import read_generations
from edt.strategies import Fixed
from edt.tasks.base import Template
from edt.tasks.mini.xlsum import MiniXLSum

MAX_TOKENS = 24


def answer(engine: Engine, request: DecodeRequest) -> Iterator[Generation]:
    """Yield a text for every row without a model: the beginning of the prompt, as many tokens as a row may have."""
    for prompt in request.prompts:
        ids = prompt.token_ids[:MAX_TOKENS]
        text = engine.model.decode([list(ids)])[0]
        for row in request.rows:
            strategy = request.strategies[row.strategy]
            yield Generation(
                task=prompt.task,
                split=prompt.split,
                example_id=prompt.example_id,
                cluster_id=prompt.cluster_id,
                strategy_id=strategy.strategy_id,
                family=strategy.family,
                params=strategy.params(),
                granularity=strategy.granularity,
                sample=row.sample,
                token_ids=ids,
                text=text,
                finish_reason="length",
                t_mean=1.0,
                t_min=1.0,
                t_max=1.0,
                h_mean=1.0,
                floored_steps=0,
                prompt_tokens=len(prompt.token_ids),
                truncated_tokens=prompt.truncated_tokens,
            )


class Watch:
    """The moment, the memory and the open files at the end of each chunk."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.mebibytes: list[float] = []
        self.files: list[int] = []

    def note(self) -> None:
        """Take one measurement."""
        self.seconds.append(time.perf_counter())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.mebibytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        self.files.append(len(os.listdir("/proc/self/fd")))

    def growth(self) -> dict[str, float]:
        """Return the last tenth over the second tenth of the chunks."""
        tenth = len(self.seconds) // 10
        early, late = slice(tenth, 2 * tenth), slice(-tenth, None)
        each = [b - a for a, b in zip(self.seconds, self.seconds[1:], strict=False)]
        return {
            "seconds_per_chunk": statistics.median(each),
            "seconds_growth": statistics.median(each[late]) / statistics.median(each[early]),
            "memory_mib": max(self.mebibytes),
            "memory_growth": statistics.median(self.mebibytes[late]) / statistics.median(self.mebibytes[early]),
            "files_growth": statistics.median(self.files[late]) / statistics.median(self.files[early]),
        }


@contextmanager
def timed(owner: Any, name: str) -> Iterator[list[float]]:
    """Give the list of the seconds that each call of a function takes."""
    honest, taken = getattr(owner, name), []

    def call(*values: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return honest(*values, **named)
        finally:
            taken.append(time.perf_counter() - start)

    setattr(owner, name, call)
    try:
        yield taken
    finally:
        setattr(owner, name, honest)


def request_for(chunks: int, settings: int, runs: Path) -> GenerationRequest:
    """Return a request with one chunk per example."""
    task = MiniXLSum(limit=chunks, test_size=chunks, template=Template(head="", source="{text}", tail=" Summary:"))
    return GenerationRequest(
        model=ModelSpec(path="edt:mini", device="cpu"),
        engine=BatchedSpec(max_rows=1),
        tasks=(TaskRequest(task=task, splits=("test",)),),
        strategies=tuple(Fixed(t0=round(0.1 * n, 1)) for n in range(settings)),
        sampling=Sampling(samples=2, max_new_tokens=MAX_TOKENS),
        runs=runs,
        config={},
    )


def measure(session: Session) -> dict[str, float]:
    """Decode, resume after half of the parts were lost, score and report; return the figures."""
    request, prepared = session.request, session.prepared(0)
    chunks = len(prepared.prompts["test"])
    figures: dict[str, float] = {"chunks": chunks, "rows": chunks * len(request.rows)}

    watch = Watch()
    honest = generate.write_part  # type: ignore[attr-defined]

    def write(*values: Any) -> None:
        honest(*values)
        watch.note()

    generate.write_part = write  # type: ignore[attr-defined, assignment]
    type(session.engine).generate = answer  # type: ignore[assignment, method-assign]
    with timed(generate, "plan_decoding") as planning:
        start = time.perf_counter()
        (run,) = session.decode()
        figures["decode_s"] = time.perf_counter() - start
        figures |= watch.growth()
        assert len(run.parts()) == chunks

        for path in run.parts()[::2]:
            path.unlink()
        start = time.perf_counter()
        session.decode()
        figures["resume_half_s"] = time.perf_counter() - start
        start = time.perf_counter()
        session.decode()
        figures["resume_nothing_s"] = time.perf_counter() - start
    figures |= {"plan_fresh_s": planning[0], "plan_half_s": planning[1], "plan_nothing_s": planning[2]}
    assert not plan_decoding(run, request, prepared, session.engine).todo

    phases: dict[str, Callable[[], object]] = {
        "read": lambda: read_generations(run),
        "score": lambda: score_runs([run], MetricsSpec(bootstrap=BootstrapSpec(resamples=1000)), samples=None),
        "report": lambda: read_study([run]),
    }
    for name, work in phases.items():
        with timed(run_module, "check_seal") as checks:
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
        figures |= {f"{name}_s": seconds, f"{name}_seals_share": sum(checks) / seconds}
    size = sum(path.stat().st_size for path in run.parts())
    return figures | {"part_bytes": size / chunks}


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=5000)
    parser.add_argument("--settings", type=int, default=4)
    parser.add_argument("--runs", help="folder of the runs (default: a temporary one)")
    parser.add_argument("--quick", action="store_true", help="200 chunks")
    args = parser.parse_args()
    chunks = 200 if args.quick else args.chunks
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder if args.runs is None else args.runs)
        session = Session.open(request_for(chunks, args.settings, runs), Progress())
        figures = measure(session)
    assert isinstance(session.engine, ModelEngine)
    rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
    rows = [[name.replace("_", " "), f"{value:,.4g}"] for name, value in rounded.items()]
    show("A run of many chunks", ["", ""], rows, {**rounded, **where(session.engine.model)})


if __name__ == "__main__":
    main()
