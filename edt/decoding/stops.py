"""Where a text ends: at a stop string. Shapes: R rows, S steps, V vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Decode = Callable[[Sequence[Sequence[int]]], list[str]]


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return the text up to the first stop string in it."""
    # The earliest of all, not the first in the list.
    ends = [text.index(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


class StopWatch:
    """Finds the rows that have just produced a stop string; decodes a row only when its last token could end one."""

    def __init__(self, stops: Sequence[str], decode: Decode, vocabulary: int, tokens: int) -> None:
        """Find the tokens that could end a stop string.

        decode: turns token ids into texts. tokens: the size of the tokenizer; the model's vocabulary may be padded.
        """
        self.stops = tuple(stops)
        self.decode = decode
        self.may_end_V = torch.zeros(vocabulary, dtype=torch.bool)
        if self.stops:
            # Alone, a token may decode to other text than in its context, but its last character is the same, unless it
            # ends within a character of several bytes: the replacement character stands for any of those.
            pieces = decode([[token] for token in range(min(tokens, vocabulary))])
            lasts = {stop[-1] for stop in self.stops} | {"\ufffd"}
            ends = [any(last in piece for last in lasts) for piece in pieces]
            self.may_end_V[: len(ends)] = torch.tensor(ends)

    def stopped(self, tokens_RS: Tensor) -> Tensor:
        """Return the rows whose text so far holds a stop string, [R] bool. tokens_RS: all new tokens, on the CPU."""
        stopped_R = torch.zeros(len(tokens_RS), dtype=torch.bool)
        # Few tokens can end a stop string, so most steps decode no text at all.
        candidates = self.may_end_V[tokens_RS[:, -1]].nonzero().squeeze(-1)
        if len(candidates):
            # The whole text, since a stop string may begin several tokens earlier.
            texts = self.decode(tokens_RS[candidates].tolist())
            stopped_R[candidates] = torch.tensor([any(stop in text for stop in self.stops) for text in texts])
        return stopped_R
