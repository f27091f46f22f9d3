"""Make others' text safe to show: on a terminal, in a spreadsheet, in Markdown.

On a terminal, characters that move the cursor, beep or reverse the text become visible signs. In CSV, a spreadsheet
takes a text for a formula by its first character. In Markdown, a text can be a tag, a link or a new cell.
"""

from __future__ import annotations

import re
from typing import Any

NEWLINE = "⏎"
"""Sign of a line break."""

_CONTROL_PICTURES = 0x2400
"""Start of Unicode's block "Control Pictures", which has a sign for each of the first 32 characters."""
# Marks that switch between left-to-right and right-to-left would reorder what is printed after the text too.
_BIDIRECTIONAL = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
# Invisible letters that some terminals and most language models read (Unicode's tags).
_TAGS = range(0xE0000, 0xE0080)
_SIGNS = {
    **{code: chr(_CONTROL_PICTURES + code) for code in range(0x20)},
    0x7F: "␡",
    # Control characters of Latin-1: 0x9B starts an escape sequence in some terminals, as ESC [ does.
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys((*_BIDIRECTIONAL, *_TAGS), "\N{REPLACEMENT CHARACTER}"),
    # Unicode's own line and paragraph separators, at which some terminals and most editors break the line.
    **dict.fromkeys((0x2028, 0x2029), NEWLINE),
    ord("\n"): NEWLINE,
    ord("\t"): "⇥",
}


def visible(text: str) -> str:
    """Return the text in one line, with a sign for each control character."""
    # One sign for one character, so positions in the text do not move.
    return text.translate(_SIGNS)


def visible_lines(text: str) -> str:
    """Return the text with a sign for each control character except line breaks."""
    return "\n".join(visible(line) for line in text.split("\n"))


def shortened(text: str, max_characters: int) -> str:
    """Return the text; of a longer one than `max_characters`, the beginning and the end."""
    half = max_characters // 2
    return text if len(text) <= max_characters else f"{text[:half]} […] {text[-half:]}"


_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a text begins that Excel, LibreOffice or Google Sheets takes for a formula; and such a text, escaped before."""


def csv_cell(value: Any) -> Any:
    """Return a value for CSV: a `'` in front of a text that a spreadsheet would take for a formula, else as it is.

    A number, also one that is written as text, stays a number. To undo it, remove one `'` where a text begins with one
    or more of them and then one of the characters.
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    # float() takes blanks, line breaks and 1_000 as well, which a spreadsheet may not.
    return re.fullmatch(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", text, re.ASCII) is not None


def markdown_text(text: str) -> str:
    """Return a text for one line of Markdown: no tag, no link or picture that loads something, no new cell or line."""
    # The backslash first: one before a pipe would take the escape's place, and the pipe would end the cell.
    escaped = visible(text).replace("\\", "\\\\").replace("|", "\\|")
    # `](` is a link or a picture; brackets alone stay, since intervals are written in them.
    return escaped.replace("<", "&lt;").replace("](", "]\\(")
