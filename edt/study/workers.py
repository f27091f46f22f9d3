"""Decode several tasks at once: on a CPU, one process per core serves small batches better than many threads do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from edt.console import stderr_console
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest
from edt.generation.session import Session
from edt.logs import is_command, log_in_worker
from edt.metrics.suite import MetricsSpec
from edt.scoring.compute import check_resamples
from edt.study.protocol import DecodedTask, StudyProtocol, decode_dev, decode_test, measure_test, planned_settings
from edt.worker_processes import worker_processes


@dataclass(frozen=True, kw_only=True)
class _TaskWorker:
    """Decode the tasks of a study, one split at a time. A process opens its session once, for all of its tasks.

    is_alone: whether no other process decodes at the same time.
    """

    request: GenerationRequest
    protocol: StudyProtocol
    metrics: MetricsSpec
    is_alone: bool = True

    @cached_property
    def session(self) -> Session:
        """The model, loaded."""
        # Progress bars of several processes would overwrite each other, so each only prints lines.
        progress = None if self.is_alone else Progress(stderr_console(force_terminal=False))
        return Session.open(self.request, progress)

    def dev(self, index: int) -> DecodedTask:
        """Search the families of task number `index` on dev."""
        check_resamples(self.metrics.bootstrap, self.session.n_examples(index))
        return decode_dev(self.session, index, self.protocol, self.metrics)

    def test(self, index: int, decoded: DecodedTask) -> DecodedTask:
        """Decode the chosen settings on test."""
        decode_test(self.session, index, self.protocol, decoded)
        # With several processes the statistics are computed here too, while other tasks are still being decoded.
        if not self.is_alone:
            measure_test(decoded, self.metrics, self.request.sampling.samples)
        return decoded

    def cost(self, index: int) -> int:
        """Estimate how long a task takes before its examples are known: settings × the most tokens of a row."""
        task = self.request.tasks[index]
        settings = sum(planned_settings(self.protocol, task.task.name))
        # Where stops end a row nobody knows yet, so the form of the prompt does not matter.
        return settings * task.limits(self.request.sampling, chat_template=False).max_new_tokens


def resolve_num_workers(num_workers: int | None, tasks: int) -> int:
    """Return how many processes decode: the configured number, or one per core on a CPU and one on a GPU."""
    if num_workers is None:
        # on one GPU, processes would only compete for its memory
        num_workers = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    return min(num_workers, tasks)


Freeze = Callable[[Sequence[DecodedTask]], None]
"""Receives all tasks once dev is finished, before the first row of test is decoded."""


def decode_tasks(
    request: GenerationRequest, protocol: StudyProtocol, metrics: MetricsSpec, processes: int, freeze: Freeze
) -> list[DecodedTask]:
    """Decode every task, several at a time where `processes` is above 1: dev of all, then test of all."""
    # In this process where one is enough: no second copy of the model, and progress bars.
    indices = range(len(request.tasks))
    if processes == 1:
        worker = _TaskWorker(request=request, protocol=protocol, metrics=metrics)
        with closing(worker.session):
            chosen = [worker.dev(index) for index in indices]
            freeze(chosen)
            return [worker.test(index, decoded) for index, decoded in enumerate(chosen)]

    worker = _TaskWorker(request=request, protocol=protocol, metrics=replace(metrics, num_workers=1), is_alone=False)
    return run_in_processes(worker, processes, sorted(indices, key=lambda index: -worker.cost(index)), freeze)


def run_in_processes(
    worker: _TaskWorker, processes: int, longest_first: Sequence[int], freeze: Freeze
) -> list[DecodedTask]:
    """Decode these tasks in processes, which end with the first error of any task, or with this process."""
    # Cores are divided, or the processes would wait for each other's threads.
    threads = max(1, (os.cpu_count() or 1) // processes)
    begin = [threads, worker, is_command()]
    with worker_processes(processes, _start, begin, setting="num_workers") as pool:
        return schedule(pool, processes, longest_first, freeze)


def schedule(pool: Executor, processes: int, longest_first: Sequence[int], freeze: Freeze) -> list[DecodedTask]:
    """Run dev of every task, the longest first, then freeze the choices of all, then test of every task."""
    chosen = _in_turn(longest_first, processes, lambda index: pool.submit(_dev, index))
    freeze([chosen[index] for index in sorted(chosen)])
    finished = _in_turn(longest_first, processes, lambda index: pool.submit(_test, index, chosen[index]))
    return [finished[index] for index in sorted(finished)]


def _in_turn(
    longest_first: Sequence[int], processes: int, submit: Callable[[int], Future[DecodedTask]]
) -> dict[int, DecodedTask]:
    """Submit the tasks in this order, one per process; the first error of any task ends it."""
    waiting, running, finished = list(longest_first), dict[Future[DecodedTask], int](), dict[int, DecodedTask]()
    while waiting or running:
        # Not all at once, so that an error is not followed by more tasks.
        while waiting and len(running) < processes:
            index = waiting.pop(0)
            running[submit(index)] = index
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            finished[running.pop(done)] = done.result()
    return finished


_worker: list[_TaskWorker] = []
"""The worker of this process, which was spawned for it."""


def _start(threads: int, worker: _TaskWorker, of_command: bool) -> None:
    log_in_worker(of_command=of_command)  # a spawned process begins without the handlers of the command
    torch.set_num_threads(threads)
    _worker.append(worker)


def _dev(index: int) -> DecodedTask:
    return _worker[0].dev(index)


def _test(index: int, decoded: DecodedTask) -> DecodedTask:
    return _worker[0].test(index, decoded)
