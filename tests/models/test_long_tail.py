"""The long tail: its mass by entropy is the configured one, temperature raises it, and every engine draws from it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from edt.cli.build import generation_request
from edt.cli.composition import compose
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.ops.signals import entropy
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.models.language_model import LanguageModel
from edt.models.long_tail import LongTail
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.strategies import EDT, KLD, Fixed

TAIL = {"entropy": [0, 1, 3, 5], "mass": [0, 0.03, 0.2, 0.5], "exponent": 1.0}


def spec_of_preset() -> ModelSpec:
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(compose("run", ["model=mini_long_tail", "task=mini_xlsum", "model.device=cpu"]))
    return generation_request(content).model


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load(spec_of_preset())


def random_logits(rows: int, vocabulary: int = 2600) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    sharp_R1 = torch.linspace(0.5, 12, rows).unsqueeze(-1)
    return torch.randn(rows, vocabulary, generator=generator) * sharp_R1 + 0.01 * torch.arange(vocabulary)


def outside(logits_RV: torch.Tensor, t: float = 1.0) -> torch.Tensor:
    return 1 - (logits_RV / t).softmax(-1).topk(10, dim=-1).values.sum(-1)


def test_mass_is_the_configured_one_at_the_resulting_entropy():
    """The curve is read at the entropy of the result: what a user measures lies on it."""
    logits_RV = random_logits(400).double()
    made_RV = LongTail.of(TAIL).apply(logits_RV)
    torch.testing.assert_close(made_RV.exp().sum(-1), torch.ones(400, dtype=torch.float64))

    entropy_R, rank_RV = entropy(made_RV), logits_RV.argsort(dim=-1, descending=True, stable=True)
    tail_R = made_RV.gather(-1, rank_RV[:, 10:]).exp().sum(-1)
    wanted = np.interp(entropy_R.numpy(), TAIL["entropy"], TAIL["mass"])
    np.testing.assert_allclose(tail_R.numpy(), wanted, atol=2e-3)


def test_head_keeps_its_proportions_and_tail_its_order():
    logits_RV = random_logits(50).double()
    made_RV = LongTail.of(TAIL).apply(logits_RV)
    rank_RV = logits_RV.argsort(dim=-1, descending=True, stable=True)
    before_RH, after_RH = (x.gather(-1, rank_RV[:, :10]) for x in (logits_RV, made_RV))
    torch.testing.assert_close(after_RH - after_RH[:, :1], before_RH - before_RH[:, :1])
    after_RT = made_RV.gather(-1, rank_RV[:, 10:])
    assert (after_RT.diff(dim=-1) < 0).all()


def test_temperature_acts_on_the_tail():
    made_RV = LongTail.of(TAIL).apply(random_logits(100))
    masses = torch.stack([outside(made_RV, t) for t in (0.7, 1.0, 1.4, 2.0)])
    assert (masses.diff(dim=0) > 0).all()


def test_a_row_does_not_depend_on_the_others():
    logits_RV = random_logits(64)
    tail = LongTail.of(TAIL)
    together, alone = tail.apply(logits_RV), torch.cat([tail.apply(row.unsqueeze(0)) for row in logits_RV])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(tail.apply(logits_RV.reshape(4, 16, -1)).reshape(64, -1), together)


def test_impossible_tokens_stay_so_and_bad_rows_stay_bad():
    logits_RV = random_logits(3)
    logits_RV[0, 100:200] = -torch.inf
    logits_RV[1, 10:] = -torch.inf  # a head alone: no tail to give
    logits_RV[2, 5] = torch.nan
    made_RV = LongTail.of(TAIL).apply(logits_RV)
    assert (made_RV[0, 100:200] == -torch.inf).all()
    torch.testing.assert_close(made_RV[0].exp().sum(), torch.tensor(1.0))
    assert torch.equal(made_RV[1], logits_RV[1])
    assert made_RV[2].isnan().any()


def test_mass_of_the_preset_by_entropy(model):
    """On references of the benchmark, the mass outside the 10 likeliest is the configured curve, bin by bin."""
    from edt.study.attribution.loss_by_entropy import loss_by_entropy, reference_ids
    from scripts.mini_scores import mini_tasks

    task = replace(mini_tasks()["mini_xlsum"], limit=40)
    pairs = []
    for example in task.load("test").examples:
        prompt = model.prompts.text_ids(f"{example.parts.head}{example.parts.source}{example.parts.tail}")
        pairs.append((prompt, reference_ids(model, prompt, example.references[0], language="en")))
    bins = [entry for entry in loss_by_entropy(model, pairs) if entry.tokens >= 30]

    curve = LongTail.of(model.spec.long_tail)
    assert len(bins) >= 4, "the entropies spread over several bins"
    for entry in bins:
        expected = np.interp(entry.entropy, curve.entropy, curve.mass)
        # Where the model is sure, a few tokens of the tail are likelier than the last of the head.
        assert entry.tail == pytest.approx(expected, rel=0.3, abs=5e-4), entry
    assert all(before.tail < after.tail and before.hot_tail < after.hot_tail for before, after in pairwise(bins))
    # as at a real model: at T = 1.4 a third to a half where H is between 1.2 and 2
    (unsure,) = (entry for entry in bins if entry.low == 1.2)
    assert 0.25 < unsure.hot_tail < 0.5


def test_both_engines_draw_the_same_from_it(model):
    """Cached and branch-shared against one row at a time: the tail is of the model, whatever reads it."""
    texts = ["Article: Nova Steel will close its plant in Falport.\nSummary:", "Article: A flood hit Melvik.\nSummary:"]
    prompts = [
        Prompt(
            task="t", split="test", example_id=str(n), cluster_id=str(n), token_ids=tuple(model.tokenize(text)),
            unconditional_ids=tuple(model.tokenize("Article:\nSummary:")), truncated_tokens=0,
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    strategies = [Fixed(t0=1.0), Fixed(t0=1.4, min_p=0.05), EDT(t0=1.2, theta=0.5), KLD(t0=1.0, sigma=1.0)]
    request = DecodeRequest.all_rows(
        prompts, strategies, sampling=Sampling(samples=3), limits=Limits(max_new_tokens=12, stop=())
    )
    outputs = []
    for spec in (BatchedSpec(), ReferenceSpec()):
        made = spec.build(model).generate(request)
        outputs.append({(g.example_id, g.strategy_id, g.sample): g.token_ids for g in made})
    assert outputs[0] == outputs[1]
    plain = LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))
    other = {(g.example_id, g.strategy_id, g.sample): g.token_ids for g in BatchedSpec().build(plain).generate(request)}
    assert other != outputs[0]


def test_identity_names_the_tail_and_only_it(model):
    plain = LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))
    assert "long_tail" not in plain.identity
    assert model.identity["long_tail"]["head"] == 10
    assert {**model.identity, "long_tail": 0} == {**plain.identity, "long_tail": 0}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"entropy": [0, 1]}, "model.long_tail.mass is None; it must be a list of numbers"),
        ({"entropy": [0, 1], "mass": [0.1]}, "has 2 entropies and 1 masses"),
        ({"entropy": [1, 0], "mass": [0, 0.1]}, "model.long_tail.entropy is [1, 0]; it must rise"),
        ({"entropy": [0, 1], "mass": [0, 1]}, "model.long_tail.mass ends in 1"),
        ({**TAIL, "exponent": -1}, "model.long_tail.exponent is -1"),
        ({**TAIL, "head": 0}, "model.long_tail.head is 0; it is a number of tokens"),
        ({**TAIL, "tail": 3}, "model.long_tail has no key 'tail'; it has entropy, mass, exponent, head"),
    ],
)
def test_a_wrong_tail_is_refused(settings, said):
    with pytest.raises(ConfigError) as error:
        ModelSpec(path="edt:mini", long_tail=settings)
    assert said in str(error.value)
