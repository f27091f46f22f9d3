"""Messages of the package: loggers are named `edt.*`, and the command line prints them on stderr as plain lines.

A command also writes them, with times and with the tracebacks of errors, into `edt.log` of each folder that it works
on. In a program or notebook nothing is set up here: warnings are shown by Python's default handler, notes (INFO) are
not, until the program configures `logging`.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from edt.redact import Redactor, without_secrets
from edt.terminal_text import visible_lines

LOG_NAME = "edt.log"
"""Name of the log in a run's or a search's folder."""
LOG_BYTES = 1_000_000
"""Size from which a log becomes `edt.log.1`, of which there is one, and begins anew."""
MOST_LINES_BEFORE = 1000
"""Lines that are kept until the first folder is known."""
SECONDS_BEFORE_A_WORD = 3.0
"""How long a phase may last before a line says which one it is."""

_logger = logging.getLogger(__name__)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Print the package's messages on stderr, a line each; a second call changes only the level."""
    logger = logging.getLogger("edt")
    # One handler, however often it is called: a second would print each message twice.
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        logger.addHandler(_StderrHandler())
    for handler in logger.handlers:
        if isinstance(handler, _StderrHandler):
            handler.setLevel(level)
    logger.setLevel(level)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Write to what sys.stderr is at that moment: a progress bar replaces it while it is on the screen."""

    def __init__(self) -> None:
        # Not StreamHandler's, which assigns `stream`: a property here, so that the bar's stderr is seen.
        logging.Handler.__init__(self)

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as it is printed: no text in it is a secret or steers the terminal."""
        return visible_lines(without_secrets(super().format(record)))

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message, unless it is for log files alone."""
        if not getattr(record, "only_file", False):
            super().emit(record)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


@contextmanager
def announced(message: str, *arguments: object) -> Iterator[None]:
    """Log what is being done, as a note, where it lasts longer than a few seconds."""
    # A timer and not a message ahead: most commands are through before anyone would wonder.
    timer = threading.Timer(SECONDS_BEFORE_A_WORD, _logger.info, (f"{message} …", *arguments))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class CommandLog:
    """The log of one command: lines are kept until the folders are known that the command works on.

    heading: its first line: the command and versions.
    """

    def __init__(self, heading: str) -> None:
        self._files: dict[Path, _LogFile] = {}
        self._before = _LinesBefore()
        self._logger = logging.getLogger("edt")
        self._logger.addHandler(self._before)
        # The log holds each part that was written; handlers on the terminal have their own level.
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.info("%s", heading, extra={"only_file": True})

    @property
    def paths(self) -> list[Path]:
        """The log files, in the order in which they were begun."""
        return list(self._files)

    def add(self, folder: Path) -> None:
        """Write the lines so far, and those to come, into the log of this folder, which exists."""
        path = folder / LOG_NAME
        if path in self._files:
            return
        try:
            file = _LogFile(path)
        except OSError as error:
            # A log is no result: where the folder cannot be written, the result's own error follows.
            is_in_the_way = path.exists() and not path.is_file()
            level, remedy = (logging.WARNING, "; remove it") if is_in_the_way else (logging.DEBUG, "")
            _logger.log(level, "no log at %s: %s%s", path, error.strerror or error, remedy)
            return
        # Each folder's log begins with the command, whenever the folder became known.
        for record in self._before.records:
            file.handle(record)
        self._files[path] = file
        self._logger.addHandler(file)

    def error(self, text: str) -> None:
        """Write an error with the traceback of the exception that is being handled; the terminal has its own line."""
        self._logger.error("%s", text, exc_info=True, extra={"only_file": True})

    def close(self) -> None:
        """Write no more."""
        for handler in [self._before, *self._files.values()]:
            self._logger.removeHandler(handler)
            handler.close()
        self._logger.setLevel(self._level)


_command_logs: list[CommandLog] = []
"""The log of the command that this process runs, or of the one that started it as a worker; empty in a program."""


@contextmanager
def command_log(heading: str) -> Iterator[CommandLog]:
    """Keep a log while a command runs; `log_into` gives it the folders."""
    log = CommandLog(heading)
    _command_logs.append(log)
    try:
        yield log
    finally:
        _command_logs.remove(log)
        log.close()


def log_into(folder: Path) -> None:
    """Let the running command, if there is one, write its log into this folder too."""
    if _command_logs:
        _command_logs[-1].add(folder)


def is_command() -> bool:
    """Return whether a command runs, whose log its worker processes continue."""
    return bool(_command_logs)


def log_in_worker(*, of_command: bool) -> None:
    """Begin the messages of a worker process, on stderr and, where it works for a command, in logs."""
    log_to_stderr()
    if of_command:
        _command_logs.append(CommandLog(f"worker process {os.getpid()}"))


class _LineFormatter(logging.Formatter):
    """Formats a record as a line of a log file: time, process, level, module, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
        # Without the home folder, as an export is: a log is sent along with a question.
        self._redactor = Redactor.from_environment()

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(self._redactor.text(without_secrets(super().format(record))))


class _LinesBefore(logging.Handler):
    """Keeps the records of a command, of which the first ones matter most: configuration, plan and notes."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < MOST_LINES_BEFORE:
            self.records.append(record)


class _LogFile(RotatingFileHandler):
    """Appends to one log file, of bounded size; a failure ends this log and not the command."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        self.setFormatter(_LineFormatter())

    def _open(self) -> TextIOWrapper:
        # Never through a link, which whoever gave the folder may have planted.
        # O_NONBLOCK: to open a pipe would wait for its reader; without one it is an error.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o666)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{self.baseFilename} is a pipe or a device, not a file")
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        # A full disk, say: what is written next of the results is the error that matters.
        logging.getLogger("edt").removeHandler(self)
        with suppress(OSError):
            self.close()
