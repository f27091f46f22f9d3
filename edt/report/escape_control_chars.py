"""Make a model's text safe to print: characters that move the cursor, beep or reverse the text become visible signs."""

from __future__ import annotations

NEWLINE = "⏎"
"""Sign of a line break."""

_CONTROL_PICTURES = 0x2400
"""Start of Unicode's block "Control Pictures", which has a sign for each of the first 32 characters."""
# Marks that switch between left-to-right and right-to-left would reorder what is printed after the text too.
_BIDIRECTIONAL = {0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_SIGNS = {
    **{code: chr(_CONTROL_PICTURES + code) for code in range(0x20)},
    0x7F: "␡",
    # Control characters of Latin-1: 0x9B starts an escape sequence in some terminals, as ESC [ does.
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys(_BIDIRECTIONAL, "\N{REPLACEMENT CHARACTER}"),
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
