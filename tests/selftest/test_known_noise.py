"""The known answers of the self-test, derived again: Philox in Python's integers, Gumbel noise in 40 digits."""

import hashlib
from decimal import Decimal, getcontext

import pytest

from edt.selftest.known_noise import GUMBELS, RANDOM123, WORDS

WORD = 2**32


def plain_philox(counter, key):
    """Philox4x32-10 as in Salmon et al. 2011, with Python's own integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [right // WORD ^ c[1] ^ k[0], right % WORD, left // WORD ^ c[3] ^ k[1], left % WORD]
        k = [(k[0] + 0x9E3779B9) % WORD, (k[1] + 0xBB67AE85) % WORD]
    return tuple(c)


def plain_key(*identity):
    """The key of docs/concepts/common_random_numbers.md: BLAKE2b of the parts, each with its length in front."""
    parts = [str(part).encode() for part in identity]
    data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    number = int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"edt-noise").digest(), "big")
    return divmod(number, WORD)


@pytest.mark.parametrize(("counter", "key", "words"), RANDOM123)
def test_random123(counter, key, words):
    assert plain_philox(counter, key) == words


@pytest.mark.parametrize(("identity", "step", "token", "key", "word", "other"), WORDS)
def test_words(identity, step, token, key, word, other):
    assert plain_key(*identity) == key
    assert plain_philox((token // 4, step, 0, 0), key)[token % 4] == word
    assert plain_philox((0, step, 1, 0), key)[0] == other


@pytest.mark.parametrize(("word", "value"), GUMBELS)
def test_gumbels(word, value):
    getcontext().prec = 40
    u = (Decimal(word) + Decimal("0.5")) / WORD
    assert float(-(-(1 - u).ln()).ln()) == pytest.approx(value, rel=1e-15)
