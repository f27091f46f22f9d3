"""The noise against known answers, and this device's noise against the CPU's.

The words are those of Random123's distribution (`tests/kat_vectors`, philox4x32-10), and of a second implementation in
Python's own integers; the Gumbel values are mpmath's at 40 digits.
`tests/selftest/test_known_noise.py` derives both again.
"""

from __future__ import annotations

from typing import Any

import scipy.stats
import torch

from edt.decoding.ops import noise
from edt.decoding.ops.kernels import IF_FOUND, Kernels
from edt.selftest.outcome import Outcome

RANDOM123 = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((noise.WORD,) * 4, (noise.WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)
"""Counter, key and words."""

WORDS = (
    ((0, "mini_xlsum", "test-0", 0), 0, 0, (1383224538, 2581060903), 4133304902, 341028512),
    ((0, "mini_xlsum", "test-0", 0), 511, 151935, (1383224538, 2581060903), 2439675176, 3150738908),
    ((7, "wmt19", "例-12", 31), 3, 1022, (643028253, 480983285), 3879391403, 1665804675),
    ((2**40, "task", "", 5, "edt(t0=0.7,theta=0.5)"), 64, 49151, (1596670002, 78241755), 3548518618, 1038128409),
)
"""A stream's identity, step and token; its key, the token's word, and the word of what is drawn besides tokens."""

GUMBELS = (
    (0, 22.87385695841999),
    (1, 21.775244669635462),
    (1000, 15.272454507420921),
    (2**20 + 7, 8.317636930582303),
    (2**31, 0.3665129202457607),
    (3 * 2**30, -0.3266342603141846),
    (2**32 - 1000, -2.726116329659915),
)
"""A word and its Gumbel noise −ln(−ln(1 − u)), u = (word + ½)/2³². The last words of float32 are clamped."""

STREAMS = 16
WIDE_VOCABULARY = 151_936
"""The vocabulary of Qwen's models, the widest in use."""
BINS = 256

_WRONG_NOISE = "the draws of this machine are not those of others: no run can be repeated or continued here"


def noise_outcomes(device: torch.device) -> list[Outcome]:
    """Return the checks of the noise on a device."""
    # In float32 only where u is far from 1: beyond, the spacing of its numbers is coarser than the noise.
    checked = [(torch.float64, 1e-12, one) for one in GUMBELS]
    checked += [(torch.float32, 2e-6, one) for one in GUMBELS if one[0] <= 3 * 2**30]
    wrong = [
        *(f"Philox {counter}" for counter, key, words in RANDOM123 if _philox(counter, key, device) != words),
        *(f"stream {one[0]}" for one in WORDS if not _stream_is_known(*one, device=device)),
    ]
    uneven = [
        f"word {word} in {str(dtype).removeprefix('torch.')}"
        for dtype, tolerance, (word, value) in checked
        if abs(float(noise.gumbel(torch.tensor([word], device=device), dtype)) - value) > tolerance * max(1, abs(value))
    ]
    outcomes = [
        _exact("known random words", len(RANDOM123) + len(WORDS), wrong, _WRONG_NOISE),
        _exact("known Gumbel noise", len(checked), uneven, _WRONG_NOISE),
        _uniform(device),
    ]
    figures = compare_with_cpu(device)
    passed = figures["words_equal"] and figures["gumbel_largest_difference"] < 1e-4
    shown = f"{figures['words_compared']:,} words, largest Gumbel difference {figures['gumbel_largest_difference']:.1g}"
    how = "compiled" if figures["compiled"] else "eager"
    return [
        *outcomes,
        Outcome(part="noise", name=f"{how} noise as the CPU's", figure=shown, passed=passed, means=_WRONG_NOISE),
    ]


def compare_with_cpu(device: torch.device) -> dict[str, Any]:
    """Compare the noise with the CPU's: the random words bit for bit, the Gumbel noise within its last digits."""
    keys = [noise.stream_key(seed, "task", f"example-{seed}", seed % 8) for seed in range(STREAMS)]
    key_U2 = torch.tensor(keys, dtype=torch.int64)
    equal, largest = True, 0.0
    # On a CPU, compiling takes longer than all else here.
    how = False if device.type == "cpu" else IF_FOUND
    kernels = Kernels(compile=how, vocabulary=WIDE_VOCABULARY, device=device)
    for step in (0, 1, 511):
        words = noise.random_words(key_U2, step, WIDE_VOCABULARY)
        # Whole numbers: one different bit would be another draw.
        equal &= torch.equal(words, noise.random_words(key_U2.to(device), step, WIDE_VOCABULARY).cpu())
        for dtype in (torch.float32, torch.float64):
            there = kernels.gumbel_noise(key_U2.to(device), step, dtype).cpu()
            # Logarithms differ in their last digits between devices, which moves a draw only in a near tie.
            largest = max(largest, float((noise.gumbel(words, dtype) - there).abs().max()))
    return {
        "words_equal": equal,
        "words_compared": 3 * STREAMS * WIDE_VOCABULARY,
        "gumbel_largest_difference": largest,
        "compiled": kernels.compiled,
    }


def _philox(counter: tuple[int, ...], key: tuple[int, ...], device: torch.device) -> tuple[int, ...]:
    words = noise.philox(
        [torch.tensor(c, device=device) for c in counter], [torch.tensor(k, device=device) for k in key]
    )
    return tuple(int(word) for word in words)


def _stream_is_known(
    identity: tuple[int, str, str, int] | tuple[int, str, str, int, str],
    step: int,
    token: int,
    key: tuple[int, int],
    word: int,
    other: int,
    *,
    device: torch.device,
) -> bool:
    key_12 = torch.tensor([key], device=device)
    # Up to this token alone: a word does not depend on how many there are.
    drawn = noise.random_words(key_12, step, token + 1)[0, token]
    # What is drawn besides tokens is only given as a number in (0, 1).
    uniform = noise.uniform_noise(key_12, step, torch.float64)[0]
    return noise.stream_key(*identity) == key and int(drawn) == word and int(uniform * 2**32) == other


def _uniform(device: torch.device) -> Outcome:
    """Compare the noise of many tokens, turned back into uniform numbers, with even bins."""
    keys = [noise.stream_key(1, "selftest", str(number), 0) for number in range(STREAMS)]
    gumbel = noise.gumbel_noise(torch.tensor(keys, device=device), 5, 2**16, torch.float64)
    # The distribution function of Gumbel noise, exp(−exp(−g)), is uniform.
    at = ((-(-gumbel).exp()).exp() * BINS).long().clamp(0, BINS - 1)
    counts = torch.bincount(at.flatten().cpu(), minlength=BINS).numpy()
    # All bins expect the same number, many thousands, so the statistic has its distribution.
    p = float(scipy.stats.chisquare(counts).pvalue)
    shown = f"χ² over {BINS} bins of {counts.sum():,} tokens"
    means = "the noise is not Gumbel-distributed: every draw is biased"
    return Outcome(part="noise", name="Gumbel distribution", figure=shown, p=p, means=means)


def _exact(name: str, number: int, wrong: list[str], means: str) -> Outcome:
    figure = f"{number - len(wrong)} of {number}" + (f"; wrong: {', '.join(wrong)}" if wrong else "")
    return Outcome(part="noise", name=name, figure=figure, passed=not wrong, means=means)
