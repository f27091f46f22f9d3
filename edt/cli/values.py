"""Refuse values that no key can have, before any class reads them: the one guard of the composed configuration.

A configuration comes from YAML files and overrides, which can hold what no JSON, no file name and no tensor can. What a
key allows beyond that, its class says (`edt.cli.build`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from edt.errors import ConfigError

__all__ = ["LARGEST_WHOLE", "check_values"]

LARGEST_WHOLE = 2**63
"""Whole numbers are below it in size: what tensors, parquet and databases hold."""
_DEEPEST = 40
"""Levels of keys and lists; ours has 7."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def check_values(node: Any, where: str = "", depth: int = 0) -> None:
    """Raise ConfigError, naming the key, for a value that is not plain data: text, numbers, lists, keys by name.

    That is a key that is no text, NaN, a whole number of more than 64 bits, a text with NUL or half of a surrogate
    pair, and what is nested more than 40 levels deep.
    """
    if depth > _DEEPEST:
        raise ConfigError(f"{_short(where)} is nested more than {_DEEPEST} levels deep; flatten it.")
    if isinstance(node, Mapping):
        for name, value in node.items():
            if not isinstance(name, str):
                owner = where or "the configuration"
                raise ConfigError(f"{owner} has the key {name!r}, which is no text; put it in quotes: '{name}'.")
            _check_text(name, f"a key of {where}" if where else "a key")
            check_values(value, f"{where}.{name}" if where else name, depth + 1)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            check_values(value, f"{where}[{number}]", depth + 1)
    else:
        _check_plain(node, where)


def _check_plain(value: Any, where: str) -> None:
    """Raise ConfigError for a single value that is no plain data."""
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, float) and math.isnan(value):
        raise ConfigError(f"{where} is nan, which is no number; give a number, or null where the key allows it.")
    elif isinstance(value, int) and not -LARGEST_WHOLE <= value < LARGEST_WHOLE:
        # Not the number itself: Python refuses to print one of more than 4,300 digits.
        digits = int(value.bit_length() * math.log10(2)) + 1
        raise ConfigError(f"{where} is a whole number of about {digits:,} digits; give one of at most 18 digits.")
    # YAML has dates and bytes as well.
    elif not (value is None or isinstance(value, int | float)):
        raise ConfigError(
            f"{where} is {str(value)!r:.80}, a {type(value).__name__}; put it in quotes, so that it is a text."
        )


def _check_text(text: str, where: str) -> None:
    """Raise ConfigError for a text that no file can hold, or no path."""
    if "\0" in text:
        raise ConfigError(f"{where} is {text!a:.80}, which holds a NUL character; remove it.")
    if _SURROGATE.search(text):
        raise ConfigError(
            f"{where} is {text!a:.80}, which holds half of a surrogate pair, so no character; write the character "
            "itself."
        )


def _short(where: str) -> str:
    return where if len(where) <= 60 else f"{where[:60]}…"
