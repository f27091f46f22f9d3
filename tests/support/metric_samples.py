"""Sample sets and texts for the tests of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from edt.metrics.base import SampleSet
from edt.records import Example, PromptParts

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "mat",
    "running",
    "runs",
    "3.5",
    "U.S.",
    "(well,)",
    "&quot;",
    "-",
    "猫",
    "É",
    "a-b\n",
]
SPACES = [" ", " ", " ", "  ", "\n"]

texts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=12).map(
    lambda pieces: "".join(word + space for word, space in pieces)
)
"""Few words, so that n-grams repeat and match; punctuation and entities that tokenizers treat; empty texts."""


def sample_set(
    texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]] | None = None, language: str = "en"
) -> SampleSet:
    refs = references if references is not None else [["a reference"]] * len(texts)
    parts = PromptParts(head="", source="", tail="")
    examples = [
        Example(task="t", split="test", example_id=f"e{i}", cluster_id=f"e{i}", parts=parts, references=tuple(r))
        for i, r in enumerate(refs)
    ]
    return SampleSet(examples=examples, texts=texts, target_language=language)
