"""The compiled passes over the vocabulary equal the eager ones."""

import pytest
import torch

from edt.decoding.ops.kernels import MIN_COMPILED_VOCABULARY, Kernels, compiler_found
from edt.decoding.ops.noise import random_words
from edt.errors import ConfigError

CPU = torch.device("cpu")
VOCABULARY, BRANCHES, ROWS, STREAMS = 5003, 7, 40, 5


@pytest.fixture(scope="module")
def numbers():
    made = torch.Generator().manual_seed(0)
    return {
        "logits": torch.randn(BRANCHES, VOCABULARY, generator=made) * 4,
        "other": torch.randn(BRANCHES, VOCABULARY, generator=made) * 4,
        "branch": torch.randint(BRANCHES, (ROWS,), generator=made),
        "temperature": torch.rand(ROWS, generator=made).index_fill(0, torch.tensor([3, 4]), 0.0),
        "cutoff": torch.randn(ROWS, generator=made).masked_fill(torch.arange(ROWS) % 2 == 0, -torch.inf),
        "stream": torch.randint(STREAMS, (ROWS,), generator=made),
        "key": torch.randint(2**32, (STREAMS, 2), generator=made),
    }


def passes(kernels, n):
    noise = kernels.gumbel_noise(n["key"], 3, torch.float32)
    rows = (n["logits"], n["branch"], n["temperature"])
    return {
        "entropy": kernels.entropy(n["logits"]),
        "divergence": kernels.kl_divergence(n["logits"], n["other"]),
        "scale": kernels.scale(n["logits"], n["temperature"][: len(n["logits"])]),
        "noise": noise,
        "kept_weight": kernels.kept_weight(n["logits"], n["branch"], n["temperature"].clamp(min=1e-4), n["cutoff"]),
        "token": kernels.draw(*rows, n["cutoff"], noise, n["stream"]),
    }


@pytest.mark.skipif(not compiler_found(CPU), reason="no C++ compiler here")
def test_compiled_equals_eager(numbers):
    eager = passes(Kernels(compile=False, vocabulary=VOCABULARY, device=CPU), numbers)
    kernels = Kernels(compile=True, vocabulary=VOCABULARY, device=CPU)
    compiled = passes(kernels, numbers)
    assert kernels.compiled, "the compiler failed"
    for name in ("entropy", "divergence", "scale", "noise", "kept_weight"):
        torch.testing.assert_close(compiled[name], eager[name], rtol=2e-5, atol=2e-6)
    assert torch.equal(compiled["token"], eager["token"])
    words = torch.compile(lambda key: random_words(key, 3, VOCABULARY), dynamic=True)(numbers["key"])
    assert torch.equal(words, random_words(numbers["key"], 3, VOCABULARY))


def test_blocks_of_the_eager_path_change_nothing(numbers, monkeypatch):
    whole = passes(Kernels(compile=False, vocabulary=VOCABULARY, device=CPU), numbers)
    monkeypatch.setattr("edt.decoding.ops.kernels.BLOCK", 3 * VOCABULARY)
    blocked = passes(Kernels(compile=False, vocabulary=VOCABULARY, device=CPU), numbers)
    assert all(torch.equal(whole[name], blocked[name]) for name in whole)


def test_small_vocabularies_are_not_compiled_by_default():
    assert not Kernels(compile=None, vocabulary=MIN_COMPILED_VOCABULARY - 1, device=CPU).compiled
    assert Kernels(compile=None, vocabulary=MIN_COMPILED_VOCABULARY, device=CPU).compiled == compiler_found(CPU)


def test_without_a_compiler_passes_are_eager_and_requiring_it_is_an_error(monkeypatch):
    monkeypatch.setattr("edt.decoding.ops.kernels.compiler_found", lambda device: False)
    assert not Kernels(compile=None, vocabulary=10**6, device=CPU).compiled
    with pytest.raises(ConfigError, match="no compiler for cpu"):
        Kernels(compile=True, vocabulary=10**6, device=CPU)


def test_a_compiler_that_fails_is_reported_once_and_replaced(numbers, monkeypatch, caplog):
    def broken(*_, **__):
        raise torch._dynamo.exc.TorchDynamoException("no such compiler")

    monkeypatch.setattr("edt.decoding.ops.kernels.compiler_found", lambda device: True)
    kernels = Kernels(compile=True, vocabulary=VOCABULARY, device=CPU)
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: broken)
    results = passes(kernels, numbers)
    eager = passes(Kernels(compile=False, vocabulary=VOCABULARY, device=CPU), numbers)
    assert all(torch.equal(results[name], eager[name]) for name in eager)
    assert caplog.text.count("the compiler failed") == 1
