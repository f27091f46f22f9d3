"""The compiled passes over the vocabulary equal the eager ones."""

import pytest
import torch

from edt.decoding.batching import Plan
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.ops.kernels import MIN_COMPILED_VOCABULARY, Kernels, compiler_found, worth_compiling
from edt.decoding.ops.noise import random_words
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.strategies import Fixed
from edt.tasks.prompts import text_prompt

CPU = torch.device("cpu")
VOCABULARY, BRANCHES, ROWS, STREAMS = 5003, 7, 40, 5


FIGURES = ("entropy", "divergence", "scale", "noise", "kept_weight", "varentropy", "collision", "distribution_sums")


@pytest.fixture(scope="module")
def numbers():
    made = torch.Generator().manual_seed(0)
    return {
        "logits": torch.randn(BRANCHES, VOCABULARY, generator=made) * 4,
        "other": torch.randn(BRANCHES, VOCABULARY, generator=made) * 4,
        "branch": torch.randint(BRANCHES, (ROWS,), generator=made),
        "temperature": torch.rand(ROWS, generator=made).index_fill(0, torch.tensor([3, 4]), 0.0),
        "cutoff": torch.randn(ROWS, generator=made).masked_fill(torch.arange(ROWS) % 2 == 0, -torch.inf),
        "ceiling": torch.rand(ROWS, generator=made) * 4 + 6,
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
        "varentropy": kernels.varentropy(n["logits"]),
        "collision": kernels.collision(n["logits"]),
        "distribution_sums": kernels.distribution_sums(n["logits"], n["branch"], n["temperature"].clamp(min=0.1)),
        "token": kernels.draw(*rows, n["cutoff"], noise, n["stream"]),
        "token below a ceiling": kernels.draw(*rows, n["cutoff"], noise, n["stream"], n["ceiling"]),
    }


@pytest.mark.skipif(not compiler_found(CPU), reason="no C++ compiler here")
def test_compiled_equals_eager(numbers):
    eager = passes(Kernels(compile=False, vocabulary=VOCABULARY, device=CPU), numbers)
    kernels = Kernels(compile=True, vocabulary=VOCABULARY, device=CPU)
    compiled = passes(kernels, numbers)
    assert kernels.compiled, "the compiler failed"
    for name in FIGURES:
        torch.testing.assert_close(compiled[name], eager[name], rtol=2e-5, atol=2e-6)
    for name in ("token", "token below a ceiling"):
        assert torch.equal(compiled[name], eager[name])
    assert not torch.equal(eager["token"], eager["token below a ceiling"])
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


@pytest.mark.parametrize(
    ("vocabulary", "row_steps", "worth"),
    [
        (49_152, 4, False),  # a trace of one token for each of four settings
        (49_152, 36 * 8 * 32, True),  # one prompt of a sweep
        (49_152, None, True),
        (MIN_COMPILED_VOCABULARY - 1, None, False),
        (MIN_COMPILED_VOCABULARY, 0, False),  # 0 is a number of steps, not a missing one
    ],
)
def test_short_work_is_not_compiled_by_default(vocabulary, row_steps, worth):
    assert worth_compiling(vocabulary, row_steps) == worth
    chosen = Kernels(compile=None, vocabulary=vocabulary, device=CPU, row_steps=row_steps)
    assert chosen.compiled == (worth and compiler_found(CPU))
    # Whoever asks for it gets it.
    asked = Kernels(compile="if_found", vocabulary=vocabulary, device=CPU, row_steps=row_steps)
    assert asked.compiled == compiler_found(CPU)


def test_the_plan_decides_and_not_the_chunk(tiny, monkeypatch):
    """A run that is resumed near its end must draw with the passes of its beginning."""
    monkeypatch.setattr("edt.decoding.ops.kernels.MIN_COMPILED_VOCABULARY", 1)
    monkeypatch.setattr("edt.decoding.ops.kernels.MIN_COMPILED_WORK", 3 * 2 * 5 * tiny.vocabulary)
    engine = BatchedSpec().build(tiny)
    prompts = [text_prompt(text, tiny.tokenize) for text in ("one", "two", "three")]
    sizes = {"sampling": Sampling(samples=2), "limits": Limits(max_new_tokens=5, stop=())}
    whole = DecodeRequest.all_rows(prompts, [Fixed(t0=0.7)], **sizes)
    assert engine._kernels_for(whole) is engine.kernels
    assert engine._kernels_for(DecodeRequest.all_rows(prompts[:2], [Fixed(t0=0.7)], **sizes)) is engine._short_kernels

    plan = Plan(chunks=tuple((prompt.example_id,) for prompt in prompts), rows_per_batch=1)
    assert [engine._kernels_for(chunk) for chunk in whole.chunks(plan)] == 3 * [engine.kernels]
    asked = BatchedSpec(compile=False).build(tiny)
    assert asked._kernels_for(whole) is asked.kernels


@pytest.mark.skipif(not compiler_found(CPU), reason="no C++ compiler here")
def test_other_sizes_do_not_compile_again():
    """torch took sizes that were equal at the first call for equal in all: noise and draw were compiled twice."""
    kernels = Kernels(compile=True, vocabulary=VOCABULARY, device=CPU)
    torch._dynamo.reset()
    compiled = []
    for size in (2, 4, 7):
        kernels.gumbel_noise(torch.arange(2 * size).reshape(size, 2), 0, torch.float32)
        compiled.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert kernels.compiled, "the compiler failed"
    assert compiled[0] == compiled[-1]


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
