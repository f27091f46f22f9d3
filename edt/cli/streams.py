"""Make output survive any terminal, file or pipe: what its encoding lacks is written in a readable ASCII form."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from typing import Any

_HANDLER = "edt.readable"
"""Name of the error handler, for Python's registry of codecs."""

_ASCII = {
    **{"→": "->", "←": "<-", "↑": "^", "↓": "v", "↔": "<->", "⇥": "|", "⏎": "|"},
    **{"–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "·": ".", "•": "*"},
    **{"×": "x", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "÷": "/", "√": "sqrt"},
    **{"θ": "theta", "σ": "sigma", "Δ": "delta", "τ": "tau", "ε": "epsilon", "π": "pi", "█": "#", "━": "-", "─": "-"},
}
"""Signs of our own output that Unicode does not decompose into ASCII."""


class _OpenPipe(io.FileIO):
    """Writes to a descriptor; once its reader has gone, what is written is dropped.

    `edt report | head -1` then ends as it does without a pipe: with its files written, and with its own status.
    """

    def write(self, content: Any) -> int:
        """Write bytes, or drop them; return how many."""
        try:
            return super().write(content)
        except OSError as error:
            # EIO: the terminal was closed, and SIGHUP has yet to end the command with its files whole.
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            # Also whoever holds the descriptor itself, as a library in C, finds one that takes everything.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            return len(memoryview(content).cast("B"))


def survive_closed_pipe() -> None:
    """Let the command continue where the reader of stdout or stderr has gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.flush()
        raw = _OpenPipe(stream.fileno(), "wb", closefd=False)
        buffered = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
        )
        setattr(sys, name, buffered)


def survive_any_encoding() -> None:
    """Let stdout and stderr write characters that their encoding lacks, as `->` for an arrow or `?`."""
    codecs.register_error(_HANDLER, _readable)
    for stream in (sys.stdout, sys.stderr):
        # A notebook or a test may have put something else in their place, which encodes nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of what could not be encoded, and where encoding continues."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    # "₀" is "0", "…" is "...", "é" is "e" with a mark that is dropped.
    decomposed = unicodedata.normalize("NFKD", character)
    return decomposed.encode("ascii", "ignore").decode() or "?"
