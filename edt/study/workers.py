"""Tasks decoded side by side: on a CPU one process per core serves small batches better than one with many threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import active_children, get_context, parent_process

import torch
from rich.console import Console

from edt.errors import ConfigError
from edt.generation.progress import Progress
from edt.generation.request import GenerationRequest
from edt.generation.session import Session
from edt.metrics.suite import MetricsSpec
from edt.study.protocol import Decoded, Protocol, decode_dev, decode_test, measure_test


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a study decodes. A process opens its session once, for all that it is given to do.

    is_alone: whether there is no other process beside it.
    """

    request: GenerationRequest
    protocol: Protocol
    metrics: MetricsSpec
    is_alone: bool = True

    @cached_property
    def session(self) -> Session:
        """The model, loaded. Bars of several processes would overwrite each other, so they only say lines."""
        return Session.open(
            self.request, None if self.is_alone else Progress(Console(stderr=True, force_terminal=False))
        )

    def dev(self, place: int) -> Decoded:
        """The families of the task at `place`, decoded on dev."""
        return decode_dev(self.session, place, self.protocol, self.metrics)

    def test(self, place: int, decoded: Decoded) -> Decoded:
        """Their settings on test. Beside others their statistics too, while other tasks are decoded."""
        decode_test(self.session, place, self.protocol, decoded)
        if not self.is_alone:
            measure_test(decoded, self.metrics, self.request.sampling.samples)
        return decoded

    def size(self, place: int) -> int:
        """How long a task may take, by what is known before the examples are: settings × the most tokens of a row."""
        task = self.request.tasks[place]
        families = sum(len(family.settings) for family in self.protocol.families.values())
        settings = 2 * families + len(self.protocol.further.get(task.task.name, ()))  # on dev, and on test
        return settings * task.limits(self.request.sampling).max_new_tokens


def resolve_num_workers(asked: int | None, tasks: int) -> int:
    """How many processes decode: as many as asked for, or one per core on a CPU and one on a GPU."""
    if asked is not None and asked < 1:
        raise ConfigError(f"num_workers is {asked}; it is a number of processes, 1 or more, or null.")
    if asked is None:
        asked = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    return min(asked, tasks)


def decode_tasks(request: GenerationRequest, protocol: Protocol, metrics: MetricsSpec, processes: int) -> list[Decoded]:
    """Decode every task, several at a time where more than one process is to be used."""
    places = range(len(request.tasks))
    if processes == 1:
        work = Work(request=request, protocol=protocol, metrics=metrics)
        return [work.test(place, work.dev(place)) for place in places]
    work = Work(request=request, protocol=protocol, metrics=replace(metrics, processes=1), is_alone=False)
    return in_processes(work, processes, sorted(places, key=lambda place: -work.size(place)))


def in_processes(work: Work, processes: int, longest_first: Sequence[int]) -> list[Decoded]:
    """The work on these tasks, which ends with the first error of any of them, or with this process."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (threads, work)) as pool:
        try:
            return side_by_side(pool, processes, longest_first)
        except BaseException:
            for child in active_children():
                child.terminate()
            raise


def side_by_side(pool: Executor, processes: int, longest_first: Sequence[int]) -> list[Decoded]:
    """Dev of every task, and test of each once its dev is done; of what can begin dev goes first, then the longest.

    Halves of tasks keep the processes busy longer than whole ones would.
    """
    to_choose, chosen = list(longest_first), dict[int, Decoded]()
    running: dict[Future[Decoded], tuple[int, bool]] = {}
    found: dict[int, Decoded] = {}
    while to_choose or chosen or running:
        while (to_choose or chosen) and len(running) < processes:
            if to_choose:
                place = to_choose.pop(0)
                running[pool.submit(_dev, place)] = place, True
            else:
                place = min(chosen, key=longest_first.index)
                running[pool.submit(_test, place, chosen.pop(place))] = place, False
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            place, is_dev = running.pop(done)
            (chosen if is_dev else found)[place] = done.result()
    return [found[place] for place in sorted(found)]


_work: list[Work] = []
"""Of this process, which was spawned for it."""


def _begin(threads: int, work: Work) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work.append(work)


def _end_with_parent() -> None:
    """A process of a pool waits for work for ever, its parent's end or not."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _dev(place: int) -> Decoded:
    return _work[0].dev(place)


def _test(place: int, decoded: Decoded) -> Decoded:
    return _work[0].test(place, decoded)
