"""Which beginnings of an output can still become correct: the checker of `factuality`, read one byte at a time.

A text is *admissible* if some continuation makes it correct (`is_correct`: the example's grammar derives it). The test
is exact: the grammar becomes a finite automaton over words, and a beginning may end inside a word or a character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from edt.metrics.factuality import words

__all__ = ["START", "Automaton", "State"]

_END = 0
"""The node behind the last word."""

_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_\u3400-\u9fff]")


@dataclass(frozen=True)
class State:
    """Where a beginning stands: the nodes before its last word, that word as far as it goes, and a cut character.

    nodes: None before anything was read. word: folded; empty behind white space. cut: first bytes of a character.
    """

    nodes: frozenset[int] | None
    word: str = ""
    cut: bytes = b""


START = State(None)
"""The empty text, of any automaton."""


@dataclass
class Automaton:
    """The words that the right outputs of one example consist of, as a graph: node -> word -> next nodes."""

    grammar: Any
    _edges: list[dict[str, frozenset[int]]] = field(default_factory=lambda: [{}], init=False, repr=False)
    _advanced: dict[tuple[State, int], State | None] = field(default_factory=dict, init=False, repr=False)
    _counted: dict[frozenset[int], int] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _start(self) -> frozenset[int]:
        return self._enter(self.grammar, frozenset({_END}))

    def _enter(self, tree: Any, after: frozenset[int]) -> frozenset[int]:
        """Add a tree in front of the nodes that follow it; return the nodes at which it begins."""
        if isinstance(tree, str):
            # From the end: a node is made after those that follow it, so no edge has to be added later.
            for word in reversed(words(tree)):
                self._edges.append({word: after})
                after = frozenset({len(self._edges) - 1})
            return after
        # A choice begins wherever one of its options does; which of them are drawn how often does not matter here.
        if tree[0] in ("any", "flat"):
            return frozenset().union(*(self._enter(item, after) for item in tree[1:]))
        # A sequence: each part begins in front of the one behind it.
        for item in reversed(tree[1:]):
            after = self._enter(item, after)
        return after

    def read(self, state: State, text: bytes) -> State | None:
        """Return the state behind some more bytes of UTF-8; None where no correct output begins so."""
        for byte in text:
            following = self._read_byte(state, byte)
            if following is None:
                return None
            state = following
        return state

    def _read_byte(self, state: State, byte: int) -> State | None:
        key = (state, byte)
        # Kept, since thousands of outputs of one example begin with the same few words.
        if key not in self._advanced:
            self._advanced[key] = self._read_new_byte(state, byte)
        return self._advanced[key]

    def _read_new_byte(self, state: State, byte: int) -> State | None:
        # A token may end inside a character, whose bytes wait for the rest.
        cut = state.cut + bytes([byte])
        whole = State(self._start if state.nodes is None else state.nodes, state.word)
        try:
            character = cut.decode()
        except UnicodeDecodeError:
            # Also bytes that begin no character at all: no candidate begins with them.
            possible = any(self._read_character(whole, c) is not None for c in self._characters.get(cut, ()))
            return State(whole.nodes, state.word, cut) if possible else None
        return self._read_character(whole, character)

    @cached_property
    def _characters(self) -> dict[bytes, list[str]]:
        """Every character of several bytes that a correct output can hold, by each of its beginnings."""
        letters = {letter for edges in self._edges for word in edges for letter in word}
        # Compared without regard to case, so a character may be right that folds to letters of the grammar ("ß").
        characters = letters.union(c for c in _wide_characters() if c.isspace() or set(c.casefold()) <= letters)
        by_beginning: dict[bytes, list[str]] = {}
        for content, character in ((c.encode(), c) for c in sorted(characters)):
            for length in range(1, len(content)):
                by_beginning.setdefault(content[:length], []).append(character)
        return by_beginning

    def _read_character(self, state: State, character: str) -> State | None:
        for letter in character.casefold():
            following = self._read_letter(state, letter)
            if following is None:
                return None
            state = following
        return state

    def _read_letter(self, state: State, letter: str) -> State | None:
        assert state.nodes is not None
        nodes, word = state.nodes, state.word
        # As `words` cuts a text: white space and every mark ends a word, and so does a change from letters to digits.
        if letter.isspace() or not (word and _kind(word) == _kind(letter) != "mark"):
            nodes, word = self._finish(nodes, word), ""
        if letter.isspace():
            return State(nodes) if nodes else None
        word += letter
        possible = any(known.startswith(word) for node in nodes for known in self._edges[node])
        return State(nodes, word) if possible else None

    def _finish(self, nodes: frozenset[int], word: str) -> frozenset[int]:
        """Return the nodes behind a whole word; none where it is no word of theirs."""
        if not word:
            return nodes
        empty: frozenset[int] = frozenset()
        return empty.union(*(self._edges[node].get(word, empty) for node in nodes))

    def is_correct(self, state: State) -> bool:
        """Return whether the text so far is a correct output."""
        return not state.cut and _END in self._finish(self._start if state.nodes is None else state.nodes, state.word)

    def completions(self, state: State) -> int:
        """Return how many correct outputs begin so, counted as words: the text so far may be one of them."""
        nodes = self._start if state.nodes is None else state.nodes
        if state.cut:
            whole = State(nodes, state.word)
            # The grammar's own characters: those that only fold to one, and white space, are no other output.
            own = [c for c in self._characters.get(state.cut, ()) if not c.isspace() and c.casefold() == c]
            reached = {self._read_character(whole, c) for c in own}
            return sum(self.completions(following) for following in reached if following is not None)
        if not state.word:
            return self._count(nodes)
        known = {word for node in nodes for word in self._edges[node] if word.startswith(state.word)}
        return sum(self._count(self._finish(nodes, word)) for word in known)

    def _count(self, nodes: frozenset[int]) -> int:
        # By sets of nodes, as for a deterministic automaton: an output that two derivations give counts once.
        if nodes not in self._counted:
            following = {word for node in nodes for word in self._edges[node]}
            self._counted[nodes] = (_END in nodes) + sum(self._count(self._finish(nodes, word)) for word in following)
        return self._counted[nodes]


def _kind(text: str) -> str:
    """Return the kind of word that the first character begins."""
    if _DIGIT.match(text):
        return "digits"
    return "letters" if _LETTER.match(text) else "mark"


# When it is first needed: a million characters take a quarter of a second, also where the module is only imported.
@cache
def _wide_characters() -> Sequence[str]:
    """Return the characters of several bytes that are white space, or that case folding changes."""
    # Surrogates are no characters of UTF-8.
    characters = (chr(code) for code in range(128, 0x110000) if not 0xD800 <= code < 0xE000)
    return tuple(c for c in characters if c.isspace() or c.casefold() != c)
