"""Messages of the package: loggers are named `edt.*`, and the command line prints them on stderr as plain lines.

In a program or notebook nothing is set up here: warnings are shown by Python's default handler, notes (INFO) are not,
until the program configures `logging`.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from edt.redact import without_secrets
from edt.terminal_text import visible_lines


def log_to_stderr(level: int = logging.INFO) -> None:
    """Print the package's messages on stderr, a line each; a second call changes only the level."""
    logger = logging.getLogger("edt")
    # One handler, however often it is called: a second would print each message twice.
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        logger.addHandler(_StderrHandler())
    logger.setLevel(level)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Write to what sys.stderr is at that moment: a progress bar replaces it while it is on the screen."""

    def __init__(self) -> None:
        # Not StreamHandler's, which assigns `stream`: a property here, so that the bar's stderr is seen.
        logging.Handler.__init__(self)

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as it is printed: no text in it is a secret or steers the terminal."""
        return visible_lines(without_secrets(super().format(record)))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr
