"""Tasks decoded side by side: on a CPU one process per core serves small batches better than one with many threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from rich.console import Console

from edt.errors import ConfigError
from edt.metrics.suite import MetricsSpec
from edt.pipeline.progress import Progress
from edt.pipeline.protocol import Decoded, Protocol, decode_task, measure_test
from edt.pipeline.request import GenerationRequest
from edt.pipeline.session import Session


@dataclass(frozen=True, kw_only=True)
class Job:
    """One task's share of a study."""

    request: GenerationRequest
    place: int
    """Of the task in the request."""
    protocol: Protocol
    metrics: MetricsSpec

    @property
    def size(self) -> int:
        """How long it may take, by what is known before the examples are: settings × the most tokens of a row."""
        task = self.request.tasks[self.place]
        families = sum(len(family.settings) for family in self.protocol.families.values())
        settings = 2 * families + len(self.protocol.further.get(task.task.name, ()))  # on dev, and on test
        return settings * task.limits(self.request.sampling).max_new_tokens


def jobs_for(asked: int | None, tasks: int) -> int:
    """How many processes decode: as many as asked for, or one per core on a CPU and one on a GPU."""
    if asked is not None and asked < 1:
        raise ConfigError(f"jobs is {asked}; it is a number of processes, 1 or more, or null.")
    if asked is None:
        asked = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    return min(asked, tasks)


def decode_tasks(jobs: Sequence[Job], processes: int) -> list[Decoded]:
    """Decode every task, several at a time where more than one process is to be used."""
    if processes == 1:
        session = Session.open(jobs[0].request)
        return [decode_task(session, job.place, job.protocol, job.metrics) for job in jobs]
    threads = max(1, (os.cpu_count() or 1) // processes)
    longest_first = sorted(jobs, key=lambda job: -job.size)  # so that no process is left alone with it at the end
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (threads,)) as pool:
        found = dict(zip((job.place for job in longest_first), pool.map(_decode, longest_first), strict=True))
    return [found[job.place] for job in jobs]


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)


def _decode(job: Job) -> Decoded:
    progress = Progress(
        Console(stderr=True, force_terminal=False)
    )  # bars of several processes would overwrite each other
    decoded = decode_task(Session.open(job.request, progress), job.place, job.protocol, job.metrics)
    measure_test(decoded, job.metrics, job.request.sampling.samples)  # while other tasks are decoded
    return decoded
