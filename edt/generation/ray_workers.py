"""Workers on Ray: processes, here or on a cluster, that each load the model once and decode chunks of a plan.

The command keeps all else: it reads prompts by the tokenizer alone, plans, holds the run's lock, and is the only one
that writes. Where a worker ends, Ray starts another one and repeats the chunk, to the same rows: their noise depends on
nothing but what they are.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from edt.decoding.batching import Cost
from edt.decoding.engine import Engine, PlanLimits
from edt.decoding.engine_specs import ModelEngineSpec
from edt.decoding.request import DecodeRequest, RowRequest, ignore_step
from edt.decoding.sampling import Sampling
from edt.errors import ConfigError, EdtError, WorkerError, one_line
from edt.extras import extra_imports
from edt.generation.chunk_decoder import ChunkDecoder, ChunkKey, DecodedChunk
from edt.generation.cluster_spec import ClusterSpec, host_and_port
from edt.generation.environment import environment_differences
from edt.generation.ray_worker import Answer, Home, Worker, WorkerFacts, packed
from edt.generation.request import GenerationRequest
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Generation
from edt.strategies.base import Strategy

_SECONDS_TO_CONNECT = 10.0
LOSSES = 3
"""How often a chunk is begun again because its worker ended, before that is an error."""
_SECONDS_BETWEEN_NOTES = 60.0
_VARIABLES = ("EDT_", "HF_")
"""Beginnings of the variables that workers take over: where models are, and whether there is a network."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RayEngine(Engine):
    """The engine of the workers, as the command sees it. `model` reads prompts, and has no weights."""

    name = "workers"

    ray: Any
    actors: Sequence[Any]
    mixed: bool
    facts: dict[str, WorkerFacts] = field(default_factory=dict)
    """Of every worker that has answered, by its process."""
    _reported: set[str] = field(default_factory=set)
    _ends: list[Callable[[], object]] = field(default_factory=list)

    @classmethod
    def open(cls, request: GenerationRequest) -> RayEngine:
        """Start the workers and wait until they have loaded the model."""
        with extra_imports("ray", "engine.workers"):
            import ray
        spec, cluster = request.engine, request.cluster
        assert isinstance(spec, ModelEngineSpec)
        # First, and here: what is wrong with the tokenizer needs no worker to be found.
        model = LanguageModel.load(request.model, weights=False)
        # Whoever started Ray ends it: a program of the user's may have other work there.
        began = not ray.is_initialized()
        if began:
            _join(ray, cluster, spec.workers)
        home = Home(
            folder=os.getcwd(),
            module_folders=[os.path.abspath(folder) for folder in sys.path],
            variables={name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)},
        )
        # A worker is one process with one engine.
        settings = packed((replace(spec, workers=None), request.model))
        worker = ray.remote(Worker).options
        nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
        actors = [
            worker(**each, max_restarts=-1, max_task_retries=LOSSES).remote(home, settings, each["num_cpus"])
            for each in _resources(nodes, spec.workers, request.model, cluster)
        ]
        engine = cls(model=model, spec=spec, ray=ray, actors=actors, mixed=cluster.mixed)
        # Also where an engine is only forgotten; called twice, it would end the Ray of another engine.
        engine._ends.append(weakref.finalize(engine, _end, ray, actors, began))
        try:
            engine._load()
        # Its workers would keep the CPUs from those of the next engine.
        except BaseException:
            engine.close()
            raise
        return engine

    def _load(self) -> None:
        """Wait until every worker has loaded the model."""
        loading = [actor.call.remote("facts", packed(())) for actor in self.actors]
        ready: list[Any] = []
        while len(ready) < len(loading):
            ready, _ = self.ray.wait(loading, num_returns=len(loading), timeout=_SECONDS_BETWEEN_NOTES)
            if len(ready) < len(loading):
                logger.info(
                    "%d of %d workers have loaded the model; the others do, or wait for a free CPU or GPU.",
                    len(ready),
                    len(loading),
                )
        for reference in loading:
            self.heard(partial(self.ray.get, reference))

    def close(self) -> None:
        """End the workers."""
        for end in self._ends:
            end()

    def heard(self, wait: Callable[[], Answer]) -> Any:
        """Return the value of an answer, after what else it says. wait: returns the answer when it is there."""
        try:
            answer = wait()
        except self.ray.exceptions.RayTaskError as error:
            # Ours as it is; a mistake in the code keeps the traceback of the worker.
            raise (error.cause if isinstance(error.cause, EdtError) else error) from None
        except self.ray.exceptions.RayActorError as error:
            raise WorkerError(
                f"{LOSSES + 1} workers ended one after the other with the same work; the system ends processes where "
                "memory is short. What was finished is on disk: the same command continues from there. A lower "
                "engine.workers or engine.kv_budget needs less memory."
            ) from error
        for text in answer.warnings:
            # Every worker says the same.
            if text not in self._reported:
                self._reported.add(text)
                logger.warning("%s", text)
        if answer.facts.where not in self.facts:
            if answer.facts.restarted:
                logger.warning("a worker has ended; %s took its place and its work.", answer.facts.where)
            self._check_like_others(answer.facts)
            self.facts[answer.facts.where] = answer.facts
        return answer.value

    def _check_like_others(self, new: WorkerFacts) -> None:
        """Raise ConfigError for a worker whose numbers would differ from those of the first."""
        # All are compared with one, since equality is transitive.
        first = next(iter(self.facts.values()), new)
        if _without_device(first.identity) != _without_device(new.identity):
            raise ConfigError(
                f"two workers have different models ({first.where}, {new.where}): other weights, or another dtype. Let "
                "all machines read the same folder, and set model.dtype."
            )
        different = environment_differences(first.environment, new.environment)
        if different and not self.mixed:
            shown = ", ".join(f"{name} {was} and {now}" for name, (was, now) in different.items())
            raise ConfigError(
                f"two workers differ ({first.where}, {new.where}): {shown}. The last digits of their numbers can then "
                "differ, and rarely a token. cluster.mixed=true allows it; each part names the device that made it."
            )

    @property
    def _smallest(self) -> WorkerFacts:
        """A worker on a CPU, where there are some next to GPUs."""
        return min(self.facts.values(), key=lambda one: one.identity["model"]["device"] != "cpu")

    @property
    def made_on(self) -> Mapping[str, Any]:
        """See Engine."""
        return self._smallest.environment

    def identity(self) -> dict[str, Any]:
        """See Engine."""
        return dict(self._smallest.identity)

    def plan_limits(self) -> PlanLimits:
        """Return the limits that every worker of the beginning has room for."""
        limits = [one.limits for one in list(self.facts.values())[: len(self.actors)]]
        tokens = [one.max_tokens for one in limits if one.max_tokens is not None]
        return PlanLimits(
            budget=min(one.budget for one in limits),
            max_rows=min(one.max_rows for one in limits),
            max_tokens=min(tokens, default=None),
        )

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self.heard(lambda: self.ray.get(self.actors[0].call.remote(method, packed(arguments))))

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine."""
        cost: Cost = self._ask("cost", strategies, tokens)
        return cost

    def noise(self, sampling: Sampling) -> str:
        """See Engine."""
        return str(self._ask("noise", sampling))

    def second_weights(self, strategies: Sequence[Strategy]) -> str:
        """See Engine."""
        return str(self._ask("second_weights", strategies))

    def check_strategies(self, strategies: Sequence[Strategy]) -> None:
        """See Engine. Raises ConfigError also for a strategy that a worker cannot import."""
        self._ask("check_strategies", strategies)

    def rows_together(self, rows: Sequence[RowRequest]) -> int:
        """See Engine."""
        return int(self._ask("rows_together", rows))

    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """See Engine: by one worker."""
        decoder = RayDecoder(self)
        decoder.begin((0, 0), request)
        decoded = decoder.finished()
        if decoded.shortage is not None:
            raise decoded.shortage
        yield from decoded.generations


class RayDecoder(ChunkDecoder):
    """Decodes as many chunks at once as there are workers."""

    def __init__(self, engine: RayEngine) -> None:
        from ray.util import ActorPool

        self._engine, self._pool, self.at_once = engine, ActorPool(list(engine.actors)), len(engine.actors)

    def begin(self, key: ChunkKey, request: DecodeRequest) -> None:
        """See ChunkDecoder."""
        # Progress is counted by chunks: a message for each step would cost more than the step.
        content = packed((key, replace(request, on_step=ignore_step, journal=None)))
        self._pool.submit(lambda actor, content: actor.call.remote("decode_chunk", content), content)

    def finished(self) -> DecodedChunk:
        """See ChunkDecoder."""
        decoded: DecodedChunk = self._engine.heard(self._pool.get_next_unordered)
        return decoded


def _join(ray: Any, cluster: ClusterSpec, workers: int | None) -> None:
    """Start Ray on this machine, or join the cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"address": cluster.address}
    if cluster.address is None:
        # Not by default: it would join a cluster that RAY_ADDRESS names.
        options = {"address": "local", "num_cpus": max(workers or 1, os.cpu_count() or 1), "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if cluster.address is not None:
            _connect(os.environ.get("RAY_ADDRESS", "") if cluster.address == "auto" else cluster.address)
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    # Wide: a machine that has no room for Ray's processes is a plain Exception.
    except Exception as error:
        if cluster.address is None:
            raise WorkerError(f"Ray does not start here ({one_line(error)}); engine.workers=1 needs none.") from error
        # Ray's error does not say that the cluster refused, and to an address it sends the token only on request.
        refused = not isinstance(error, _NothingThereError) and "RAY_AUTH_MODE" not in os.environ
        by_address = cluster.address != "auto" or "RAY_ADDRESS" in os.environ
        raise ConfigError(
            f"there is no Ray cluster that can be joined at cluster.address={cluster.address} ({one_line(error)}). "
            "Start one (`ray start --head`), or leave cluster.address out for this machine alone."
            + (_IF_REFUSED if refused and by_address else "")
        ) from error
    # Ray's own would end the command without a word; that of the command keeps what is finished, and says so.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
    # It prints on stdout, which is for results, that a worker has ended; `heard` says so itself.
    ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None


_IF_REFUSED = (
    " A cluster that was started where ~/.ray/auth_token exists asks for that token: set RAY_AUTH_MODE=token for this "
    "command, or RAY_AUTH_MODE=disabled for every `ray start`."
)


class _NothingThereError(OSError):
    """No program listens at an address."""


def _connect(address: str) -> None:
    """Raise _NothingThereError where nothing answers at HOST:PORT; Ray itself tries for minutes."""
    # What RAY_ADDRESS holds may have other forms, which are Ray's matter.
    parts = host_and_port(address)
    if parts is None:
        return
    try:
        socket.create_connection(parts, timeout=_SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise _NothingThereError(f"nothing answers at {address}: {error}") from error


def _end(ray: Any, actors: Sequence[Any], began: bool) -> None:
    """End the workers, and Ray where this process began with it for them."""
    if ray.is_initialized():
        for actor in actors:
            ray.kill(actor)
        if began:
            ray.shutdown()


def _resources(
    nodes: Sequence[Mapping[str, Any]], workers: int | None, model: ModelSpec, cluster: ClusterSpec
) -> list[dict[str, int]]:
    """Return what each worker gets: a GPU where there are some, else an equal number of CPUs of one machine."""
    if model.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"model.device is '{model.device}', but each worker gets a separate GPU; use auto or cuda.")
    found = [node["Resources"] for node in nodes if node["Alive"]]
    cpus = [int(each.get("CPU", 0)) for each in found]
    gpus = 0 if model.device == "cpu" else sum(int(each.get("GPU", 0)) for each in found)
    # Without a number: one for each GPU, or for each machine.
    wanted = workers or gpus or len(found)
    on_gpu = min(wanted, gpus)
    on_cpu = wanted - on_gpu
    if on_gpu and on_cpu and not cluster.mixed:
        raise ConfigError(
            f"engine.workers is {wanted}, but there are {gpus} GPUs, one for each worker; set engine.workers={gpus}, "
            "or cluster.mixed=true, with which the other workers use CPUs."
        )
    # As many for each as fit so often: 2 workers on machines of 10 and 6 CPUs get 6.
    share = max((n for n in range(1, max(cpus) + 1) if sum(each // n for each in cpus) >= on_cpu), default=0)
    if on_cpu and not share:
        raise ConfigError(f"engine.workers is {wanted}, but there are {sum(cpus)} CPUs; a worker needs one.")
    # A GPU's worker needs no CPU to itself, and 0 leaves torch its own number of threads.
    return [{"num_gpus": 1, "num_cpus": 0}] * on_gpu + [{"num_gpus": 0, "num_cpus": share}] * on_cpu


def _without_device(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {**identity, "model": {**identity["model"], "device": ""}}
