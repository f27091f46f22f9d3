"""Workers on Ray: the same parts as one process, whatever happens to the workers."""

import gc
import importlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import warnings
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from edt.cli import main
from edt.decoding.engine import PlanLimits
from edt.errors import ConfigError, ModelError, WorkerError
from edt.generation import generate
from edt.generation.cluster_spec import ClusterSpec
from edt.generation.ray_worker import Answer, WorkerFacts
from edt.generation.ray_workers import RayEngine, _join, _resources
from edt.generation.session import Session
from edt.models.spec import ModelSpec
from edt.strategies import Fixed
from tests.support.processes import descendants, is_running, linux, until
from tests.support.small_runs import bytes_of, rows_of, run_of
from tests.support.worker_strategies import Deadly, Narrow, Slow

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """Ray with two CPUs, which all tests of this module share: it takes seconds to start."""
    _join(ray, ClusterSpec(), 2)
    yield
    with warnings.catch_warnings():
        # Ray leaves the objects of its own processes behind, without waiting for them.
        warnings.simplefilter("ignore", ResourceWarning)
        ray.shutdown()
        gc.collect()


def on_workers(request, workers=2):
    return replace(request, engine=replace(request.engine, workers=workers))


def process_of(engine):
    """The process of the worker that answered last."""
    return int(re.match(r"process (\d+)", list(engine.facts)[-1]).group(1))


def test_the_parts_are_those_of_one_process(cluster, ask, tmp_path):
    whole = run_of(ask(runs=tmp_path / "one", splits=("dev", "test")))
    run = run_of(on_workers(ask(splits=("dev", "test"))))
    assert run.folder.name == whole.folder.name
    assert bytes_of(run) == bytes_of(whole)
    assert len(bytes_of(run)) > 4
    # What is on disk is not decoded again.
    before = {path: path.stat().st_mtime_ns for path in run.parts()}
    run_of(on_workers(ask(splits=("dev", "test"))))
    assert {path: path.stat().st_mtime_ns for path in run.parts()} == before


@linux
def test_a_worker_that_is_killed_costs_nothing(cluster, ask, tmp_path, monkeypatch, caplog):
    whole = bytes_of(run_of(ask(runs=tmp_path / "one", samples=4)))
    session = Session.open(on_workers(ask(samples=4)))
    honest, killed = generate.write_part, []

    def killing(*arguments):
        honest(*arguments)
        # After the first part, and after one of those that the replacement has a share in.
        if len(killed) < 2 and len(session.engine.facts) == 2 + len(killed):
            killed.append(process_of(session.engine))
            os.kill(killed[-1], signal.SIGKILL)

    monkeypatch.setattr(generate, "write_part", killing)
    with closing(session):
        (run,) = session.decode()
    assert bytes_of(run) == whole
    assert len(set(killed)) == 2
    assert "a worker has ended; process" in caplog.text


@linux
def test_a_worker_that_is_killed_while_it_loads_is_reported(cluster, ask, monkeypatch, caplog):
    killed = []

    def killing(engine):
        # Not at once: what has no process yet cannot be killed.
        until(lambda: _worker_processes(engine))
        killed.append(_worker_processes(engine)[0])
        os.kill(killed[0], signal.SIGKILL)
        honest(engine)

    honest = RayEngine._load
    monkeypatch.setattr(RayEngine, "_load", killing)
    with closing(Session.open(on_workers(ask(samples=1)))) as session:
        assert process_of(session.engine) not in killed
        (run,) = session.decode()
    assert rows_of(run)
    assert caplog.text.count("a worker has ended; process") == 1


def _worker_processes(engine):
    """The processes of the engine's workers that Ray knows by now."""
    from ray._private.state import actors

    known = [actors(actor_id=each._actor_id.hex()) for each in engine.actors]
    return [each["Pid"] for each in known if each and each.get("State") == "ALIVE" and each.get("Pid")]


@pytest.mark.long
@pytest.mark.timeout(1200)
@linux
def test_ten_workers_are_killed_at_random_moments(cluster, ask, tmp_path):
    """While they decode, load the model or wait: each some time after a part was written."""
    request = ask([Slow(t0=1)], splits=("dev", "test"), max_rows=2)
    whole = bytes_of(run_of(replace(request, runs=tmp_path / "one")))
    assert len(whole) > 10
    session, chance, killed, done = Session.open(on_workers(request)), random.Random(0), [], threading.Event()

    def kill():
        while len(killed) < 10 and not done.is_set():
            # Not more often than parts are finished, or a chunk could lose all of its tries.
            if len(list(request.runs.rglob("part-*.parquet"))) > len(killed):
                done.wait(chance.uniform(0, 1.2))
                for process in chance.sample(workers(), min(1, len(workers()))):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
            done.wait(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        (run,) = session.decode()
    finally:
        done.set()
        killer.join()
        session.close()
    assert bytes_of(run) == whole
    assert len(killed) >= 10, f"only {len(killed)} were killed before the run ended"


def workers():
    """The processes of this test's workers."""
    found = []
    for process in descendants(os.getpid()):
        with suppress(OSError):
            if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::Worker") and is_running(process):
                found.append(process)
    return found


def test_a_chunk_that_ends_each_worker_is_an_error(cluster, ask):
    with pytest.raises(WorkerError, match=r"4 workers ended one after the other .*the same command continues"):
        run_of(on_workers(ask([Deadly(t0=1)])))


def test_a_shortage_of_memory_in_a_worker_splits_the_chunk(cluster, ask):
    """And then decodes smaller batches: two workers find that out at the same time."""
    run = run_of(on_workers(ask([Narrow(t0=1)], samples=100, max_rows=1000)))
    (planned,) = run.manifest.passes
    ids = [ids for chunk in planned.chunks for ids in chunk]
    assert planned.splits > 1
    assert sorted(ids) == sorted(run.manifest.splits["test"]["ids"])
    assert len(rows_of(run)) == 100 * len(ids)


def test_an_error_in_a_worker_is_that_of_one_process(cluster, ask, tmp_path):
    # The tokenizer is there, and the command finds nothing wrong: only a worker reads the weights.
    folder = shutil.copytree(ask().model.path, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"damaged")
    request = replace(ask(), model=ModelSpec(path=str(folder), device="cpu"))
    with pytest.raises(ModelError) as alone:
        run_of(request)
    with pytest.raises(ModelError) as error:
        run_of(on_workers(request))
    assert str(error.value) == str(alone.value)


def test_a_strategy_that_a_worker_cannot_import_is_an_error(cluster, ask, tmp_path, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Inner(Fixed):
        family = "inner"

    with pytest.raises(ConfigError, match=r"cannot be given what this command uses \(.*Inner.*PYTHONPATH"):
        run_of(on_workers(ask([Inner(t0=1)])))

    # Importable here, where the folder became known after the workers had begun.
    session = Session.open(on_workers(ask()))
    text = "from edt.strategies import Fixed\nclass Late(Fixed):\n    family = 'late'\n"
    (tmp_path / "late_strategy.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    Late = importlib.import_module("late_strategy").Late

    with pytest.raises(ConfigError, match=r"cannot import what this command uses \(No module named 'late_strategy'"):
        session.decode([Late(t0=1)])
    # The workers are whole, and those that begin now know the folder.
    session.decode([Fixed(t0=1)])
    session.close()
    run_of(on_workers(ask([Late(t0=1)])))


WORDS = ["generate", "task=mini_xlsum", "task.limit=12", "strategy=fixed", "strategy.t0=[0.5,1]", "engine.max_rows=4"]


@linux
def test_ctrl_c_ends_all_processes_and_the_run_continues(tmp_path, capsys):
    words = [*WORDS, "sampling.samples=8", "sampling.max_new_tokens=16", "model.device=cpu"]
    command = [sys.executable, "-m", "edt", *words, "engine.workers=2", f"paths.runs={tmp_path / 'two'}"]
    # A group of its own, all of which gets the signal, as from a terminal.
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)
    until(lambda: list((tmp_path / "two").rglob("part-*.parquet")) or process.poll() is not None, 240)
    children = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Finished parts are kept; the same command continues from there." in err
    assert out == ""
    assert len(children) > 3
    until(lambda: not any(map(is_running, children)), 60)

    # Another number of workers, none here, continues with the same plan. With other threads than a worker's one, sums
    # have another order, and the last digits of a mean may differ.
    stopped = {path.name for path in (tmp_path / "two").rglob("part-*.parquet")}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert main([*words, f"paths.runs={tmp_path / 'two'}"]) == 0
        assert main([*words, f"paths.runs={tmp_path / 'one'}"]) == 0
    finally:
        torch.set_num_threads(threads)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / n).rglob("part-*")} for n in ("one", "two"))
    assert one == two
    assert 0 < len(stopped) < len(one)


NODE = {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 2.0}}
TEN, SIX = ({"Alive": True, "Resources": {"CPU": number}} for number in (10.0, 6.0))
GPU, CPUS = {"num_gpus": 1, "num_cpus": 0}, {"num_gpus": 0}


@pytest.mark.parametrize(
    ("nodes", "workers", "device", "mixed", "wanted"),
    [
        ([NODE], None, "auto", False, [GPU, GPU]),
        ([NODE, NODE], 3, "cuda", False, [GPU] * 3),
        ([NODE], 4, "cpu", False, [{**CPUS, "num_cpus": 4}] * 4),
        ([TEN, SIX], None, "cpu", False, [{**CPUS, "num_cpus": 6}] * 2),
        ([NODE, SIX], None, "cpu", False, [{**CPUS, "num_cpus": 8}] * 2),
        ([NODE], 3, "auto", True, [GPU, GPU, {**CPUS, "num_cpus": 16}]),
        ([NODE, {**NODE, "Alive": False}], None, "auto", False, [GPU, GPU]),
        ([SIX], 6, "auto", False, [{**CPUS, "num_cpus": 1}] * 6),
    ],
)
def test_what_each_worker_gets(nodes, workers, device, mixed, wanted):
    spec, cluster = ModelSpec(path="edt:mini", device=device), ClusterSpec(mixed=mixed)
    assert _resources(nodes, workers, spec, cluster) == wanted


@pytest.mark.parametrize(
    ("nodes", "workers", "device", "said"),
    [
        ([NODE], 3, "auto", "engine.workers is 3, but there are 2 GPUs, .*cluster.mixed=true"),
        ([SIX], 7, "auto", "engine.workers is 7, but there are 6 CPUs"),
        ([NODE], 2, "cuda:1", "model.device is 'cuda:1', but each worker gets a separate GPU"),
    ],
)
def test_resources_that_are_not_there(nodes, workers, device, said):
    with pytest.raises(ConfigError, match=said):
        _resources(nodes, workers, ModelSpec(path="edt:mini", device=device), ClusterSpec())


def facts(where, device="cpu", dtype="float32", budget=10, version="1"):
    made_on = {"packages": {"torch": version}, "platform": "Linux", "device_name": device, "threads": 1}
    identity = {"engine": "edt", "model": {"device": device, "dtype": dtype}}
    limits = PlanLimits(budget=budget, max_rows=budget, max_tokens=budget)
    return WorkerFacts(where=where, environment=made_on, identity=identity, limits=limits)


def engine_of(*several, mixed=False):
    engine = RayEngine(model=None, spec=None, ray=ray, actors=several, mixed=mixed)
    for each in several:
        engine.heard(lambda each=each: Answer(value=None, facts=each, warnings=["slow"]))
    return engine


def test_the_plan_fits_the_smallest_worker_and_the_run_is_named_by_it(caplog):
    engine = engine_of(facts("a", "cuda", budget=30), facts("b", budget=20), facts("c", budget=25), mixed=True)
    assert engine.plan_limits() == PlanLimits(budget=20, max_rows=20, max_tokens=20)
    assert engine.identity()["model"]["device"] == engine.made_on["device_name"] == "cpu"
    # What every worker says is said once.
    assert caplog.messages == ["slow"]
    # A smaller one in the place of another leaves the plan as it is.
    engine.heard(lambda: Answer(value=None, facts=facts("d", budget=1), warnings=[]))
    assert engine.plan_limits().budget == 20


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (facts("b", "cuda"), r"\(a, b\): device cpu and cuda\. .*cluster.mixed=true"),
        (facts("b", version="2"), r"\(a, b\): torch 1 and 2\."),
        (facts("b", "cuda", dtype="bfloat16"), "different models .*set model.dtype"),
    ],
)
def test_workers_that_differ_are_refused(other, said):
    with pytest.raises(ConfigError, match=said):
        engine_of(facts("a"), other)


def test_other_weights_are_refused_also_where_devices_may_differ():
    with pytest.raises(ConfigError, match="different models"):
        engine_of(facts("a"), facts("b", dtype="float64"), mixed=True)


def test_a_cluster_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def nothing(**options):
        raise ConnectionError("Could not find any running Ray instance.")

    missing = SimpleNamespace(init=nothing)
    with pytest.raises(
        ConfigError, match=r"no Ray cluster that can be joined at cluster.address=auto \(Could not .*ray start --head"
    ):
        _join(missing, ClusterSpec(address="auto"), None)
    with pytest.raises(WorkerError, match=r"Ray does not start here \(Could not .*engine.workers=1"):
        _join(missing, ClusterSpec(), 2)


@pytest.mark.parametrize("named_by", ["key", "variable"])
def test_an_address_where_nothing_answers_is_an_error_at_once(named_by, monkeypatch):
    """Ray itself tries for minutes, and prints each attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address if named_by == "variable" else "")
    given = "auto" if named_by == "variable" else address
    asked = []
    never = SimpleNamespace(init=lambda **options: asked.append(options))
    with pytest.raises(
        ConfigError, match=f"cluster.address={given} .*nothing answers at {address}: .*ray start --head"
    ):
        _join(never, ClusterSpec(address=given), None)
    assert not asked


@pytest.mark.parametrize(("mode", "hinted"), [(None, True), ("token", False)])
def test_a_cluster_that_may_ask_for_a_token_is_named_so(mode, hinted, monkeypatch):
    """Ray says no more than that it failed, where the cluster wants a token that an explicit address is not sent."""

    def refuses(**options):
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setenv("RAY_AUTH_MODE", mode or "")
    if mode is None:
        monkeypatch.delenv("RAY_AUTH_MODE")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"can be joined at .*\(Failed to connect") as error:
            _join(SimpleNamespace(init=refuses), ClusterSpec(address=address), None)
    assert ("set RAY_AUTH_MODE=token for this command" in str(error.value)) == hinted


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "head-1.cluster:6379", "[::1]:6379", "auto"])
def test_an_address_is_auto_or_host_and_port(address):
    assert ClusterSpec(address=address).address == address


@pytest.mark.parametrize("address", ["", "head", "head:", ":6379", "head:0", "head:65536", "ray://head:10001", "a b:1"])
def test_another_address_is_refused(address):
    with pytest.raises(ConfigError, match=f"cluster.address is '{address}'; it must be auto or HOST:PORT"):
        ClusterSpec(address=address)


def test_the_usage_report_is_off_and_sigterm_stays_the_commands(cluster, monkeypatch):
    asked = []
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "of a test, to be set back")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    handler = signal.getsignal(signal.SIGTERM)
    fake = SimpleNamespace(
        init=lambda **options: (asked.append(options), signal.signal(signal.SIGTERM, lambda *a: None)),
        _private=SimpleNamespace(worker=SimpleNamespace()),
    )
    _join(fake, ClusterSpec(), 5)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert signal.getsignal(signal.SIGTERM) is handler
    assert asked[0]["address"] == "local"
    assert asked[0]["num_cpus"] >= 5
    assert asked[0]["include_dashboard"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["engine.workers=0"], "engine.workers is 0; it must be 1 or more"),
        (["engine.workers=two"], "engine.workers is 'two'; it must be a whole number or null"),
        (["cluster.address=local"], "cluster.address is 'local'; it must be auto or HOST:PORT"),
        (["cluster.adress=auto"], "cluster"),
    ],
)
def test_options_that_cannot_be(words, said, capsys, tmp_path):
    assert main([*WORDS, *words, f"paths.runs={tmp_path}"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trace", "prompt=x", "engine.workers=2"], "engine.workers is 2, but edt trace decodes in one process"),
        (
            ["study", "engine.workers=2", "num_workers=2"],
            "num_workers is 2, but with engine.workers or cluster.address",
        ),
        (["generate", "engine=openai", "cluster.address=auto"], "cluster.address has no effect on this engine"),
    ],
)
def test_workers_where_they_have_no_effect_are_refused(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_worker_imports_torch_itself():
    """The module that a worker begins with is light: Ray chooses its GPU before torch may look for one."""
    code = "import sys, edt.generation.ray_worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
