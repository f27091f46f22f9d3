"""From an output to the answer in it, which is what metrics read: a rule for each form that outputs have."""

from __future__ import annotations

import re

from edt.errors import ConfigError, suggestion

__all__ = ["RULES", "answer", "answer_apart", "check_rule", "default_rule"]

RULES = ("all", "first_line", "first_paragraph", "after_colon")
"""all: the output as it is. first_line, first_paragraph: of what has text. after_colon: without its introduction."""

_COLONS = ":："
_LONGEST_INTRODUCTION = 200
"""Characters of an introduction: a longer first line that ends in a colon says something itself."""
_INTERJECTION = re.compile(
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|yes)\s*[!.,，！。]\s*", re.IGNORECASE
)
_ANNOUNCES = re.compile(
    # An answer may have a colon too ("Harbor Steel: a mill opened"), so on one line only these words introduce.
    r"[\W_]*(?:(?:sure|certainly|of course|okay|here(?:'s|’s| is| are)|(?:the |my |final |short )*"
    r"(?:answer|summary|translation|response|output|result))\b|(?:以下|答案|回答|摘要|总结|翻译|译文))",
    re.IGNORECASE,
)
_MARKS = "*_`#\"'“”"
"""What models put around a label, as in **Summary:**."""


def check_rule(rule: str, where: str) -> None:
    """Raise ConfigError for a rule that there is not."""
    if rule not in RULES:
        raise ConfigError(
            f"{where} is '{rule}'{suggestion(rule, RULES)}; it must be one of {', '.join(RULES)}, or null."
        )


def default_rule(*, chat_template: bool) -> str:
    """Return the rule where none is configured, by the form of the prompt."""
    # Chat models introduce what they say; what a base model continues is the answer itself.
    return "after_colon" if chat_template else "all"


def answer(text: str, rule: str) -> str:
    """Return the answer in an output under a rule of `RULES`.

    A rule never makes an output empty that has text: where it finds nothing to take away, all of it is the answer.
    """
    if rule == "first_line":
        return text.strip().split("\n", 1)[0].rstrip()
    if rule == "first_paragraph":
        return re.split(r"\n[^\S\n]*\n", text.strip(), maxsplit=1)[0].rstrip()
    return _without_introduction(text) if rule == "after_colon" else text


def answer_apart(text: str, rule: str) -> str | None:
    """Return the answer where it is not the whole output, so that a reader is shown both; else None."""
    scored = answer(text, rule)
    return None if scored == text else scored


def _without_introduction(text: str) -> str:
    """Return the text without "Here is a summary:" before it; all of it where nothing follows, or nothing introduces.

    An introduction is a first line that ends in a colon, or one that begins with words such as "here is" or "answer" up
    to its colon. "Sure!" may stand before it.
    """
    whole = text.strip()
    # "Sure!" alone may be the answer, so it is dropped only together with an introduction behind it.
    said = _INTERJECTION.match(whole)
    begin = whole[said.end() :] if said else whole
    line, _, following = begin.partition("\n")

    if line.rstrip(_MARKS + " \t\r").endswith(tuple(_COLONS)) and len(line) <= _LONGEST_INTRODUCTION:
        rest = following.strip()
    elif _ANNOUNCES.match(begin) and (colon := re.search(f"[{_COLONS}]", line[:_LONGEST_INTRODUCTION])):
        # Marks that the label opened are closed behind its colon: **Summary:** The mill …
        rest = begin[colon.end() :].lstrip("*_` \t").strip()
    else:
        rest = ""
    return rest or text
