"""The noise against Random123's known answers and against statistics of independent uniform draws."""

import math

import pytest
import scipy.stats
import torch

from edt.decoding.ops.noise import WORD, gumbel, gumbel_noise, philox, random_words, stream_key

# Known answers of philox4x32-10 from the Random123 distribution (tests/kat_vectors).
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORD,) * 4, (WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def keys(count, samples=1):
    rows = [stream_key(0, "task", f"example-{i // samples}", i % samples) for i in range(count)]
    return torch.tensor(rows, dtype=torch.int64)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, expected):
    words = philox([torch.tensor(c) for c in counter], [torch.tensor(k) for k in key])
    assert tuple(int(word) for word in words) == expected


def test_words_follow_the_documented_counter():
    key = keys(1)
    words = random_words(key, step=7, vocabulary=10)
    zero = torch.tensor(0)
    block = philox((torch.tensor(1), torch.tensor(7), zero, zero), (key[0, 0], key[0, 1]))
    assert words[0, 4:8].tolist() == [int(word) for word in block]


def test_noise_does_not_depend_on_the_batch():
    together = gumbel_noise(keys(9), 3, 50, torch.float64)
    alone = torch.cat([gumbel_noise(keys(9)[i : i + 1], 3, 50, torch.float64) for i in range(9)])
    assert torch.equal(together, alone)


def test_longer_vocabulary_extends_the_noise():
    assert torch.equal(random_words(keys(2), 0, 100)[:, :37], random_words(keys(2), 0, 37))


@pytest.mark.parametrize(
    "other",
    [
        (1, "t", "e", 0, None),
        (0, "u", "e", 0, None),
        (0, "t", "f", 0, None),
        (0, "t", "e", 1, None),
        (0, "t", "e", 0, "s"),
    ],
)
def test_each_part_of_the_identity_changes_the_key(other):
    assert stream_key(*other) != stream_key(0, "t", "e", 0, None)


def test_key_parts_do_not_run_together():
    assert stream_key(0, "ab", "c", 1) != stream_key(0, "a", "bc", 1)
    assert stream_key(1, "1", "1", 11) != stream_key(1, "1", "11", 1)


def test_no_equal_or_shifted_streams():
    """Any two equal 64-bit windows, at any token of any of 10^5 streams, would betray a repeated or shifted one."""
    words = random_words(keys(100_000, samples=4), step=0, vocabulary=24)
    windows = (words[:, :-1] << 32) ^ words[:, 1:]
    assert len(windows.unique()) == windows.numel()  # 2.3e6 windows: chance collision 1.4e-7


def test_no_equal_or_shifted_steps():
    words = torch.stack([random_words(keys(200), step, 24) for step in range(200)])
    windows = (words[..., :-1] << 32) ^ words[..., 1:]
    assert len(windows.unique()) == windows.numel()


def test_uniform_bins_and_tails():
    words = random_words(keys(2000), step=5, vocabulary=1000).flatten()
    whole = torch.bincount(words >> 24, minlength=256).numpy()
    assert scipy.stats.chisquare(whole).pvalue > 1e-4
    for tail in (words[words < 2**22], WORD - words[words > WORD - 2**22]):  # about 2,000 in the last 1/1024
        bins = torch.bincount(tail >> 18, minlength=16).numpy()
        assert scipy.stats.chisquare(bins).pvalue > 1e-4
        assert abs(len(tail) - 2e6 / 1024) < 5 * math.sqrt(2e6 / 1024)


@pytest.mark.parametrize("along", ["token", "step", "sample", "example"])
def test_no_correlation(along):
    if along == "token":
        words = random_words(keys(500), 0, 2001).double()
        a, b = words[:, :-1], words[:, 1:]
    elif along == "step":
        a, b = random_words(keys(500), 0, 2000).double(), random_words(keys(500), 1, 2000).double()
    else:
        both = random_words(keys(1000, samples=2 if along == "sample" else 1), 0, 2000).double()
        a, b = both[0::2], both[1::2]
    r = torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
    assert abs(float(r)) < 4 / math.sqrt(a.numel())


def test_gumbel_distribution():
    noise = gumbel_noise(keys(400), 2, 500, torch.float32).flatten().double().numpy()
    assert scipy.stats.kstest(noise, "gumbel_r").pvalue > 1e-4


def test_gumbel_is_finite_and_exact_where_it_is_large():
    words = torch.tensor([0, 1, 2, 1000, 2**31, WORD - 1, WORD])
    single, double = gumbel(words, torch.float32), gumbel(words, torch.float64)
    assert torch.isfinite(single).all()
    expected = [-math.log(-math.log1p(-(int(word) + 0.5) / 2**32)) for word in words]
    assert double.tolist() == pytest.approx(expected, abs=1e-12)
    assert single[:5].tolist() == pytest.approx(expected[:5], rel=3e-7)
    assert float(single[0]) > 22.8


def test_uniform_noise_is_uniform_and_apart_from_that_of_tokens():
    import scipy.stats

    from edt.decoding.ops.noise import uniform_noise

    many = keys(20_000)
    uniform = torch.stack([uniform_noise(many, step, torch.float64) for step in range(3)])
    assert float(uniform.min()) > 0
    assert float(uniform.max()) < 1
    assert scipy.stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 1e-4
    assert abs(float(torch.corrcoef(uniform)[0, 1])) < 0.03
    tokens = gumbel_noise(many, 0, 4, torch.float64)
    assert all(abs(float(torch.corrcoef(torch.stack([uniform[0], tokens[:, v]]))[0, 1])) < 0.03 for v in range(4))
