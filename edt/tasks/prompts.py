"""From an example's text to token ids within a budget: the source is shortened first, the instruction never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edt.errors import DataError
from edt.ids import digest
from edt.records import Example, Prompt, PromptParts

__all__ = ["encode", "prompt_text", "same_text", "text_prompt", "without_source"]

Tokenize = Callable[[str], Sequence[int]]

_LONGEST_WORD = 40
"""Characters that are given up at most to cut at white space."""


def prompt_text(parts: PromptParts) -> str:
    """Return the text that the model reads."""
    return parts.head + parts.source + "".join(parts.turns) + parts.tail


def same_text(text: str) -> str:
    """Return what two texts have in common that differ in white space alone."""
    return " ".join(text.split())


def without_source(parts: PromptParts) -> PromptParts:
    """Return the same prompt with an empty source: the second context of KL-guided temperature (arXiv 2306.01286)."""
    return replace(parts, source="")


def encode(example: Example, tokenize: Tokenize, *, budget: int) -> Prompt:
    """Return the token ids of the prompt with and without its source, each at most `budget` long.

    Both contexts keep the same turns, so they differ only in the source.
    Raises DataError when the parts that are never shortened exceed the budget.
    """
    # Most prompts fit, so one tokenization decides; the search needs one per step.
    full_length = len(tokenize(prompt_text(example.parts)))
    parts = _shorten(example, tokenize, budget=budget) if full_length > budget else example.parts

    # Tokenize the joined text, not part by part: a token may cross the border of two parts.
    token_ids = tuple(tokenize(prompt_text(parts)))
    return Prompt(
        task=example.task,
        split=example.split,
        example_id=example.example_id,
        cluster_id=example.cluster_id,
        token_ids=token_ids,
        unconditional_ids=tuple(tokenize(prompt_text(without_source(parts)))),
        # A difference of lengths: the tokens next to the cut may not be those of the full prompt.
        truncated_tokens=full_length - len(token_ids),
    )


def text_prompt(text: str, tokenize: Tokenize, *, unconditional: str | None = None) -> Prompt:
    """Return a prompt that belongs to no task, made from any text; its id is a hash of its content.

    unconditional: the same text without its source; the text itself by default.
    Raises DataError for a text without a token.
    """
    token_ids = tuple(tokenize(text))
    unconditional_ids = token_ids if unconditional is None else tuple(tokenize(unconditional))
    if not token_ids or not unconditional_ids:
        raise DataError(f"the prompt {text!r} has no token; give a text to continue.")

    # Of both texts: prompts that differ only in the second context are two prompts.
    content = digest([text, unconditional])
    return Prompt(
        task="prompt",
        split="test",
        example_id=content,
        cluster_id=content,
        token_ids=token_ids,
        unconditional_ids=unconditional_ids,
        truncated_tokens=0,
    )


def _shorten(example: Example, tokenize: Tokenize, *, budget: int) -> PromptParts:
    """Return the parts with the longest beginning of the source that fits.

    Where nothing of the source fits, return as many recent turns as fit, without a source.
    """

    def length(parts: PromptParts) -> int:
        return len(tokenize(prompt_text(parts)))

    # Drop the oldest turns until the prompt fits without its source.
    bare = without_source(example.parts)
    while length(bare) > budget and bare.turns:
        bare = replace(bare, turns=bare.turns[1:])
    if length(bare) > budget:
        raise DataError(
            f"the prompt of example '{example.example_id}' of task '{example.task}' needs {length(bare)} tokens even "
            f"without its source, but the budget is {budget} (the context less the new tokens, or "
            "task.max_prompt_tokens). Use a model with a longer context, lower task.shots where it is set, lower "
            "sampling.max_new_tokens (it overrides the task's own), or raise task.max_prompt_tokens where it is set."
        )
    # A dropped turn means that the source is gone: turns outlive the source.
    if len(bare.turns) < len(example.parts.turns):
        return bare

    # Search by bisection, in characters: the number of tokens grows with the text, but a token has no fixed length.
    # `low` characters always fit (0 do, as `bare` fits), so where a longer text has fewer tokens the search may give up
    # some of the source, but never exceeds the budget.
    source = example.parts.source
    low, high = 0, len(source)
    while low < high:
        # Rounded up: rounded down, the middle of two neighbors would be `low` again, without end.
        middle = (low + high + 1) // 2
        if length(replace(bare, source=source[:middle])) <= budget:
            low = middle
        else:
            high = middle - 1

    # Cutting at a word may need one token more (the rest of a word may share a token with its space).
    at_word = replace(bare, source=_cut_at_word(source, low))
    return at_word if length(at_word) <= budget else replace(bare, source=source[:low])


def _cut_at_word(text: str, length: int) -> str:
    """Return the first `length` characters, cut back to the last white space if there is one near."""
    cut = text[:length]
    if length >= len(text) or text[length].isspace():
        return cut
    # Right after a space, all words are whole.
    if cut.rstrip() != cut:
        return cut.rstrip() or cut
    # Inside the first word there is no white space to cut back to.
    shorter = cut.rsplit(None, 1)[0] if len(cut.split()) > 1 else cut
    # Chinese has no spaces: the last one may be far away, and cutting there would lose text for nothing.
    return shorter if len(cut) - len(shorter) <= _LONGEST_WORD else cut
