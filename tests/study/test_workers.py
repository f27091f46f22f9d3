"""Tasks decoded side by side: the same study as one after the other, and errors that come through."""

import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch

from edt.cli import main
from edt.errors import ConfigError
from edt.study import workers
from tests.support.processes import is_running, linux, until
from tests.support.small_study import SMALL, few

TASKS = ["task=mini", "task.limit=2", "experiment=main_table", "engine.compile=false"]
TWO = ["~task.members.mini_msmarco", "~task.members.mini_wmt19"]


def reproduced(folder, *words):
    paths = [few(folder / "configs"), f"paths.runs={folder / 'runs'}", f"paths.results={folder / 'results'}"]
    return main(["study", *TASKS, *TWO, *SMALL, *words, *paths])


def scores(folder):
    with (folder / "results" / "mini" / "main_table" / "grid.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def half_of_the_threads():
    """As each of two processes has: with other threads the last digits of a sum may differ, on some CPUs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("half_of_the_threads")
def test_side_by_side_is_one_after_the_other(tmp_path, capfd):
    assert reproduced(tmp_path / "one", "num_workers=1") == 0
    capfd.readouterr()
    assert reproduced(tmp_path / "two", "num_workers=2") == 0
    told = capfd.readouterr().err
    for task in ("mini_xlsum", "mini_quac"):
        assert f"{task}: 3 fixed temperatures for EDA's scale, 27 trials of 7 families" in told
    assert scores(tmp_path / "two") == scores(tmp_path / "one")
    assert {row["task"] for row in scores(tmp_path / "one")} == {"mini_xlsum", "mini_quac"}


def test_test_begins_when_dev_of_every_task_is_frozen(monkeypatch):
    begun = []

    def dev(place):
        begun.append(f"dev {place}")
        sleep(0.05)
        return f"chosen {place}"

    def test(place, decoded):
        begun.append(f"test {place}")
        sleep(0.05)
        return f"{decoded}, tested"

    monkeypatch.setattr(workers, "_dev", dev)
    monkeypatch.setattr(workers, "_test", test)
    with ThreadPoolExecutor(2) as pool:
        found = workers.schedule(pool, 2, [2, 0, 3, 1], lambda chosen: begun.append(chosen))
    assert found == [f"chosen {place}, tested" for place in range(4)]
    assert begun[4] == [f"chosen {place}" for place in range(4)]
    assert set(begun[:4]) == {f"dev {place}" for place in range(4)}
    assert begun[0] == "dev 2"
    assert begun[5] == "test 2"


def test_an_error_of_a_process_is_told_like_any_other(tmp_path, capfd):
    assert reproduced(tmp_path, "num_workers=2", "model=hf", f"model.path={tmp_path / 'nothing'}") == 2
    assert "nothing" in capfd.readouterr().err


class Waiting:
    """Work that lasts for minutes on one task, and fails on the other."""

    def __init__(self, started):
        self.started = started

    def dev(self, place):
        self.started.mkdir(exist_ok=True)
        (self.started / str(os.getpid())).touch()
        if place == 1:
            while len(list(self.started.iterdir())) < 2:
                sleep(0.05)
            raise ConfigError("the second task is broken")
        sleep(300)


@linux
def test_an_error_is_told_before_the_other_tasks_are_done(tmp_path):
    start = monotonic()
    with pytest.raises(ConfigError, match="second task is broken"):
        workers.run_in_processes(Waiting(tmp_path / "started"), 2, [0, 1], print)
    assert monotonic() - start < 150
    assert not any(is_running(int(path.name)) for path in (tmp_path / "started").iterdir())


@linux
def test_a_process_ends_with_the_one_that_began_it(tmp_path):
    code = (
        "from pathlib import Path\nfrom test_workers import Waiting, workers\n"
        f"if __name__ == '__main__': workers.run_in_processes(Waiting(Path({str(tmp_path / 'started')!r})), 2, [0, 2], print)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", code], env=env) as parent:
        until(lambda: (tmp_path / "started").is_dir() and len(list((tmp_path / "started").iterdir())) == 2)
        parent.kill()
    until(lambda: not any(is_running(int(path.name)) for path in (tmp_path / "started").iterdir()))
