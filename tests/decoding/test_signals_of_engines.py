"""Every signal as a rule gets it, in every engine, against one teacher-forced pass over the finished texts (float64)."""

import math
from collections import Counter

import pytest
import scipy.stats
import torch

from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.cache.branches import Branches
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.ops import signals as formulas
from edt.decoding.ops.kernels import Kernels
from edt.errors import ConfigError
from edt.strategies import EDT, Fixed, ShuffledEDT, Strategy
from edt.tracing.distribution import strategy_temperature
from edt.tracing.teacher_forcing import forced_logits
from tests.support.engine_rows import generate, tokens_of

STEP_SIGNALS = ("step", "varentropy", "collision", "surprisal")


def reader(signal):
    """A rule whose temperature shows a signal: 1 + signal/100."""

    class Reader(Strategy):
        family = f"reads_{signal}"
        needs = frozenset({signal})

        def check(self):
            pass

        @staticmethod
        def temperature(signals, params):
            return 1 + getattr(signals, f"{signal}_R").nan_to_num(0.0).to(signals.entropy_R.dtype) / 100

    return Reader()


READERS = {signal: reader(signal) for signal in (*STEP_SIGNALS, "past_entropy")}


def read(generation):
    """What the rule read at each step."""
    return [(t - 1) * 100 for t in generation.trace_temperature]


@pytest.mark.parametrize("spec", [BatchedSpec(compile=False), ReferenceSpec(), HFGenerateSpec()])
def test_signals_are_those_of_a_teacher_forced_pass(tiny, prompts, spec):
    strategies = [READERS[name] for name in STEP_SIGNALS]
    generations = generate(tiny, prompts[:2], [*strategies, Fixed(t0=1)], spec=spec, tokens=6, trace=True)
    for prompt in prompts[:2]:
        for name in STEP_SIGNALS:
            for sample in range(2):
                one = generations[prompt.example_id, READERS[name].strategy_id, sample]
                logits = forced_logits(tiny, prompt.token_ids, one.token_ids)
                p, log_p = logits.softmax(-1), logits.log_softmax(-1)
                h = -(p * log_p).sum(-1, keepdim=True)
                surprisal = [-float(row[token]) for row, token in zip(log_p, one.token_ids, strict=True)]
                wanted = {
                    "step": list(range(len(one.token_ids))),
                    "varentropy": (p * (log_p + h) ** 2).sum(-1).tolist(),
                    "collision": (p**2).sum(-1).tolist(),
                    # Of the token before; the first step has none.
                    "surprisal": [0.0, *surprisal[:-1]],
                }[name]
                # generate hands over logits in float32
                assert read(one) == pytest.approx(wanted, abs=2e-3 if isinstance(spec, HFGenerateSpec) else 1e-8)


@pytest.mark.parametrize("signal", ["uniform", "past_entropy"])
def test_generate_refuses_signals_of_our_noise_by_name(tiny, prompts, signal):
    with pytest.raises(ConfigError, match=rf"reads '{signal}', which engine 'hf_generate' does not provide"):
        generate(tiny, prompts, [reader(signal)], spec=HFGenerateSpec())


def test_the_trace_gives_the_same_temperatures(tiny, prompts):
    strategies = [READERS[name] for name in STEP_SIGNALS]
    generations = generate(tiny, prompts[:1], strategies, tokens=6, samples=1, trace=True)
    for strategy in strategies:
        one = generations[prompts[0].example_id, strategy.strategy_id, 0]
        logits, token_S = forced_logits(tiny, prompts[0].token_ids, one.token_ids), torch.tensor(one.token_ids)
        assert strategy_temperature(logits, strategy, token_S).tolist() == pytest.approx(
            one.trace_temperature, abs=1e-9
        )
    with pytest.raises(ConfigError, match=r"needs more than the model's distribution \(surprisal\)"):
        strategy_temperature(logits, READERS["surprisal"])
    with pytest.raises(ConfigError, match=r"needs more than the model's distribution \(past_entropy\)"):
        strategy_temperature(logits, READERS["past_entropy"], token_S)


def test_past_entropies_are_the_rows_own_and_drawn_evenly(tiny, prompts):
    """Each is the entropy of a step so far; over many rows each of the five steps is as likely, and rows differ."""
    one = READERS["past_entropy"]
    generations = generate(tiny, prompts[:1], [one], samples=1500, tokens=5, trace=True, batch=10_000)
    places: Counter = Counter()
    for generation in generations.values():
        values, h = read(generation), generation.trace_entropy
        assert values[0] == pytest.approx(h[0], abs=1e-9)
        for step, value in enumerate(values):
            assert min(abs(value - past) for past in h[: step + 1]) < 1e-9
        # The last step shows all five; equal entropies would make the place ambiguous.
        if len(h) == 5 and min(abs(a - b) for i, a in enumerate(h) for b in h[:i]) > 1e-6:
            places[min(range(5), key=lambda i: abs(values[4] - h[i]))] += 1
    assert sum(places.values()) > 1000
    assert scipy.stats.chisquare([places[i] for i in range(5)]).pvalue > 1e-4


def test_shuffled_edt_has_edts_temperatures_at_other_steps(tiny, prompts):
    """Every T is EDT's at an entropy of the row; in most rows some step has another than its own."""
    generations = generate(tiny, prompts, [ShuffledEDT(t0=1.2, theta=0.7)], samples=4, tokens=8, trace=True)
    moved = 0
    for generation in generations.values():
        edt = [1.2 * 0.8 ** (0.7 / h) for h in generation.trace_entropy]
        for step, t in enumerate(generation.trace_temperature):
            assert min(abs(t - own) for own in edt[: step + 1]) < 1e-9
        moved += generation.trace_temperature != pytest.approx(edt, abs=1e-9)
    assert moved > len(generations) / 2


def test_a_row_reads_the_same_signals_alone_and_in_any_company(tiny, prompts):
    readers = list(READERS.values())
    together = generate(tiny, prompts, [*readers, EDT(t0=1.1, theta=0.3)])
    for strategy in readers:
        alone = generate(tiny, prompts, [strategy], batch=1)
        assert tokens_of(alone) == {key: g.token_ids for key, g in together.items() if key[1] == strategy.strategy_id}
    assert tokens_of(generate(tiny, prompts, readers, spec=ReferenceSpec())) == tokens_of(
        {key: g for key, g in together.items() if key[1].startswith("reads_")}
    )


def test_todays_families_pay_for_no_signal_that_they_do_not_read(tiny, prompts, monkeypatch):
    def refuse(*words):
        raise AssertionError("computed, although no strategy reads it")

    for name in ("varentropy", "collision"):
        monkeypatch.setattr(Kernels, name, refuse)
    monkeypatch.setattr(Branches, "surprisal", refuse)
    monkeypatch.setattr(formulas, "surprisal", refuse)
    monkeypatch.setattr("edt.decoding.row_batch.RowBatch.past_entropy", refuse)
    monkeypatch.setattr("edt.decoding.ops.kernels.Kernels.typical_interval", refuse)
    monkeypatch.setattr("edt.decoding.ops.kernels.Kernels.distribution_sums", refuse)
    generations = generate(tiny, prompts, [Fixed(t0=1, top_p=0.9), Fixed(t0=1, min_p=0.1), EDT(t0=1, theta=0.5)])
    assert all(math.isfinite(g.t_mean) for g in generations.values())
