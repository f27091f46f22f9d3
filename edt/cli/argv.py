"""Rewrite a command's words before Hydra reads them: texts are quoted, ranges replaced, options become overrides."""

from __future__ import annotations

import re
from collections.abc import Sequence

TEXT_KEYS = {"trace": ("prompt", "unconditional_prompt", "example")}
"""Per command, the keys whose value is text as it stands: a prompt holds commas, colons and braces."""

REPLACEABLE = {"tune": re.compile(r"(\+{0,2})(space\.\w+)=(?!\{)")}
"""Per command, the overrides of values that may be a mapping as well as something else. One by a mapping is merged."""

QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
"""A value that is quoted for Hydra as a whole."""


def rewrite(command: str, words: Sequence[str]) -> list[str]:
    """Return the overrides of a command as Hydra should read them."""
    return _empty_ranges(command, quote_texts(command, words))


def positional_as_runs(words: Sequence[str]) -> list[str]:
    """Return the words with folders (words without `=`) joined to `runs=[…]`, as in `edt export results/runs`."""
    folders = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if not folders:
        return overrides
    quoted = ",".join(f'"{_escape_quotes(_escape_interpolations(folder))}"' for folder in folders)
    return [f"runs=[{quoted}]", *overrides]


def _empty_ranges(command: str, words: Sequence[str]) -> list[str]:
    """Return the words with `++key=null` before each override that may replace a mapping.

    OmegaConf merges, and refuses to merge a list or a constant into a mapping; over null, anything can be set. Hydra
    keeps one override per key as it is spelled, so the two are never spelled alike.
    """
    pattern = REPLACEABLE.get(command)
    rewritten = []
    for word in words:
        override = pattern.match(word) if pattern else None
        if override:
            added, key = override.groups()
            rewritten.append(f"++{key}=null")
            word = word[1:] if added == "++" else word
        rewritten.append(word)
    return rewritten


def quote_texts(command: str, words: Sequence[str]) -> list[str]:
    """Return the words with the values of text keys quoted for Hydra; null and quoted values stay as they are."""
    return [_quoted_override(word) if _is_text(command, word) else word for word in words]


def _is_text(command: str, word: str) -> bool:
    """Return whether a word sets a text key to text that is not quoted."""
    key, equals, value = word.partition("=")
    if not equals or key not in TEXT_KEYS.get(command, ()) or value in ("", "null"):
        return False
    return QUOTED.fullmatch(value) is None


def _quoted_override(word: str) -> str:
    """Return `key=value` with the value in double quotes, so that Hydra and OmegaConf read it as the same text."""
    key, _, value = word.partition("=")
    return f'{key}="{_escape_quotes(_escape_interpolations(value))}"'


def _escape_interpolations(value: str) -> str:
    """Return `${` as text, for OmegaConf: the backslashes before it doubled, and one more."""
    head, *rest = value.split("${")
    for part in rest:
        slashes = len(head) - len(head.rstrip("\\"))
        head += "\\" * (slashes + 1) + "${" + part
    return head


def _escape_quotes(value: str) -> str:
    """Escape quotes for Hydra, and double backslashes before a quote or at the end; others stand as they are."""
    *parts, last = value.split('"')
    doubled = [part + "\\" * (len(part) - len(part.rstrip("\\"))) for part in (*parts, last)]
    return '\\"'.join(doubled)
