"""Read a tokenizer's vocabulary as bytes, and find the tokens after which an output can still become correct."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edt.errors import ConfigError
from edt.metrics.admissible import Automaton, State
from edt.models.language_model import LanguageModel

_LEAF = "token"
"""Key of a trie's node for the tokens that end there; the others are bytes."""


@dataclass(frozen=True)
class ByteVocabulary:
    """The bytes of each token; b"" for special tokens, of which a text has nothing."""

    token_bytes: Sequence[bytes]
    eos_ids: frozenset[int]

    @classmethod
    def of(cls, model: LanguageModel) -> ByteVocabulary:
        """Read the vocabulary of a model. Raises ConfigError for a tokenizer that is not byte-level."""
        tokenizer = model.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = None if backend is None else json.loads(backend.to_str())["decoder"]
        # Other decoders join tokens by rules, so that a token alone has no bytes.
        if decoder is None or decoder["type"] != "ByteLevel":
            raise ConfigError(
                f"the tokenizer of {model.spec.path} is not byte-level, so its tokens cannot be followed through the "
                "grammar; leave error_attribution out of experiment=[…], or use model=mini or a model like it."
            )
        special = set(model.special_tokens.values())
        texts = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        known = [b"" if i in special else bytes(_BYTES[c] for c in text) for i, text in enumerate(texts)]
        # Logits can be wider than the tokenizer; such a token has no text, as a special one.
        return cls(known + [b""] * (model.vocabulary - len(known)), model.eos_ids)

    @cached_property
    def _silent(self) -> list[int]:
        """Tokens without a text that do not end the output: after them the text can become correct as before."""
        return [i for i, content in enumerate(self.token_bytes) if not content and i not in self.eos_ids]

    @cached_property
    def _trie(self) -> dict[Any, Any]:
        root: dict[Any, Any] = {}
        for index, content in enumerate(self.token_bytes):
            if content:
                node = root
                for byte in content:
                    node = node.setdefault(byte, {})
                node.setdefault(_LEAF, []).append(index)
        return root

    def admissible(self, automaton: Automaton, state: State) -> list[tuple[int, State | None]]:
        """Return the tokens after which the output can still become correct, with the state; None behind an end."""
        found: list[tuple[int, State | None]] = [(index, state) for index in self._silent]
        if automaton.is_correct(state):
            found += [(index, None) for index in sorted(self.eos_ids)]
        # A walk of the trie: a byte that no right output continues with leaves out all tokens that begin so.
        stack = [(self._trie, state)]
        while stack:
            node, reached = stack.pop()
            for byte, child in node.items():
                if byte == _LEAF:
                    found += [(index, reached) for index in child]
                elif (following := automaton.read(reached, bytes([byte]))) is not None:
                    stack.append((child, following))
        return found


def _byte_by_letter() -> dict[str, int]:
    """Return the byte of each letter in a byte-level vocabulary (GPT-2's table): printable bytes are themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + rank): byte for rank, byte in enumerate(others)}


_BYTES = _byte_by_letter()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a rule that stays right can draw in a state.

    following: the state behind each token; None behind an end token. Only tokens with a visible character: an output
    could wait in the others for as long as it likes, and a line break ends it.
    weights: how many right outputs begin with each state, each counted at the longest token that it begins with.
    """

    following: Mapping[int, State | None]
    weights: Mapping[State | None, int]


@dataclass
class AdmissibleTokens:
    """The admissible tokens of one example's states, found once each."""

    vocabulary: ByteVocabulary
    automaton: Automaton
    _found: dict[State, Options] = field(default_factory=dict, init=False, repr=False)

    def at(self, state: State) -> Options:
        """Return what can be drawn in a state."""
        if state not in self._found:
            self._found[state] = self._options(state)
        return self._found[state]

    def _options(self, state: State) -> Options:
        following = {
            index: reached
            for index, reached in self.vocabulary.admissible(self.automaton, state)
            if reached is None or self.vocabulary.token_bytes[index].decode(errors="replace").strip()
        }
        counts = {s: 1 if s is None else self.automaton.completions(s) for s in set(following.values())}
        # Nothing but white space or a variant of a letter continues these.
        following = {index: reached for index, reached in following.items() if counts[reached]}
        weights = {reached: counts[reached] for reached in following.values()}
        for reached, shorter in self._shorter(following, counts).items():
            weights[shorter] -= counts[reached]
        return Options(following=following, weights=weights)

    def _shorter(
        self, following: Mapping[int, State | None], counts: Mapping[State | None, int]
    ) -> dict[State | None, State | None]:
        """Return, of each state that a longer token leads to, the state whose outputs include its outputs."""
        by_bytes = {self.vocabulary.token_bytes[index]: reached for index, reached in following.items() if reached}
        found: dict[State | None, State | None] = {}
        for content, reached in by_bytes.items():
            around = {by_bytes[content[:n]] for n in range(1, len(content)) if content[:n] in by_bytes}
            # The same word in another case, or without its space, need not be a token.
            around |= {s for s in by_bytes.values() if s.nodes == reached.nodes and s.word and not s.cut
                       and reached.word.startswith(s.word)}  # fmt: skip
            around.discard(reached)
            if around:
                # The closest: the fewest outputs, then the longest beginning.
                closest = min(around, key=lambda s: (counts[s], -len(s.word), -len(s.cut)))
                if reached not in found or counts[closest] < counts[found[reached]]:
                    found[reached] = closest
        return found
