"""A worker on Ray: what runs in a separate process, on this or another machine. See `ray_workers`."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edt.errors import ConfigError, EdtError

# Torch is imported when the model is loaded: by then Ray has chosen the GPU, and the variables are set.
if TYPE_CHECKING:
    from edt.decoding.engine import Engine, PlanLimits


@dataclass(frozen=True, kw_only=True)
class Home:
    """What a worker takes over from the command: where modules and relative paths are looked up, and variables."""

    folder: str
    module_folders: Sequence[str]
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """What a worker is: its process, what its numbers depend on, and what it has room for."""

    where: str
    environment: Mapping[str, Any]
    identity: Mapping[str, Any]
    limits: PlanLimits
    restarted: bool = False
    """Whether it took the place of a worker that has ended, also of one that was still loading the model."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a worker returns; with its facts, since Ray puts another process in the place of one that has ended."""

    value: Any
    facts: WorkerFacts
    warnings: Sequence[str]


class Worker:
    """Loads the model once and decodes chunks. settings: of the engine and the model, packed. threads: 0: torch's."""

    def __init__(self, home: Home, settings: bytes, threads: int) -> None:
        os.environ.update(home.variables)
        # A worker that was given no GPU must not see one: it would share that of another worker.
        if threads:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        sys.path += [folder for folder in home.module_folders if folder not in sys.path]
        with suppress(OSError):  # another machine may not have the folder
            os.chdir(home.folder)
        self._settings, self._threads, self._log = settings, threads, _Warnings()
        logging.getLogger("edt").addHandler(self._log)

    def call(self, method: str, arguments: bytes) -> Answer:
        """Return what a method of the engine returns; `decode_chunk` decodes a chunk, and `facts` needs no more."""
        from edt.generation.chunk_decoder import decode_chunk

        self._log.texts.clear()
        facts, given = self._facts, _unpacked(arguments)
        if method == "decode_chunk":
            value: Any = decode_chunk(self._engine, *given)
        else:
            value = None if method == "facts" else getattr(self._engine, method)(*given)
        return Answer(value=value, facts=facts, warnings=list(self._log.texts))

    # At the first call and not when the process begins: there Ray would hide the error.
    @cached_property
    def _engine(self) -> Engine:
        import torch

        if self._threads:
            torch.set_num_threads(self._threads)
        spec, model = _unpacked(self._settings)
        engine: Engine = spec.open(model)
        return engine

    @cached_property
    def _facts(self) -> WorkerFacts:
        import ray

        from edt.generation.environment import environment

        engine, where = self._engine, f"process {os.getpid()} on {socket.gethostname()}"
        limits = engine.plan_limits()
        return WorkerFacts(
            where=where,
            environment=environment(),
            identity=engine.identity(),
            limits=limits,
            restarted=bool(ray.get_runtime_context().was_current_actor_reconstructed),
        )


_REMEDY = (
    "A strategy or task of your own must be a class of a module that every machine can import: install its package "
    "there, or put its folder on PYTHONPATH."
)


def packed(value: Any) -> bytes:
    """Return what a worker reads as this value. Raises ConfigError for what no other process can read."""
    try:
        return pickle.dumps(value)
    # Of a class that is defined within a function, say; which of them depends on the version of Python.
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"a worker cannot be given what this command uses ({error}). {_REMEDY}") from error


def _unpacked(content: bytes) -> Any:
    try:
        return pickle.loads(content)  # noqa: S301  of the command that started this worker
    except EdtError:
        raise
    # Whatever the import of a module of the user's raises.
    except Exception as error:
        host = socket.gethostname()
        raise ConfigError(f"a worker on {host} cannot import what this command uses ({error}). {_REMEDY}") from error


class _Warnings(logging.Handler):
    """Keeps warnings, which the command prints: nobody looks at a worker's own output."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
