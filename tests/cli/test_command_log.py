"""The log that a command leaves in the folders it works on: lines with times, errors with tracebacks, of bounded size."""

import logging
import os
import re
import threading

import pytest

from edt import logs
from edt.cli import commands, main
from edt.errors import ConfigError
from edt.logs import LOG_NAME, announced, command_log, is_command, log_in_worker, log_into

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (DEBUG|INFO|WARNING|ERROR) edt[\w.]*: ")


@pytest.fixture
def decoded(tmp_path, local, capsys):
    """A small run of two commands; its log, and what the second printed."""
    words = ["generate", *local, "strategy=fixed", "strategy.t0=[0.5]"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "sampling.samples=3"]) == 0
    (log,) = (tmp_path / "runs").glob(f"*/{LOG_NAME}")
    return log, capsys.readouterr().err


def test_a_run_has_a_log_of_all_of_its_commands(decoded):
    log, shown = decoded
    lines = log.read_text().splitlines()
    assert all(LINE.match(line) for line in lines)
    headings = [line for line in lines if "edt generate model=hf" in line]
    assert len(headings) == 2
    for part in ("sampling.samples=3", "edt 0.2", "Python 3.", "torch ", "transformers "):
        assert part in headings[1]
    text = "\n".join(lines)
    assert "2 prompts × 2 rows = 4 rows" in text  # the plan of the first command, before it had a folder
    assert "wrote part 0 of pass 1, " in text
    assert f"log: {log}" in shown
    # what the log alone holds
    assert "wrote part" not in shown
    assert "edt generate model" not in shown


def test_no_handler_and_no_level_is_left(decoded):
    logger = logging.getLogger("edt")
    assert logger.level == logging.INFO
    assert not [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    assert not is_command()


def dies(folder, error):
    def command(config):
        logging.getLogger("edt.test").warning("before")
        log_into(folder)
        raise error

    return command


def test_an_error_is_in_the_log_with_its_traceback(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "report", dies(tmp_path, ConfigError("a key is wrong")))
    assert main(["report"]) == 2
    text = (tmp_path / LOG_NAME).read_text()
    assert "WARNING edt.test: before" in text
    assert "ERROR edt: a key is wrong" in text
    assert "Traceback (most recent call last)" in text
    assert "in command" in text
    assert capsys.readouterr().err.count("a key is wrong") == 1


def test_a_mistake_in_the_code_is_in_the_log_too(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "report", dies(tmp_path, ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        main(["report"])
    assert "ZeroDivisionError: a bug" in (tmp_path / LOG_NAME).read_text()


def test_secrets_and_the_home_folder_are_not_in_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("SOME_API_KEY", "sesame-open-sesame")
    error = ConfigError("no https://anna:pass@host for sesame-open-sesame in /home/anna/data \x1b[2J")
    monkeypatch.setattr(commands, "report", dies(tmp_path, error))
    assert main(["report", "runs=/home/anna/runs"]) == 2
    text = (tmp_path / LOG_NAME).read_text()
    assert "no https://***@host for *** in ~/data" in text
    assert "runs=~/runs" in text
    for hidden in ("anna", "sesame", "\x1b"):
        assert hidden not in text


def test_its_size_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(logs, "LOG_BYTES", 2000)
    monkeypatch.setattr(logs, "MOST_LINES_BEFORE", 10)
    logger = logging.getLogger("edt.test")
    with command_log("edt test"):
        for number in range(100):
            logger.error("early %d", number)
        log_into(tmp_path)
        assert "early 8" in (tmp_path / LOG_NAME).read_text()
        for number in range(100):
            logger.error("late %d", number)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG_NAME, f"{LOG_NAME}.1"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert "late 99" in (tmp_path / LOG_NAME).read_text()


def test_a_planted_link_is_not_followed_and_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / LOG_NAME).symlink_to(tmp_path / "precious")
    with command_log("edt test") as log:
        log_into(tmp_path)
        log_into(tmp_path / "missing")
        logging.getLogger("edt.test").error("a line")
    assert log.paths == []
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_full_disk_ends_the_log_and_not_the_command(tmp_path, capsys):
    with command_log("edt test"):
        log_into(tmp_path)
        (handler,) = (h for h in logging.getLogger("edt").handlers if isinstance(h, logging.FileHandler))
        handler.stream.close()
        handler.stream = open("/dev/full", "a")  # noqa: SIM115  closed with the log
        logging.getLogger("edt.test").info("a line")
        logging.getLogger("edt.test").info("another")
    assert "Traceback" not in capsys.readouterr().err


def test_a_worker_writes_into_the_same_log(tmp_path):
    with command_log("edt test"):
        log_into(tmp_path)
        of_command = is_command()
    before = list(logs._command_logs)
    try:
        log_in_worker(of_command=of_command)
        log_into(tmp_path)
        logging.getLogger("edt.test").info("from a worker")
        logs._command_logs[-1].close()
    finally:
        logs._command_logs[:] = before
    text = (tmp_path / LOG_NAME).read_text()
    assert f"worker process {os.getpid()}" in text
    assert "from a worker" in text


def test_in_a_program_there_is_no_log(tmp_path):
    log_into(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_phase_that_lasts_is_announced(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "edt")
    monkeypatch.setattr(logs, "SECONDS_BEFORE_A_WORD", 0.01)
    with announced("reading %d files", 3):
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
    assert caplog.messages == ["reading 3 files …"]
    monkeypatch.setattr(logs, "SECONDS_BEFORE_A_WORD", 60)
    with announced("nothing"):
        pass
    assert caplog.messages == ["reading 3 files …"]


@pytest.mark.parametrize("with_reader", [False, True])
def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(monkeypatch, tmp_path, capsys, with_reader):
    os.mkfifo(tmp_path / LOG_NAME)
    reader = os.open(tmp_path / LOG_NAME, os.O_RDONLY | os.O_NONBLOCK) if with_reader else None
    monkeypatch.setattr(commands, "report", dies(tmp_path, ConfigError("a key is wrong")))
    assert main(["report"]) == 2
    shown = capsys.readouterr().err
    assert f"no log at {tmp_path / LOG_NAME}" in shown
    assert "remove it" in shown
    assert "a key is wrong" in shown
    if reader is not None:
        os.close(reader)
