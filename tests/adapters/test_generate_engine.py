"""engine=hf_generate: transformers' own generate as an engine, against formulas, the reference and its own promises."""

import dataclasses
import math
from functools import partial
from typing import ClassVar

import pytest
import scipy.stats
import torch

from edt.adapters.generate_engine import calls
from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import RowRequest
from edt.decoding.sampling import Limits
from edt.errors import ConfigError, ModelError
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.strategies import EDT, KLD, Dynatemp, Fixed, RandomT, Strategy
from edt.tracing.distribution import sampling_probabilities, strategy_temperature
from tests.support import engine_rows
from tests.support.engine_rows import OF_GENERATE, check_ends, prompt, tokens_of

generate = partial(engine_rows.generate, spec=HFGenerateSpec())


def temperature_by_hand(tiny, prompt, strategy):
    """The temperature of the first step, from forward passes and formulas of our own."""
    p = tiny.model(torch.tensor([prompt.token_ids])).logits[0, -1].softmax(-1)
    h = float(-(p * p.log()).sum())
    if isinstance(strategy, EDT):
        return strategy.t0 * 0.8 ** (strategy.theta / h)
    if isinstance(strategy, Dynatemp):
        return strategy.t_min + (strategy.t_max - strategy.t_min) * h / math.log(len(p))
    if isinstance(strategy, KLD):
        q = tiny.model(torch.tensor([prompt.unconditional_ids])).logits[0, -1].softmax(-1).clamp(min=1e-7)
        return strategy.t0 * 2 ** (-float((p.clamp(min=1e-7) * (p.clamp(min=1e-7) / q).log()).sum()) / strategy.sigma)
    return strategy.t0


@pytest.mark.parametrize(
    "strategy",
    [
        Fixed(t0=1.0),
        Fixed(t0=0.5),
        Fixed(t0=1.5, top_k=8),
        EDT(t0=1.3, theta=0.4),
        EDT(t0=1.3, theta=0.4, top_k=8),
        KLD(t0=1.4, sigma=2.0),
        Dynatemp(t_min=0.3, t_max=2.0),
    ],
    ids=lambda s: s.strategy_id,
)
def test_first_tokens_follow_the_softmax_at_the_rules_temperature(tiny, prompts, strategy):
    """Chi-square of 3,000 first tokens of a padded prompt."""
    samples, p = 3000, prompts[2]
    generations = generate(tiny, [p, prompts[0]], [strategy], samples=samples, tokens=1, batch=10_000)
    t = temperature_by_hand(tiny, p, strategy)
    expected = (tiny.model(torch.tensor([p.token_ids])).logits[0, -1] / t).softmax(-1)
    if strategy.top_k is not None:
        best = expected.topk(strategy.top_k).indices
        expected = torch.zeros_like(expected).index_put((best,), expected[best])
        expected /= expected.sum()
    own = [g for g in generations.values() if g.example_id == p.example_id]
    counts = torch.bincount(torch.tensor([g.token_ids[0] for g in own]), minlength=len(expected)).double()
    assert len(own) == samples
    assert not counts[expected == 0].any()
    assert {g.t_mean for g in own} == {own[0].t_mean}
    assert own[0].t_mean == pytest.approx(t, rel=1e-4)  # generate hands over logits in float32
    common = expected * samples >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*(expected[common] * samples).tolist(), float(expected[~common].sum() * samples)]
    if wanted[-1] < 1e-9:
        observed, wanted = observed[:-1], wanted[:-1]
    assert scipy.stats.chisquare(observed, [w * samples / sum(wanted) for w in wanted]).pvalue > 1e-4


@pytest.mark.parametrize("stop", [(), ("e", "zq")])
def test_greedy_equals_the_reference_token_by_token(tiny, prompts, stop):
    strategies = [Fixed(t0=0), EDT(t0=1e-6, theta=0.1), Fixed(t0=1, top_k=1), EDT(t0=1, theta=1e9)]
    generations = generate(tiny, prompts, strategies, tokens=20, stop=stop)
    alone = generate(tiny, prompts, strategies, tokens=20, stop=stop, spec=ReferenceSpec())
    assert tokens_of(generations) == tokens_of(alone)
    for key, g in generations.items():
        other = alone[key]
        assert (g.finish_reason, g.text, g.floored_steps) == (other.finish_reason, other.text, other.floored_steps)
        assert (g.params, g.granularity, g.prompt_tokens) == (other.params, other.granularity, other.prompt_tokens)
        assert g.h_mean == pytest.approx(other.h_mean, rel=1e-3, abs=1e-6)
        assert g.t_mean == pytest.approx(other.t_mean, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("strategy", OF_GENERATE, ids=lambda s: s.strategy_id)
def test_recorded_temperatures_are_those_of_the_recorded_tokens(tiny, prompts, strategy):
    """The text, read again token by token, has the temperatures and entropies of the record."""
    generations = generate(tiny, prompts, [strategy], tokens=6, stop=("e",))
    for (example_id, _, _), g in generations.items():
        p = next(p for p in prompts if p.example_id == example_id)
        temperatures, entropies = [], []
        for step in range(len(g.token_ids)):
            drawn = g.token_ids[:step]
            longer = dataclasses.replace(
                p, token_ids=p.token_ids + drawn, unconditional_ids=p.unconditional_ids + drawn
            )
            temperatures.append(temperature_by_hand(tiny, longer, strategy))
            logits = tiny.model(torch.tensor([longer.token_ids])).logits[0, -1]
            entropies.append(float(torch.distributions.Categorical(logits=logits).entropy()))
        if g.granularity == "instance":
            temperatures = temperatures[:1] * len(temperatures)
        assert g.t_mean == pytest.approx(sum(temperatures) / len(temperatures), rel=1e-3, abs=1e-9)
        assert g.t_min == pytest.approx(min(temperatures), rel=1e-3, abs=1e-9)
        assert g.t_max == pytest.approx(max(temperatures), rel=1e-3, abs=1e-9)
        assert g.h_mean == pytest.approx(sum(entropies) / len(entropies), rel=1e-3, abs=1e-6)


def test_ends_at_eos_stop_string_and_length(tiny, prompts):
    stop = ("e", "zq")
    generations = generate(tiny, prompts, [Fixed(t0=1.5), KLD(t0=1.5, sigma=9)], samples=60, tokens=30, stop=stop)
    assert {g.finish_reason for g in generations.values()} == {"eos", "stop", "length"}
    check_ends(tiny, generations, tokens=30, stop=stop)


def test_a_call_is_a_function_of_what_it_decodes(tiny, prompts):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = tokens_of(generate(tiny, prompts, OF_GENERATE))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert tokens_of(generate(tiny, prompts, OF_GENERATE)) == first
    alone = generate(tiny, prompts, OF_GENERATE, rows=[RowRequest(3, 0), RowRequest(3, 1)])
    assert tokens_of(alone).items() <= first.items()
    assert tokens_of(generate(tiny, prompts, OF_GENERATE, seed=1)) != first


def test_settings_and_samples_share_no_noise(tiny, prompts):
    same = [Fixed(t0=1), EDT(t0=1, theta=0)]
    generations = tokens_of(generate(tiny, prompts, same, samples=3))
    assert len(set(generations.values())) == len(generations)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 100])
def test_any_rows_in_calls_of_any_size(tiny, prompts, most):
    rows = [RowRequest(0, 1), RowRequest(1, 4), RowRequest(1, 2), RowRequest(0, 3), RowRequest(0, 0)]
    generations = generate(tiny, prompts, [Fixed(t0=0), Fixed(t0=1)], rows=rows, batch=most, tokens=3)
    wanted = {(p.example_id, f"fixed(t0={r.strategy})", r.sample) for p in prompts for r in rows}
    assert generations.keys() == wanted


def test_calls_cover_everything_once_within_the_limit():
    for prompts in (1, 3, 7):
        for most in (1, 2, 4, 9, 100):
            made = list(calls(prompts, [5, 6, 7, 8], most))
            pairs = [(prompt, sample) for chosen, samples in made for prompt in chosen for sample in samples]
            assert sorted(pairs) == [(prompt, sample) for prompt in range(prompts) for sample in (5, 6, 7, 8)]
            assert all(len(chosen) * len(samples) <= most for chosen, samples in made)
    assert len(list(calls(7, [0, 1], 14))) == 1


def test_the_checkpoints_own_generation_settings_change_nothing(tiny, prompts):
    honest = tokens_of(generate(tiny, prompts, [Fixed(t0=1.2)]))
    own = tiny.model.generation_config
    tiny.model.generation_config = type(own)(
        eos_token_id=2, pad_token_id=0, repetition_penalty=3.0, top_k=1, temperature=0.1, do_sample=True
    )
    try:
        assert tokens_of(generate(tiny, prompts, [Fixed(t0=1.2)])) == honest
        assert tiny.model.generation_config.top_k == 1
    finally:
        tiny.model.generation_config = own


def test_logits_that_are_not_finite_name_the_example(tiny, monkeypatch):
    # Of one length, so that one call reads all of them.
    prompts = [prompt(tiny, number, text) for number, text in enumerate(["north", "south", "wests", "easts"])]
    honest, steps = tiny.model.forward, []

    def broken(*arguments, **named):
        output = honest(*arguments, **named)
        steps.append(None)
        if len(steps) == 2:
            output.logits[5, -1, 0] = float("nan")
        return output

    monkeypatch.setattr(tiny.model, "forward", broken)
    with pytest.raises(ModelError, match=r"'example-2' at step 1"):
        generate(tiny, prompts, [Fixed(t0=1)], samples=2)


def test_an_encoder_decoder_too():
    from transformers import T5Config, T5ForConditionalGeneration

    class Letters:
        pad_token_id = 0
        eos_token_id = 1

        def __len__(self):
            return 60

        def batch_decode(self, rows, **_):
            return ["".join(chr(64 + token) for token in row if token > 1) for row in rows]

    from pathlib import Path

    from edt.models.language_model import LanguageModel

    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=60, **sizes, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    network = T5ForConditionalGeneration(config).double().eval()
    model = LanguageModel(spec=ModelSpec(path="t5"), folder=Path(), adapter=None, model=network, tokenizer=Letters())
    names = {"task": "x", "split": "test", "cluster_id": "x", "truncated_tokens": 0}
    both = [
        Prompt(example_id=str(len(ids)), token_ids=ids, unconditional_ids=ids, **names)
        for ids in [(5, 6, 7, 8, 1), (9, 1), (20, 21, 22, 1)]
    ]
    generations = generate(model, both, [Fixed(t0=0)], tokens=5)
    assert tokens_of(generations) == tokens_of(generate(model, both, [Fixed(t0=0)], tokens=5, spec=ReferenceSpec()))
    with pytest.raises(ConfigError, match=r"guides an encoder-decoder by KL.*use engine=batched"):
        generate(model, both, [KLD(t0=1, sigma=1)])


class ReadsMore(Fixed):
    family: ClassVar[str] = "reads_more"
    needs: ClassVar[frozenset[str]] = frozenset({"mood"})


class GuidedOtherwise(KLD):
    family: ClassVar[str] = "guided_otherwise"


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (
            RandomT(q0=0.1, q25=0.2, q50=0.3, q75=0.4, q100=0.5),
            r"strategy 'random_t' reads 'uniform', which engine 'hf_generate' does not provide \(it has: collision, "
            r"entropy, kl, step, surprisal, varentropy\)\. "
            r"Use engine=batched\.",
        ),
        (Fixed(t0=1, top_k=5, order="truncate_first"), r"truncates first .* generate cannot do; use engine=batched\."),
        (EDT(t0=1, theta=1, top_k=5, order="truncate_first", entropy_of="kept"), "truncates first"),
        (Fixed(t0=1, top_n_sigma=1, top_p=0.9), "combines top_p and top_n_sigma, which"),
        (Fixed(t0=1, p_less="norm"), "truncates by p_less"),
        (Fixed(t0=1, top_p=0.9, typical_p=0.9), "combines top_p and typical_p, which transformers' generate cannot do"),
        (KLD(t0=1, sigma=1, mode="dual"), r"runs a second model \(mode=dual\)"),
        (KLD(t0=1, sigma=1, granularity="instance"), "granularity=instance"),
        (GuidedOtherwise(t0=1, sigma=1), "another rule than kld's"),
        (ReadsMore(t0=1), r"reads 'mood'.*Let its `needs` name only signals that exist"),
    ],
)
def test_what_it_cannot_do_is_refused_up_front(tiny, prompts, strategy, words):
    engine = HFGenerateSpec().build(tiny)
    with pytest.raises(ConfigError, match=words):
        engine_rows.plan(engine, prompts, [strategy], [RowRequest(0, 0)], Limits(max_new_tokens=3, stop=()))
    with pytest.raises(ConfigError, match=words):
        generate(tiny, prompts, [strategy])


@pytest.mark.parametrize("spec", [BatchedSpec(), ReferenceSpec()])
def test_every_engine_checks_the_signals(tiny, prompts, spec):
    with pytest.raises(
        ConfigError, match=r"reads 'mood', which engine '(batched|reference)' does not provide \(it has: coll"
    ):
        generate(tiny, prompts, [ReadsMore(t0=1)], spec=spec)


def test_a_strategy_of_ones_own(tiny, prompts):
    class Tempered(Strategy):
        family = "tempered"
        needs = frozenset({"entropy"})

        def check(self):
            pass

        @staticmethod
        def temperature(signals, params):
            return -torch.expm1(-signals.entropy_R)

    class Cold(Tempered):
        @staticmethod
        def temperature(signals, params):
            return signals.entropy_R - 100.0

    (g, *_) = generate(tiny, prompts, [Tempered()], tokens=1).values()
    assert g.t_mean == pytest.approx(1 - math.exp(-g.h_mean), rel=1e-5)
    with pytest.raises(ConfigError, match="gives the temperature -"):
        generate(tiny, prompts, [Cold()])


def test_the_plan_counts_one_strategys_rows(tiny, prompts):
    """Settings are decoded one after the other, so they need no room at the same time."""
    rows = [RowRequest(s, k) for s in range(len(OF_GENERATE)) for k in range(4)]
    engine = HFGenerateSpec(max_rows=16).build(tiny)
    plan = engine_rows.plan(engine, prompts, OF_GENERATE, rows, Limits(max_new_tokens=4, stop=()))
    assert [len(chunk) for chunk in plan.chunks] == [4]


CUTS = [{"epsilon_cutoff": 0.03}, {"eta_cutoff": 0.2}, {"typical_p": 0.5}, {"top_h": 0.5}, {"top_n_sigma": 1.5}]


@pytest.mark.parametrize("cut", CUTS)
def test_its_draws_stay_within_the_truncation(tiny, prompts, cut):
    """Every kept token of 3 % or more is drawn in 800 samples, and no other token is."""
    strategy, p = EDT(t0=1.4, theta=0.2, **cut), prompts[0]
    generations = generate(tiny, [p], [strategy], samples=800, tokens=1, batch=10_000)
    logits = tiny.model(torch.tensor([p.token_ids])).logits[:, -1].detach()
    temperature = strategy_temperature(logits, strategy)
    expected = sampling_probabilities(logits, temperature, strategy)[0]
    drawn = {g.token_ids[0] for g in generations.values()}
    assert drawn <= set((expected > 0).nonzero().flatten().tolist())
    assert set((expected > 0.03).nonzero().flatten().tolist()) <= drawn
    assert (expected == 0).any()


@pytest.mark.parametrize("family", [Fixed(t0=2.0, top_n_sigma=1.0), KLD(t0=20.0, sigma=3.0, top_n_sigma=1.0)])
def test_top_n_sigma_of_a_fixed_and_a_guided_temperature(tiny, prompts, family):
    """Only tokens that the cut of the raw logits keeps are drawn, and more than one of them."""
    p = prompts[0]
    generations = generate(tiny, [p], [family], samples=300, tokens=1, batch=10_000)
    logits = tiny.model(torch.tensor([p.token_ids])).logits[0, -1].detach()
    keeps = logits >= logits.max() - logits.std(correction=0)
    drawn = {g.token_ids[0] for g in generations.values()}
    assert len(drawn) > 1
    assert drawn <= set(keeps.nonzero().flatten().tolist())
    assert not keeps.all()
