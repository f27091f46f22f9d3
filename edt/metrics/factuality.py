"""Are an output's facts right, and how many distinct right outputs are there? For tasks with a known truth.

Reads nothing but `Example.meta`, where such a task puts plain JSON:

    required: groups of wordings; each group is a fact, said by any one of its wordings
    grammar:  every right output: "literal", ["all", part, ...], ["any", alternative, ...] or ["flat", alternative, ...]

An example without them (a real data set) makes both metrics undefined.

*Facts right*: every required fact is said word for word, and every word and figure of the output is one that a right
output of this example could hold. So a foreign name, another figure or another kind of event is a contradiction,
while a stumble in order or wording is not. *Correct* is stricter: the grammar of the example derives the output.
Whatever is correct has its facts right. Both compare words (a Chinese character is a word, punctuation too) without
regard to case and white space.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.signature import signature_text, size_text
from edt.metrics.subsets import curve_statistics, expected_distinct, mean_curve
from edt.records import Example

# Chinese characters one by one: without spaces a whole clause would be one word, which no grammar holds. Digits apart
# from letters: in "3rd" the figure is a word.
_WORD = re.compile(r"\d+|[^\W\d_\u3400-\u9fff]+|\S")

Words = tuple[str, ...]
Judged = dict[tuple[str, str, str], bool]
"""Judgements by task, example and text."""


def words(text: str) -> Words:
    """Return runs of digits, runs of letters, single Chinese characters and marks; case folded."""
    # casefold, not lower: "STRASSE" is the same word as "straße".
    return tuple(_WORD.findall(text.casefold()))


def facts_right(example: Example, text: str) -> bool:
    """Return whether all required facts are said and no word contradicts them (see the module's definition).

    Raises KeyError for an example without a known truth.
    """
    said = words(text)

    # A word that no right output holds contradicts the facts: a foreign name, another figure, another event.
    # Only words and figures: punctuation asserts nothing.
    if not {word for word in said if word.isalnum()} <= _vocabulary(example.meta["grammar"]):
        return False
    return all(any(_holds(said, words(wording)) for wording in group) for group in example.meta["required"])


def is_correct(example: Example, text: str) -> bool:
    """Return whether the example's grammar derives the text. Raises KeyError for an example without a known truth."""
    said = words(text)
    # Derived to the last word: a right beginning with something made up after it is not correct.
    return len(said) in _ends(example.meta["grammar"], said, frozenset({0}))


def _holds(said: Words, wanted: Words) -> bool:
    # Word by word, not as a substring: "Tom" is not said by "Tommy", nor 1 by 12.
    return any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1))


def _leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    else:
        for item in tree[1:]:
            yield from _leaves(item)


def _vocabulary(tree: Any) -> set[str]:
    return {word for leaf in _leaves(tree) for word in words(leaf)}


def _ends(tree: Any, said: Words, starts: frozenset[int]) -> frozenset[int]:
    """Return where a derivation of `tree` that begins at one of `starts` can end."""
    # A set of positions at once: alternatives that begin alike need no backtracking, whose cost could double at each.
    if isinstance(tree, str):
        wanted = words(tree)
        return frozenset(start + len(wanted) for start in starts if said[start : start + len(wanted)] == wanted)
    if tree[0] in ("any", "flat"):
        return frozenset().union(*(_ends(item, said, starts) for item in tree[1:]))
    for item in tree[1:]:
        starts = _ends(item, said, starts)
    return starts


def _remembered(judged: Judged, judge: Callable[[Example, str], bool], example: Example, text: str) -> bool:
    """Return the judgement of a text, made once."""
    # At low temperatures most samples of most settings are the same few texts.
    key = (example.task, example.example_id, text)
    if key not in judged:
        judged[key] = judge(example, text)
    return judged[key]


def _known(examples: Sequence[Example]) -> bool:
    # All or none: a mean over the examples that have a truth would be of other examples than the other metrics.
    return all("grammar" in example.meta and "required" in example.meta for example in examples)


@dataclass(frozen=True, kw_only=True)
class Factuality:
    """Percentage of samples whose facts are right; None where an example has no known truth."""

    name: ClassVar[str] = "factuality"
    label: ClassVar[str] = "factuality"
    higher_is_better: ClassVar[bool] = True
    is_share: ClassVar[bool] = True

    _judged: Judged = field(default_factory=dict, init=False, repr=False, compare=False)

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, 2]: the percentage of an example's samples whose facts are right, and 1."""
        values_EK = self.sample_values(samples)
        return None if values_EK is None else mean_statistics(values_EK.mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats | None:
        """Return 100 for each sample whose facts are right, else 0, [E, K]."""
        if not _known(samples.examples):
            return None
        pairs = zip(samples.examples, samples.texts, strict=True)
        right = [[_remembered(self._judged, facts_right, e, text) for text in texts] for e, texts in pairs]
        return 100.0 * np.array(right, dtype=np.float64)

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return how facts are judged, and the numbers of examples and samples."""
        return signature_text("factuality", {"facts": "said,uncontradicted"}, n=size_text(samples), library="edt")


@dataclass(frozen=True, kw_only=True)
class DistinctCorrect:
    """Mean number of distinct correct outputs among an example's K samples (0 to K).

    `curve` is the expected number among k = 1 … K of them (see `expected_distinct`).
    """

    name: ClassVar[str] = "distinct_correct"
    label: ClassVar[str] = "distinct"
    higher_is_better: ClassVar[bool] = True
    within_groups: ClassVar[bool] = True
    digits: ClassVar[int] = 2
    interval_in_table: ClassVar[bool] = False

    _judged: Judged = field(default_factory=dict, init=False, repr=False, compare=False)

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, K + 1]: the expected distinct correct outputs among k = 1 … K samples, and 1."""
        if not _known(samples.examples):
            return None
        pairs = zip(samples.examples, samples.texts, strict=True)
        correct = [[t for t in texts if _remembered(self._judged, is_correct, e, t)] for e, texts in pairs]
        # Compared as words: two outputs that differ in case or spaces alone are one.
        curves = [expected_distinct([words(text) for text in texts], samples.n_samples) for texts in correct]
        return curve_statistics(np.stack(curves))

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the value at k = K, the mean over examples."""
        return self.curve(totals)[..., -1]

    def curve(self, totals: Statistics) -> Floats:
        """Return the mean over examples for k = 1 … K, [..., K + 1] -> [..., K]."""
        return mean_curve(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return what counts as correct and as distinct, and the numbers of examples and samples."""
        options = {"correct": "derivable", "distinct": "words"}
        return signature_text("distinct_correct", options, n=size_text(samples), library="edt")
