"""Texts on the command line: a prompt holds commas, colons and braces, which Hydra would read as its own grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence

TEXT_KEYS = {"trace": ("prompt", "unconditional_prompt", "example")}
"""Per command, the keys whose value is text as it stands."""
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
"""A value that is quoted for Hydra as a whole."""


def texts_quoted(command: str, words: Sequence[str]) -> list[str]:
    """The words with the values of text keys quoted for Hydra; null, and what is quoted already, stay as they are."""
    return [quoted_override(word) if is_text(command, word) else word for word in words]


def is_text(command: str, word: str) -> bool:
    """Whether a word sets a text key to text that is not quoted."""
    key, equals, value = word.partition("=")
    if not equals or key not in TEXT_KEYS.get(command, ()) or value in ("", "null"):
        return False
    return QUOTED.fullmatch(value) is None


def quoted_override(word: str) -> str:
    """`key=value` with the value in double quotes, so that Hydra and OmegaConf read it as the same text."""
    key, _, value = word.partition("=")
    escaped = escape_interpolations(value)
    return f'{key}="{escape_quotes(escaped)}"'


def escape_interpolations(value: str) -> str:
    """`${` as text, for OmegaConf: the backslashes ahead of it doubled, and one more."""
    head, *rest = value.split("${")
    for part in rest:
        slashes = len(head) - len(head.rstrip("\\"))
        head += "\\" * (slashes + 1) + "${" + part
    return head


def escape_quotes(value: str) -> str:
    """For Hydra: quotes escaped, and backslashes doubled ahead of a quote or at the end; others stand as they are."""
    *parts, last = value.split('"')
    doubled = [part + "\\" * (len(part) - len(part.rstrip("\\"))) for part in (*parts, last)]
    return '\\"'.join(doubled)
