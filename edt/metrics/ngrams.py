"""N-gram counts of many sentences at once, by sorting integers.

Sentences are put into groups (the samples of a prompt; a reference set with its hypotheses), and n-grams are only ever
compared within a group. Shapes: S sentences, N tokens of all sentences, C counted (n-gram, sentence) pairs, G n-grams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MAX_ORDER = 4


@dataclass(frozen=True, kw_only=True)
class NgramCounts:
    """How often each n-gram of one order occurs in each sentence that has it.

    gram_C: a dense id, 0 … G−1, unique to (group, n-gram); sentence_C: the sentence; count_C: at least 1.
    """

    gram_C: Ints
    sentence_C: Ints
    count_C: Ints

    @property
    def n_grams(self) -> int:
        """G, the number of distinct (group, n-gram)."""
        # The ids ascend, since they number sorted keys.
        return int(self.gram_C[-1]) + 1 if len(self.gram_C) else 0


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Tokenized sentences as integers. `length_S` tokens each, one after the other in `token_N`; `group_S` groups."""

    token_N: Ints
    length_S: Ints
    group_S: Ints
    vocabulary: int

    @classmethod
    def from_texts(cls, texts: Sequence[str], groups: Sequence[int] | Ints, tokenize: Callable[[str], str]) -> Corpus:
        """Build the corpus from texts and the group of each.

        tokenize: text to tokens separated by white space; called once per distinct text.
        """
        ids: dict[str, int] = {}
        numbered = {
            text: [ids.setdefault(token, len(ids)) for token in tokenize(text).split()] for text in dict.fromkeys(texts)
        }

        length_S = np.array([len(numbered[text]) for text in texts], dtype=np.int64)
        flat = chain.from_iterable(numbered[text] for text in texts)
        token_N = np.fromiter(flat, dtype=np.int64, count=int(length_S.sum()))
        group_S = np.asarray(groups, dtype=np.int64)
        return cls(token_N=token_N, length_S=length_S, group_S=group_S, vocabulary=max(len(ids), 1))

    def totals(self, order: int) -> Ints:
        """Return the number of n-grams of one order in each sentence, [S]."""
        return np.maximum(self.length_S - order + 1, 0)

    def ngram_counts(self) -> Iterator[NgramCounts]:
        """Yield the counts of order 1, 2, 3 and 4.

        An n-gram is its (n−1)-gram's dense id followed by one more token, so one stable sort per order both numbers
        the n-grams and, as positions ascend, leaves the occurrences in one sentence next to each other.
        """
        sentence_N = np.repeat(np.arange(len(self.length_S)), self.length_S)
        end_N = np.cumsum(self.length_S)[sentence_N]
        # The "0-gram" of a token is its group: so equal n-grams of two groups never get one id.
        gram_N = self.group_S[sentence_N]
        position = np.arange(len(self.token_N))
        for order in range(1, MAX_ORDER + 1):
            # 1. Only positions where an n-gram of this order fits into the sentence.
            position = position[position + order <= end_N[position]]

            # 2. The key of an n-gram: the id of all but its last token, and that token.
            # Below G · vocabulary, as each order numbers anew; vocabulary⁴ would overflow 64 bits from some 55,000
            # tokens on.
            key = gram_N[position] * self.vocabulary + self.token_N[position + order - 1]
            by_key = np.argsort(key, kind="stable")
            position_sorted = position[by_key]

            # 3. Number the distinct keys; the next order builds on these ids.
            new_gram = _changes(key[by_key])
            gram_sorted = np.cumsum(new_gram) - 1
            # Positions that dropped out keep an old id, which no later order reads.
            gram_N[position_sorted] = gram_sorted

            # 4. Equal n-grams of one sentence are neighbors now: the length of each stretch is its count.
            sentence_sorted = sentence_N[position_sorted]
            starts = np.flatnonzero(new_gram | _changes(sentence_sorted))
            counts = np.diff(starts, append=len(position))
            yield NgramCounts(gram_C=gram_sorted[starts], sentence_C=sentence_sorted[starts], count_C=counts)


def _changes(values: Ints) -> NDArray[np.bool_]:
    """Return where a value differs from the one before it; the first always does."""
    # Where all sentences are shorter than the order there is no first element.
    return np.concatenate([np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1]])


def largest_per_gram(gram_C: Ints, count_C: Ints, n_grams: int) -> Ints:
    """Return the largest count of each n-gram, [G]; 0 for one that does not occur in `gram_C`."""
    largest_G = np.zeros(n_grams, dtype=np.int64)
    # `.at`: an assignment by index would keep one of a gram's counts, not the largest.
    np.maximum.at(largest_G, gram_C, count_C)
    return largest_G
