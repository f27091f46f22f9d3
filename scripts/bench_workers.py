"""Time engine.workers=N against one process with all cores, on the same chunks.

    python -m scripts.bench_workers [--workers 2] [--repeats 3] [WORDS of `edt generate`]

The words choose model, task and strategies, as in `edt generate` (default: the embedded model on mini_xlsum). Both
decode the same plan, in turns, each time into a new folder; the model is loaded, and a first run thrown away, before
the clock starts. It also says whether both wrote the same parts, as they do where a worker has as many threads as the
process. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from scripts.bench_common import median_ratio, show, where

from omegaconf import OmegaConf  # isort: skip  after bench_common, which sets the threads' waiting policy

from edt.cli.build import generation_request
from edt.cli.composition import compose
from edt.generation.session import Session

DEFAULT = ["model=mini", "task=mini_xlsum", "task.limit=100", "strategy=edt_grid", "sampling.samples=8"]


def main() -> None:
    """Decode in turns, print the seconds and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args, words = parser.parse_known_args()
    figures = measure(words or DEFAULT, args.workers, args.repeats)
    rows = [[name, " ".join(map(str, seconds))] for name, seconds in figures["seconds"].items()]
    show("The same chunks", ["decoded by", "seconds"], rows, figures)


def measure(words: list[str], workers: int, repeats: int) -> dict[str, Any]:
    """Return the seconds of each, repeat by repeat, and the median of the ratios."""
    config: Any = OmegaConf.to_container(compose("generate", words))
    request = generation_request(config, "generate")
    seconds: dict[int, list[float]] = {0: [], workers: []}
    parts: dict[int, dict[str, bytes]] = {}
    with ExitStack() as ends:
        home = Path(ends.enter_context(TemporaryDirectory(prefix="edt-bench-")))
        sessions: dict[int, Session] = {}
        for count in seconds:
            engine: Any = replace(request.engine, workers=count or None)  # type: ignore[type-var]
            sessions[count] = ends.enter_context(closing(Session.open(replace(request, engine=engine))))
        for repeat in range(repeats + 1):
            for count, session in sessions.items():
                # Another folder: what is on disk would not be decoded again.
                runs = home / f"{count}-{repeat}"
                own = replace(session, request=replace(session.request, runs=runs))
                own.estimate()
                began = perf_counter()
                own.decode()
                # The first is for caches and compilation.
                if repeat:
                    seconds[count].append(perf_counter() - began)
                parts[count] = {path.name: path.read_bytes() for path in sorted(runs.rglob("part-*.parquet"))}
        model: Any = sessions[0].engine.model
    ratio = median_ratio(seconds[0], seconds[workers])
    return {
        "one_process_over_workers": round(ratio, 3),
        "workers": workers,
        "seconds": {
            f"{count} workers" if count else "one process": [round(value, 2) for value in each]
            for count, each in seconds.items()
        },
        "chunks": len(parts[0]),
        "same_parts": parts[0] == parts[workers],
        "cores": os.cpu_count(),
        "words": words,
        **where(model),
    }


if __name__ == "__main__":
    main()
