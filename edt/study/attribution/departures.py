"""Find the step at which an output leaves the right ones: the first token after which it cannot become correct."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edt.metrics.admissible import START, Automaton
from edt.metrics.factuality import is_correct, words
from edt.records import Example, Generation
from edt.study.attribution.vocabulary import ByteVocabulary

SURE_BELOW = 0.1
"""Entropy in nats below which a step counts as sure."""

ENTROPY_EDGES = (SURE_BELOW, 0.3, 0.7, 2.0)
"""Edges of the bins of entropy, in nats; the first bin begins at 0 and the last has no end."""


def bin_names() -> list[str]:
    """Return the names of the bins of entropy, as column heads."""
    # An en dash, as in tables; the ends are open as np.digitize has them: low included, high not.
    inner = [f"{low:g}–{high:g}" for low, high in itertools.pairwise(ENTROPY_EDGES)]
    return [f"< {ENTROPY_EDGES[0]:g}", *inner, f"≥ {ENTROPY_EDGES[-1]:g}"]


def first_departure(vocabulary: ByteVocabulary, automaton: Automaton, token_ids: Sequence[int]) -> int | None:
    """Return the first step after which no continuation makes the output correct; None where there is none.

    An end token departs where the text so far is not correct. What follows an end is not read.
    """
    state = START
    for step, token in enumerate(token_ids):
        # Before the bytes: an end token has a name and no text.
        if token in vocabulary.eos_ids:
            return None if automaton.is_correct(state) else step
        following = automaton.read(state, vocabulary.token_bytes[token])
        if following is None:
            return step
        state = following
    return None


@dataclass(kw_only=True)
class Departures:
    """What became of the outputs of one setting: counted over outputs and steps, distinct ones per example.

    cut: outputs that had not departed when the limit of new tokens ended them.
    departed, steps: first departures, and steps before or at them, by bin of entropy.
    """

    outputs: int = 0
    correct: int = 0
    cut: int = 0
    departed: np.ndarray = field(default_factory=lambda: np.zeros(len(ENTROPY_EDGES) + 1, dtype=np.int64))
    steps: np.ndarray = field(default_factory=lambda: np.zeros(len(ENTROPY_EDGES) + 1, dtype=np.int64))
    distinct: list[int] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """The outputs with a departure."""
        return int(self.departed.sum())

    @property
    def at_unsure(self) -> float:
        """The share of the first departures at steps that are not sure; NaN without any."""
        return float(self.departed[1:].sum() / self.wrong) if self.wrong else float("nan")


def count_departures(
    vocabulary: ByteVocabulary,
    automata: Mapping[str, Automaton],
    examples: Iterable[Example],
    generations: Mapping[str, Sequence[Generation]],
) -> Departures:
    """Return what became of the traced outputs of one setting, given by example id."""
    counted = Departures()
    for example in examples:
        right = set()
        for generation in generations[example.example_id]:
            entropy = generation.trace_entropy
            assert entropy is not None, "decoded with Sampling.trace"
            # A departure is a matter of tokens, correctness one of the scored text; a stop text makes them differ.
            step = first_departure(vocabulary, automata[example.example_id], generation.token_ids)
            correct = is_correct(example, generation.text)
            # A stop text is cut off what is scored: what it ended too early departs with its last token.
            if step is None and not correct and generation.finish_reason == "stop":
                step = len(entropy) - 1
            counted.outputs += 1
            if correct:
                counted.correct += 1
                # By words, as distinct_correct counts: case and spaces make no other output.
                right.add(words(generation.text))
            elif step is None:
                counted.cut += 1
            last = len(entropy) if step is None else step + 1
            # Steps behind the departure are of texts that no grammar has; they would hide where the decisions fall.
            bins = np.digitize(entropy[:last], ENTROPY_EDGES)
            counted.steps += np.bincount(bins, minlength=len(ENTROPY_EDGES) + 1)
            if step is not None and not correct:
                counted.departed[bins[step]] += 1
        counted.distinct.append(len(right))
    return counted
