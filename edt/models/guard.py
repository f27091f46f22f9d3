"""Turn what a library raises at a boundary (loading, tokenizer, template, first pass) into one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edt.errors import EdtError, MemoryExceededError, ModelError, one_line

_EXHAUSTED = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Parts of the messages by which torch reports exhausted memory, by system; only CUDA has an exception class for it."""
_CLEAR_BY_THEMSELVES = (OSError, ValueError, RuntimeError, ImportError)
"""Exceptions whose message is a sentence. That of a KeyError is a key alone, so the name of the class goes with it."""


@contextmanager
def library_errors(failure: str, remedy: str) -> Iterator[None]:
    """Turn any library's exception inside this block into ModelError: the failure, the reason, the remedy.

    Our own errors pass. Exhausted memory becomes MemoryExceededError. HYDRA_FULL_ERROR=1 shows the traceback of both.
    """
    try:
        yield
    # Wide on purpose: which exceptions a model's own code raises is documented nowhere, and none is swallowed.
    except Exception as error:
        if isinstance(error, EdtError):
            raise
        if memory_exhausted(error):
            raise MemoryExceededError(
                f"{failure}: memory is exhausted. Use model.dtype=bfloat16, a smaller model, or another model.device."
            ) from error
        hint = "Install the package that it names." if isinstance(error, ImportError) else remedy
        raise ModelError(f"{failure}: {reason(error)}. {hint}") from error
    except BaseException as error:
        # tokenizers and safetensors are written in Rust, whose panics are no Exception. Ctrl-C passes.
        if type(error).__name__ != "PanicException":
            raise
        raise ModelError(f"{failure}: {one_line(RuntimeError(error))}. {remedy}") from error


def memory_exhausted(error: BaseException) -> bool:
    """Return whether an exception reports exhausted memory, in any of the ways of torch and Python."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _EXHAUSTED)


def reason(error: Exception) -> str:
    """Return a library's message in one line, with the name of its class where the message says too little."""
    text, name = one_line(error).rstrip(".:"), type(error).__name__
    if isinstance(error, _CLEAR_BY_THEMSELVES) and " " in text:
        return text
    return f"{name}: {text}" if text else name
