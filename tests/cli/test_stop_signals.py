"""SIGTERM and SIGHUP end a command as Ctrl-C does: a message, the shell's status, the lock free, and a resumable run."""

import os
import signal
import subprocess
import sys
import threading

import pyarrow.parquet as pq
import pytest

from edt.cli import commands, main
from edt.cli.stop_signals import SIGNALS, Stopped, stoppable
from edt.generation import generate
from edt.store.run import find_runs


@pytest.mark.parametrize("command", ["run", "generate", "score", "report", "tune", "study", "export", "data", "trace"])
@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGINT])
def test_every_command_ends_with_a_message_and_the_shells_status(monkeypatch, capsys, command, number):
    words = {"export": ["runs=x", "to=csv"], "data": ["show"]}.get(command, [])
    monkeypatch.setattr(commands, command, lambda config, **named: os.kill(os.getpid(), number))
    assert main([command, *words]) == 128 + number
    how = "stopped" if number == signal.SIGINT else f"stopped by {number.name}"
    said = capsys.readouterr().err
    assert f"edt {command}: {how}." in said
    # A command that only shows has nothing to continue.
    assert ("Finished parts are kept; the same command continues" in said) == (
        command not in ("export", "data", "trace")
    )
    assert all(signal.getsignal(name) is signal.SIG_DFL for name in SIGNALS)


def test_a_second_signal_ends_the_process_at_once():
    handlers = []

    def stopped():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            handlers.extend(signal.getsignal(name) for name in SIGNALS)

    with pytest.raises(Stopped), stoppable():
        stopped()
    assert handlers == [signal.SIG_DFL] * len(SIGNALS)


def test_an_ignored_signal_and_a_programs_own_handler_stay(monkeypatch):
    """`nohup` starts programs with SIGHUP ignored."""
    seen = []
    before = [signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGTERM, lambda *a: seen.append(a[0]))]
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        for name, handler in zip((signal.SIGHUP, signal.SIGTERM), before, strict=True):
            signal.signal(name, handler)


def test_a_command_in_a_thread_runs_without_handlers(monkeypatch):
    monkeypatch.setattr(commands, "report", lambda config: None)
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(main(["report"])))
    thread.start()
    thread.join()
    assert statuses == [0]


def test_what_is_decoded_is_kept_and_the_same_command_continues(monkeypatch, tmp_path, capsys, local):
    words = ["generate", *local, "strategy=fixed", "strategy.t0=[0.5]", "sampling.samples=2"]
    assert main([*words, f"paths.runs={tmp_path / 'whole'}"]) == 0
    honest, calls = generate.write_part, []

    def stopped_in_the_second_part(*arguments):
        honest(*arguments)
        calls.append(arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(generate, "write_part", stopped_in_the_second_part)
    words = [*words, f"paths.runs={tmp_path / 'stopped'}"]
    assert main(words) == 143
    monkeypatch.undo()
    # the lock is free, and what was finished is not decoded again
    assert main(words) == 0
    whole, stopped = (find_runs([tmp_path / name])[0] for name in ("whole", "stopped"))
    assert len(calls) == 1
    assert [pq.read_table(path) for path in stopped.parts()] == [pq.read_table(path) for path in whole.parts()]


WAITS = """
import time
from edt.cli import commands, entry_point
commands.report = lambda config: (print('up', flush=True), time.sleep(300))
entry_point()
"""


def test_a_process_that_is_ended_says_so():
    command = [sys.executable, "-c", WAITS, "report"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=120)[1]
    assert process.returncode == 143
    assert "edt report: stopped by SIGTERM." in error
