"""engine=vllm over a stand-in for vLLM's batch: the tokens, temperatures and ends of the batched engine.

`make test-vllm` runs tests/vllm against the program itself.
"""

import dataclasses
import sys
from collections import Counter
from types import ModuleType, SimpleNamespace

import pytest
import torch

from edt.adapters.vllm_engine import VLLMEngine
from edt.adapters.vllm_spec import VLLMSpec
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError, MissingExtraError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.served_model import ServedModel
from edt.models.spec import ModelSpec
from edt.selftest.engines import FAMILIES
from edt.strategies import EDT, KLD, Fixed
from tests.support.fake_vllm import FakeLLM, SamplingParams, TokensPrompt

DECODABLE = [strategy for strategy in FAMILIES if not isinstance(strategy, KLD)]
ORDERED = [Fixed(t0=1.3, top_p=0.8, order="truncate_first"), EDT(t0=1.2, theta=0.4, min_p=0.1, order="truncate_first")]


@pytest.fixture(scope="module")
def loaded(tiny_folder):
    return LanguageModel.load(ModelSpec(path=str(tiny_folder), dtype="float32", device="cpu"))


@pytest.fixture(scope="module")
def spec_of(tiny_folder):
    return ModelSpec(path=str(tiny_folder), device="cpu")


@pytest.fixture
def engine(loaded, spec_of, monkeypatch):
    """The engine over the stand-in."""
    module = ModuleType("vllm")
    module.SamplingParams, module.TokensPrompt = SamplingParams, TokensPrompt
    monkeypatch.setitem(sys.modules, "vllm", module)

    def make(**how):
        served = ServedModel.load(spec_of, weights=True)
        return VLLMEngine(model=served, spec=VLLMSpec(), llm=FakeLLM(loaded, **how))

    return make


def decoded(engine, prompts, strategies, *, tokens=10, stop=(), samples=2):
    request = DecodeRequest.all_rows(
        prompts,
        strategies,
        sampling=Sampling(samples=samples, trace=True),
        limits=Limits(max_new_tokens=tokens, stop=stop),
    )
    return {
        (g.example_id, g.strategy_id, g.sample): g
        for chunk in request.chunks(engine.plan(request))
        for g in engine.generate(chunk)
    }


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, one in ours.items():
        other = theirs[key]
        assert (other.token_ids, other.finish_reason, other.text) == (one.token_ids, one.finish_reason, one.text), key
        assert other.trace_entropy == pytest.approx(one.trace_entropy, abs=1e-4)
        assert other.trace_temperature == pytest.approx(one.trace_temperature, abs=1e-3), key
        assert other.floored_steps == one.floored_steps


@pytest.mark.parametrize("strategy", [*DECODABLE, *ORDERED], ids=lambda strategy: strategy.strategy_id)
def test_every_family_draws_the_tokens_of_the_batched_engine(loaded, engine, prompts, strategy):
    ours = decoded(BatchedSpec(compile=False).build(loaded), prompts[:3], [strategy])
    assert_equal(ours, decoded(engine(seqs=3), prompts[:3], [strategy]))


def test_all_families_in_one_batch_whatever_moves_in_it(loaded, engine, prompts):
    ours = decoded(BatchedSpec(compile=False).build(loaded), prompts, DECODABLE)
    theirs = engine(seqs=7)
    assert_equal(ours, decoded(theirs, prompts, DECODABLE))
    # The stand-in did what makes rows of different steps meet in a batch.
    assert theirs.llm.preempted > 20
    assert theirs.llm.swapped > 20


def test_a_stop_text_ends_a_row_as_here(loaded, engine, prompts):
    strategies = [Fixed(t0=1.5), EDT(t0=1.5, theta=0.2)]
    free = decoded(BatchedSpec(compile=False).build(loaded), prompts, strategies, tokens=12)
    # A character that many of the outputs hold.
    held = Counter(c for g in free.values() for c in set(g.text[1:]) if c.strip())
    ((stop, _),) = held.most_common(1)
    ours = decoded(BatchedSpec(compile=False).build(loaded), prompts, strategies, tokens=12, stop=(stop,))
    assert sum(g.finish_reason == "stop" for g in ours.values()) > 5
    theirs = engine(seqs=4)
    lengths = []
    generate = theirs.llm.generate
    theirs.llm.generate = lambda *args, **how: lengths.extend(out := generate(*args, **how)) or out
    assert_equal(ours, decoded(theirs, prompts, strategies, tokens=12, stop=(stop,)))
    # vLLM was not left to go on: one more token tells it of the end.
    written = sum(len(output.outputs[0].token_ids) for output in lengths)
    assert written <= sum(len(g.token_ids) + 1 for g in ours.values())


def test_the_same_rows_whatever_shares_their_batch(engine, prompts):
    whole = decoded(engine(seqs=6), prompts, DECODABLE[:6])
    alone = decoded(engine(seqs=1, restless=False), prompts[1:2], DECODABLE[2:3])
    for key, one in alone.items():
        assert whole[key].token_ids == one.token_ids


def test_guided_strategies_are_refused_with_the_remedy(engine, prompts):
    with pytest.raises(ConfigError, match=r"reads 'kl', which engine 'vllm' does not provide .*Use engine=batched"):
        decoded(engine(), prompts[:1], [KLD(t0=1.0, sigma=1.0)])


def test_logits_that_are_no_distribution_name_the_example(engine, prompts):
    with pytest.raises(ModelError, match=rf"not finite .* for example '{prompts[0].example_id}' at step 0"):
        decoded(engine(noise=float("nan")), prompts[:1], [Fixed(t0=1.0)])


def test_tokens_that_another_version_did_not_take_are_an_error(engine, prompts):
    theirs = engine()
    apply = theirs.llm.processor.apply
    # As if the rows of the batch were in another order than the processor knows.
    theirs.llm.processor.apply = lambda logits: apply(logits).roll(1, dims=1)
    with pytest.raises(ModelError, match=r"vLLM took other tokens than those that were drawn for it"):
        decoded(theirs, prompts[:1], [Fixed(t0=1.0)])


def test_a_rule_without_a_temperature_is_refused_as_here(engine, prompts):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Broken(Fixed):
        family = "broken"

        @staticmethod
        def temperature(signals, params):
            return torch.full_like(signals.entropy_R, torch.nan)

    with pytest.raises(ConfigError, match=r"strategy broken\(t0=1\) gives the temperature nan"):
        decoded(engine(), prompts[:1], [Broken(t0=1.0)])


def test_the_identity_has_our_noise_and_the_weights(engine, loaded):
    identity = engine().identity()
    assert (identity["engine"], identity["noise"]) == ("vllm", "philox4x32-10")
    assert identity["model"]["weights"] == loaded.identity["weights"]
    assert (identity["model"]["dtype"], identity["model"]["device"]) == ("float32", "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_num_seqs": 0}, r"engine\.max_num_seqs is 0; it must be 1 or more"),
        ({"options": {"seed": 3}}, r"engine\.options sets 'seed', which edt sets itself"),
        ({"options": [1]}, r"engine\.options is \[1\]; it must hold arguments"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        VLLMSpec(**options)


def test_options_of_the_model_that_vllm_does_not_follow_are_refused(tiny_folder):
    for option, message in (({"dtype": "float64"}, "float64"), ({"attention": "eager"}, "model.attention is 'eager'")):
        with pytest.raises(ConfigError, match=rf"{message}.*engine=batched"):
            VLLMSpec().open(ModelSpec(path=str(tiny_folder), device="cpu", **option))


def test_without_vllm_the_command_says_how_to_install_it(tiny_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=r"engine=vllm needs vllm.*edt-sampling\[vllm\]"):
        VLLMSpec().open(ModelSpec(path=str(tiny_folder), device="cpu"))


def test_requests_of_others_stay_as_they_are(engine):
    processor = engine().llm.processor
    params = SimpleNamespace(extra_args=None, temperature=1.0)
    processor.update_state(SimpleNamespace(batch_size=1, removed=[], added=[(0, params, [1], [])], moved=[]))
    logits = torch.randn(1, 9)
    assert torch.equal(processor.apply(logits.clone()), logits)
