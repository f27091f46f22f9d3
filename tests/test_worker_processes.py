"""Worker processes: one that is killed is an error in words, and none outlives the command."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from edt.errors import WorkerError
from edt.worker_processes import worker_processes
from tests.support.processes import is_running, linux, until


def nothing():
    pass


def fails():
    raise RuntimeError("cannot begin")


def killed(number):
    os.kill(os.getpid(), number)
    sleep(60)


def ended():
    os._exit(3)


def ignored():
    return [signal.getsignal(name) is signal.SIG_IGN for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (killed, [signal.SIGKILL], r"one of 2 worker processes was killed by SIGKILL \(.* memory is short\)"),
        (killed, [signal.SIGTERM], r"one of 2 worker processes was killed by SIGTERM\. What was finished"),
        (ended, [], r"ended with status 3\. .*; edt\.workers=1 needs the least memory"),
    ],
)
def test_a_process_that_ends_without_a_result_is_an_error_in_words(call, arguments, message):
    def work():
        with worker_processes(2, nothing, [], setting="edt.workers") as pool:
            futures = [pool.submit(call, *arguments), pool.submit(sleep, 60)]
            return [future.result() for future in futures]

    with pytest.raises(WorkerError, match=message):
        work()


def test_a_process_that_cannot_begin_is_an_error_in_words(capfd):
    with (
        pytest.raises(WorkerError, match="one of 1 worker processes ended"),
        worker_processes(1, fails, [], setting="n") as pool,
    ):
        pool.submit(ignored).result()
    assert "cannot begin" in capfd.readouterr().err


def test_a_process_leaves_ctrl_c_to_the_command():
    with worker_processes(1, nothing, [], setting="n") as pool:
        assert pool.submit(ignored).result() == [True, True, False]


def waits(folder):
    (Path(folder) / str(os.getpid())).touch()
    sleep(300)


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_command(tmp_path, number):
    code = (
        "from tests.test_worker_processes import nothing, waits\n"
        "from edt.worker_processes import worker_processes\n"
        "if __name__ == '__main__':\n"
        "    with worker_processes(2, nothing, [], setting='n') as pool:\n"
        f"        list(pool.map(waits, [{str(tmp_path)!r}] * 2))"
    )
    root = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL) as parent:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        parent.send_signal(number)
    until(lambda: not any(is_running(int(path.name)) for path in tmp_path.iterdir()))
