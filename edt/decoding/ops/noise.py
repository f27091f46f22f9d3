"""Common random numbers: Gumbel noise that is a pure function of (seed, task, example, sample, step, token).

A counter-based generator, Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), with
a 64-bit key per stream and the counter (token // 4, step, 0, 0); its four words serve four neighboring tokens. The
counter (0, step, 1, 0) serves what is drawn besides tokens (a temperature of random_t), (0, step, 2, 0) the choice of
a past step. There is no state, so a draw can be recomputed alone, in any batch, order or process.
Shapes: U streams, V vocabulary, W = ceil(V / 4) blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

GENERATOR = "philox4x32-10"
"""Named in every run's identity: another generator draws other tokens."""

WORD = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def stream_key(seed: int, task: str, example_id: str, sample: int, strategy_id: str | None = None) -> tuple[int, int]:
    """Return the 64-bit key of a stream as two 32-bit words: BLAKE2b of its identity.

    strategy_id: None where all strategies share the stream, given where each has its own.
    """
    identity = [str(seed), task, example_id, str(sample)] + ([] if strategy_id is None else [strategy_id])
    # Each part with its length in front: ("a", "bc") and ("ab", "c") must not have the same key.
    encoded = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in identity)
    key = int.from_bytes(hashlib.blake2b(encoded, digest_size=8, person=b"edt-noise").digest(), "big")
    return key >> 32, key & WORD


def philox(counter: Sequence[Tensor], key: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four random words from four counter words and two key words (int64 tensors that hold 32-bit values).

    Philox4x32-10. The 64-bit products wrap in int64; their bit patterns are those of the unsigned products.
    """
    x0, x1, x2, x3 = counter
    k0, k1 = key
    # 32-bit words in int64: torch has no unsigned multiplication, and a product's high word is one shift away.
    for _ in range(ROUNDS):
        product0, product1 = x0 * MULTIPLIERS[0], x2 * MULTIPLIERS[1]
        x0, x1 = ((product1 >> 32) & WORD) ^ x1 ^ k0, product1 & WORD
        x2, x3 = ((product0 >> 32) & WORD) ^ x3 ^ k1, product0 & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return x0, x1, x2, x3


def random_words(key_U2: Tensor, step: int | Tensor, vocabulary: int) -> Tensor:
    """Return one 32-bit random word per stream and token at this step, [U, V] int64.

    step: of all streams, or of each, [U, 1].
    """
    # Four neighboring tokens are the four words of one block; the last block is cut to the vocabulary.
    block_1W = torch.arange((vocabulary + 3) // 4, device=key_U2.device).unsqueeze(0)
    zero = torch.zeros_like(block_1W)
    words = philox((block_1W, zero + step, zero, zero), (key_U2[:, :1], key_U2[:, 1:]))  # each [U, W]
    return torch.stack(words, dim=-1).flatten(1)[:, :vocabulary]


def gumbel(words: Tensor, dtype: torch.dtype) -> Tensor:
    """Return standard Gumbel noise −ln(−ln v) of 32-bit words, with v = 1 − u and u = (word + ½) / 2³², in `dtype`.

    Written through u, which is small and exact where the noise is large (v near 1): −ln(−log1p(−u)). In float32 the
    largest words round to u = 1; they are clamped to 1 − 2⁻²⁴, where the noise is near its minimum of −2.8.
    """
    # + ½ keeps u off 0, the clamp keeps it off 1: both would give infinite noise.
    u = ((words.to(dtype) + 0.5) * 2.0**-32).clamp(max=1.0 - torch.finfo(dtype).eps / 2)
    return -torch.log(-torch.log1p(-u))


def gumbel_noise(key_U2: Tensor, step: int | Tensor, vocabulary: int, dtype: torch.dtype) -> Tensor:
    """Return Gumbel noise per stream and token at this step, [U, V]; key_U2 holds `stream_key` words, int64."""
    return gumbel(random_words(key_U2, step, vocabulary), dtype)


FOR_TEMPERATURE, FOR_PAST_STEP = 1, 2
"""What a uniform number is for: each has separate numbers."""


def uniform_noise(key_U2: Tensor, step: int | Tensor, dtype: torch.dtype, purpose: int = FOR_TEMPERATURE) -> Tensor:
    """Return a uniform number in (0, 1) per stream at this step, [U], independent of the noise of all tokens.

    step: of all streams, or of each, [U].
    """
    zero = torch.zeros_like(key_U2[:, 0])
    # The third counter word is the purpose here and 0 for tokens, so no token has this word.
    word = philox((zero, zero + step, zero + purpose, zero), (key_U2[:, 0], key_U2[:, 1]))[0]
    return ((word.to(dtype) + 0.5) * 2.0**-32).clamp(max=1.0 - torch.finfo(dtype).eps / 2)
