r"""Write `\n` and `\t` in an override of wording as a line break and a tab, which a shell cannot easily type."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edt.cli.argv import QUOTED, quoted

WORDING = re.compile(
    r"\+{0,2}(?:.*\.)?(?:stop|template(?:\.\w+)?|instruction|shot_separator|prompts?|unconditional_prompt)"
)
r"""Keys whose values are wording. In all others, a path or a name, `\n` stays two characters."""

_ESCAPED = re.compile(r"(\\+)([nt])")
_WRITTEN = re.compile(r"(\\*)([\n\t]|(?<=\\)[nt])")
_TYPED = {"\n": r"\n", "\t": r"\t"}
_BARE_ITEM = re.compile(r"[^\[\]{},:\s][^\[\]{},:]*")


def write_breaks(words: Sequence[str]) -> list[str]:
    r"""Return the words with `\n` and `\t` as line break and tab where a key holds wording; `\\n` is `\n` itself."""
    return [_with_breaks(word) if WORDING.fullmatch(word.partition("=")[0]) else word for word in words]


def typed_breaks(words: Sequence[str]) -> list[str]:
    r"""Return what `write_breaks` reads as these words: `\n` and `\t` for breaks, so that a command is one line."""
    return [_WRITTEN.sub(_typed_break, word) if WORDING.fullmatch(word.partition("=")[0]) else word for word in words]


def _typed_break(written: re.Match[str]) -> str:
    slashes, letter = written.groups()
    # A letter after backslashes is text, and stays one if there are twice as many.
    return 2 * slashes + _TYPED.get(letter, letter)


def _with_breaks(word: str) -> str:
    key, _, value = word.partition("=")
    if not _ESCAPED.search(value):
        return word
    # Hydra reads a line break only inside of quotes.
    if not value.startswith(("[", "{", "'", '"')):
        return f"{key}={_ESCAPED.sub(_unescaped, quoted(value))}"

    # Inside of quotes all is text; outside of them brackets, braces, commas and colons are Hydra's.
    pieces, end = [], 0
    for text in QUOTED.finditer(value):
        pieces += [_BARE_ITEM.sub(_quoted_item, value[end : text.start()]), text.group()]
        end = text.end()
    pieces.append(_BARE_ITEM.sub(_quoted_item, value[end:]))
    return f"{key}={_ESCAPED.sub(_unescaped, ''.join(pieces))}"


def _quoted_item(item: re.Match[str]) -> str:
    """Return an item of a list in quotes where it has a line break."""
    text = item.group()
    return f'"{text.rstrip()}"' if _ESCAPED.search(text) else text


def _unescaped(escaped: re.Match[str]) -> str:
    slashes, letter = escaped.groups()
    # In pairs: each two are one, and one that is left makes the letter a break.
    kept = "\\" * (len(slashes) // 2)
    return kept + ({"n": "\n", "t": "\t"}[letter] if len(slashes) % 2 else letter)
