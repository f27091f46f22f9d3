"""Model text made safe to look at: what would move the cursor, ring or turn the text around becomes a sign."""

from __future__ import annotations

CONTROL_PICTURES = 0x2400
BIDI = {0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
NEWLINE = "⏎"
SIGNS = {
    **{code: chr(CONTROL_PICTURES + code) for code in range(0x20)},
    0x7F: "␡",
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys(BIDI, "\N{REPLACEMENT CHARACTER}"),
    ord("\n"): NEWLINE,
    ord("\t"): "⇥",
}


def visible(text: str) -> str:
    """The text in one line, with a sign for each control character."""
    return text.translate(SIGNS)


def visible_lines(text: str) -> str:
    """The same, but lines stay lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def shortened(text: str, most: int) -> str:
    """The text with its middle left out where it has more characters than `most`."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} […] {text[-half:]}"
