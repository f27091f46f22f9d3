"""`edt tune` and `edt study`, killed: whatever moment it is, the same command then ends as the undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from scripts.soak.forked import content, difference
from tests.support.processes import linux
from tests.support.small_study import few

COMMON = [
    "task=mini_xlsum",
    "task.limit=2",
    "sampling.samples=2",
    "sampling.max_new_tokens=3",
    "metrics.bootstrap.resamples=20",
    "paths.runs=runs",
    "model.device=cpu",
    "engine.compile=false",
]
# four settings, so that suggestions repeat
TUNE = ["tune", *COMMON, "space=edt", "space.t0=[0.5,1.0]", "space.theta=[0.1,0.5]", "space.top_p=null"]
TUNE += ["baseline.t0=[0,1]", "search.trials=4", "search.batch=2"]
STUDY = ["study", "--config-dir=../configs", *COMMON, "paths.results=results", "families=few", "curves=few"]
STUDY += [
    "comparisons=[{family:edt,baseline:fixed,nested:true}]",
    "experiment=main_table",
    "search.trials=4",
    "search.batch=1",
    "baseline.t0=[0,1]",
]
TWO_TASKS = ["task=mini", "~task.members.mini_msmarco", "~task.members.mini_wmt19", "num_workers=2"]
ROOT = Path(__file__).parents[1]


def with_families(folder):
    """Write the families of the study where forked commands and real ones look for them."""
    for place in (folder, folder / "states"):
        few(place / "configs")
    return folder


def resumed(folder, first, stride, words):
    command = [sys.executable, "-m", "tests.support.killed_commands", str(folder), str(first), str(stride), *words]
    # one thread: a process with threads of torch cannot be forked
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@linux
def test_a_search_killed_at_a_few_writes_ends_as_if_it_had_not_been(tmp_path):
    shown = resumed(tmp_path, 30, 60, TUNE)
    assert shown["failed"] == {}
    assert len(shown["resumed"]) >= 2


@linux
@pytest.mark.long
@pytest.mark.parametrize("words", [TUNE, [*STUDY, "num_workers=1"]], ids=["tune", "study"])
def test_a_command_killed_at_any_write_ends_as_if_it_had_not_been(tmp_path, words):
    shown = resumed(with_families(tmp_path), 0, 1, words)
    assert shown["failed"] == {}
    assert len(shown["resumed"]) > 50


@pytest.fixture(scope="module", params=[TUNE, [*STUDY, *TWO_TASKS]], ids=["tune", "study"])
def undisturbed(request, tmp_path_factory):
    """A command that was left alone: its words, its folder, how long it took and what it left."""
    folder, start = with_families(tmp_path_factory.mktemp("killed")), monotonic()
    assert run_until(folder / "whole", request.param) == 0, (folder / "whole" / "log").read_text()
    # The time of a whole command, so that kills are spread over all of it: imports, decoding, scores and pages.
    return request.param, folder, monotonic() - start, content(folder / "whole")


@linux
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_a_command_killed_at_random_moments_ends_as_if_it_had_not_been(undisturbed, seed):
    """Ten kills of each command per seed, so that a part of the hundred can be run alone: -k "study and 3"."""
    (words, folder, duration, expected), clock = undisturbed, random.Random(seed)
    killed = attempts = 0
    while killed < 10:
        own = folder / f"{seed}-{attempts}"
        attempts += 1
        while (status := run_until(own, words, clock.uniform(0.1, 1.2) * duration)) == -signal.SIGKILL:
            killed += 1
        assert status == 0, (own / "log").read_text()
        assert difference(content(own), expected) == [], f"attempt {attempts} after {killed} kills"


def run_until(folder, words, seconds=None):
    """Run a command in this folder and return its status; kill it after so many seconds."""
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edt", *words], cwd=folder, env=environment, stderr=log, stdout=log
        )
    end = None if seconds is None else monotonic() + seconds
    while process.poll() is None and (end is None or monotonic() < end):
        sleep(0.02)
    process.kill()
    return process.wait()
