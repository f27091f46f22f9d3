"""The length of the longest common subsequence, bit-parallel over Python's integers of any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def position_masks(tokens: Sequence[str]) -> dict[str, int]:
    """For each token, an integer whose bit i is set where `tokens[i]` is that token."""
    masks: dict[str, int] = {}
    for position, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | 1 << position
    return masks


def lcs_length(masks: Mapping[str, int], length: int, tokens: Sequence[str]) -> int:
    """LCS length of `tokens` and the sequence of `length` tokens that `masks` describes.

    V' = (V + (V & M)) | (V - (V & M)) per token with match mask M, from V = all ones; the answer is the number of
    zeros in the low `length` bits (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
    """
    all_ones = (1 << length) - 1
    row = all_ones
    for token in tokens:
        matches = row & masks.get(token, 0)
        row = ((row + matches) | (row - matches)) & all_ones
    return length - row.bit_count()
