"""Where a text ends: at a stop string. Shapes: R rows, S steps, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from edt.decoding.sampling import Limits
from edt.errors import ConfigError

Decode = Callable[[Sequence[Sequence[int]]], list[str]]


def _stop_position(text: str, limits: Limits) -> int | None:
    """Return where the first stop string of a text begins; None where none ends it.

    A stop string counts only after the first character that is not white space: many models begin an answer with a line
    break, which would otherwise be the whole answer.
    """
    # White space at the beginning is no part of the text, and the stop must come after its first character.
    begin = 0 if limits.stops_before_text else len(text) - len(text.lstrip()) + 1
    # The earliest of all, not the first in the list.
    return min((at for stop in limits.stop if (at := text.find(stop, begin)) >= 0), default=None)


def cut_at_stop(text: str, limits: Limits) -> str:
    """Return the text up to the stop string that ends it."""
    return text[: _stop_position(text, limits)]


class StopWatch:
    """Finds the rows that have just produced a stop string; decodes a row only when its last token could end one."""

    def __init__(
        self, limits: Limits, decode: Decode, *, vocabulary: int, tokens: int, special: Mapping[str, int]
    ) -> None:
        """Find the tokens that could end a stop string. Raises ConfigError for a stop that no text can hold.

        decode: turns token ids into texts. tokens: the size of the tokenizer; the model's vocabulary may be padded.
        special: the tokens that `decode` leaves out, by name; one that is a stop ends a text at its id, as EOS does.
        """
        self.limits, self.decode = limits, decode
        for stop in limits.stop:
            _check_special(stop, special)
        special_ids = [special[stop] for stop in limits.stop if stop in special]
        self.special = torch.tensor(special_ids, dtype=torch.int64)
        self.may_end_V = _tokens_that_may_end(limits.stop, decode, vocabulary, tokens)

    def stopped(self, tokens_RS: Tensor) -> Tensor:
        """Return the rows whose text so far holds a stop string, [R] bool. tokens_RS: all new tokens, on the CPU."""
        stopped_R = torch.isin(tokens_RS[:, -1], self.special)
        # Few tokens can end a stop string, so most steps decode no text at all.
        candidates = self.may_end_V[tokens_RS[:, -1]].nonzero().squeeze(-1)
        if len(candidates):
            # The whole text, since a stop string may begin several tokens earlier.
            texts = self.decode(tokens_RS[candidates].tolist())
            stopped_R[candidates] |= torch.tensor([_stop_position(text, self.limits) is not None for text in texts])
        return stopped_R


def _check_special(stop: str, special: Mapping[str, int]) -> None:
    """Raise ConfigError for a stop in which a special token has other text around it: it would never be found."""
    inside = [name for name in special if name in stop and name != stop]
    # A longer name may contain a shorter one: <|end|> within <|end|>x is no reason where <|end|>x is a token itself.
    if stop not in special and inside:
        name = max(inside, key=len)
        raise ConfigError(
            f"the stop {stop!r} holds the special token '{name}', and special tokens are no part of a text; give the "
            f"token alone ({name!r}), which ends a text where it is drawn."
        )


def _tokens_that_may_end(stops: Sequence[str], decode: Decode, vocabulary: int, tokens: int) -> Tensor:
    """Return the tokens with which a text may come to hold one of the stops, [V] bool."""
    may_end_V = torch.zeros(vocabulary, dtype=torch.bool)
    if not stops:
        return may_end_V

    lasts = {stop[-1] for stop in stops}
    if " " in lasts:
        # A decoder may add and drop spaces between two tokens: sentencepiece writes the space of ". " with the next
        # word, and not where that word is alone. So any token could bring it.
        return torch.ones(vocabulary, dtype=torch.bool)
    # All other characters of a token are the same alone as in a text, unless it begins or ends within a character of
    # several bytes: the replacement character stands for any of those.
    pieces = decode([[token] for token in range(min(tokens, vocabulary))])
    ends = [any(last in piece for last in (*lasts, "\ufffd")) for piece in pieces]
    may_end_V[: len(ends)] = torch.tensor(ends)
    return may_end_V
