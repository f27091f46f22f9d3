"""The errors that a person sees: each names the thing, the value, what is allowed and the remedy."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

LONGEST_MESSAGE = 1200
"""Characters of a message; what it names can be a text of any length."""


class EdtError(Exception):
    """Base of every error that `edt` raises on purpose; the command line prints its message and exits with 2."""

    def __str__(self) -> str:
        """Return the message. Of a very long one the beginning, which names the key, and the end with the remedy."""
        text, half = super().__str__(), LONGEST_MESSAGE // 2
        return text if len(text) <= LONGEST_MESSAGE else f"{text[: half - 3]} […] {text[-half + 3 :]}"


class ConfigError(EdtError):
    """A setting that cannot be honoured."""


class DataError(EdtError):
    """Input data that cannot be read as what it should be."""


class ModelError(EdtError):
    """A model or tokenizer that cannot be loaded or misbehaves."""


class MemoryExceededError(ModelError):
    """A batch that does not fit into memory; a smaller one may."""


class StoreError(EdtError):
    """A run folder that cannot be written, or whose contents do not belong together."""


class DamagedFileError(StoreError):
    """A file of a run whose bytes are not those that were written; the command that wrote it makes it again."""


class UnreadableFileError(DamagedFileError):
    """A file of a run that the system does not give, or that is a pipe, say; its content may be whole."""


class NotScoredError(StoreError):
    """A run without scores of its present generations; another command makes them."""


class TrackingError(EdtError):
    """An export to a tracker that failed; the run folder is whole, and the export can be repeated."""


class WorkerError(EdtError):
    """A process that shared the work of a command and ended without a result."""


class ServerError(EdtError):
    """A server that decodes and refuses a request, or gives no usable answer to it."""


class MissingExtraError(EdtError):
    """An optional package that the plain install leaves out, and that this work needs (edt/extras.py)."""


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return `" (did you mean 'x'?)"` for the closest allowed name, or an empty string when none is close."""
    # 0.5, below difflib's 0.6: names of parameters are short, and "to" for "t0" is exactly 0.5.
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def shown_value(value: object) -> str:
    """Return a value as Python writes it, in one line, cut after 80 characters."""
    # Not repr alone: a list or a text of any length can be typed for a number, and one of any depth be sent.
    try:
        text = repr(value)
    except RecursionError:
        text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def one_line(error: BaseException) -> str:
    """Return a library's message in one line, cut after 300 characters."""
    # Messages of torch and CUDA fill many lines, and their beginning names the cause.
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "…"
