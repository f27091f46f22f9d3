"""KL-guided temperature in the engine: its divergence by hand, its second context and its second model (float64)."""

import pytest
import torch

from edt.decoding.engine_specs import ReferenceSpec
from edt.errors import ConfigError, ModelError
from edt.strategies import KLD, Fixed
from tests.support.engine_rows import generate, tokens_of


def test_divergence_by_hand_at_the_first_step(tiny, prompts):
    """KLD's temperature from two forward passes of our own: with the source and without."""
    p, strategy = prompts[1], KLD(t0=1.0, sigma=2.0)
    generation = generate(tiny, [p], [strategy], samples=1, tokens=1)[p.example_id, strategy.strategy_id, 0]
    with_source = tiny.model(torch.tensor([p.token_ids])).logits[0, -1].softmax(-1).clamp(min=1e-7)
    without = tiny.model(torch.tensor([p.unconditional_ids])).logits[0, -1].softmax(-1).clamp(min=1e-7)
    divergence = float((with_source * (with_source / without).log()).sum())
    assert generation.t_mean == pytest.approx(2 ** (-divergence / 2.0), rel=1e-9)


def test_both_contexts_of_kld_read_the_same_tokens(tiny, prompts):
    p, strategy = prompts[1], KLD(t0=1.2, sigma=2.0)
    generation = generate(tiny, [p], [strategy], samples=1, tokens=6)[p.example_id, strategy.strategy_id, 0]
    drawn, temperatures = list(generation.token_ids), []
    for step in range(len(drawn)):
        p_logits = tiny.model(torch.tensor([[*p.token_ids, *drawn[:step]]])).logits[0, -1].softmax(-1).clamp(min=1e-7)
        q_logits = (
            tiny.model(torch.tensor([[*p.unconditional_ids, *drawn[:step]]])).logits[0, -1].softmax(-1).clamp(min=1e-7)
        )
        temperatures.append(1.2 * 2 ** (-float((p_logits * (p_logits / q_logits).log()).sum()) / 2.0))
    assert generation.t_min == pytest.approx(min(temperatures), rel=1e-9)
    assert generation.t_max == pytest.approx(max(temperatures), rel=1e-9)
    assert generation.t_mean == pytest.approx(sum(temperatures) / len(temperatures), rel=1e-9)


def test_dual_mode_draws_what_shared_mode_draws(tiny, prompts, tiny_folder):
    for second in (None, str(tiny_folder)):
        both = [
            generate(tiny, prompts, [Fixed(t0=1), KLD(t0=1.2, sigma=2, **mode)])
            for mode in ({}, {"mode": "dual", "model": second})
        ]
        drawn = [[g.token_ids for g in generations.values()] for generations in both]
        assert drawn[0] == drawn[1]


@pytest.mark.parametrize("other", [[], [Fixed(t0=1), KLD(t0=1.3, sigma=2, mode="dual")]])
def test_dual_mode_per_instance_drops_the_second_model_after_the_first_step(tiny, prompts, other):
    strategy = KLD(t0=1.2, sigma=2, mode="dual", granularity="instance")
    generations = generate(tiny, prompts, [strategy, *other], samples=3, stop=("e",))
    alone = generate(tiny, prompts, [strategy, *other], samples=3, stop=("e",), spec=ReferenceSpec())
    assert tokens_of(generations) == tokens_of(alone)
    for g in generations.values():
        assert g.granularity == "token" or g.t_min == g.t_max


def test_kld_settings_must_agree_on_the_second_model(tiny, prompts):
    with pytest.raises(ConfigError, match="agree on mode"):
        generate(tiny, prompts, [KLD(t0=1, sigma=1), KLD(t0=1, sigma=1, mode="dual")])


def test_second_model_needs_the_same_tokenizer(tiny, prompts, tmp_path, tiny_folder):
    import json
    import shutil

    other = tmp_path / "other"
    shutil.copytree(tiny_folder, other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    swapped = {"A": tokenizer["model"]["vocab"]["B"], "B": tokenizer["model"]["vocab"]["A"]}
    tokenizer["model"]["vocab"].update(swapped)
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="another tokenizer"):
        generate(tiny, prompts, [KLD(t0=1, sigma=1, mode="dual", model=str(other))])
