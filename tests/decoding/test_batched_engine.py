"""The engine against transformers' generation, statistics, and itself row by row (float64)."""

import math

import pytest
import scipy.stats
import torch

from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest, RowRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ModelError
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from tests.support.engine_rows import check_ends, generate, plan, prompt, tokens_of

MIXED = [
    Fixed(t0=0),
    Fixed(t0=0.9),
    EDT(t0=1.2, theta=0.7),
    KLD(t0=1.2, sigma=1.5),
    Fixed(t0=1, top_k=5),
    EDT(t0=1, theta=0.2, top_p=0.8),
    KLD(t0=0.8, sigma=3, min_p=0.1),
    EDT(t0=1.3, theta=0.4, granularity="instance"),
    KLD(t0=1.3, sigma=2, granularity="instance"),
    Dynatemp(t_min=0.2, t_max=1.5, top_k=20, order="truncate_first"),
    EDT(t0=1.2, theta=0.3, top_p=0.9, order="truncate_first", entropy_of="kept"),
    RandomT(q0=0.1, q25=0.4, q50=0.8, q75=1.0, q100=1.5),
    Fixed(t0=1.1, top_n_sigma=1.5),
    Fixed(t0=1.1, epsilon_cutoff=0.05),
    Fixed(t0=1.3, eta_cutoff=0.1, order="truncate_first"),
    EDT(t0=1.3, theta=0.2, typical_p=0.6),
    Fixed(t0=1.2, typical_p=0.5, order="truncate_first"),
    EDT(t0=1.2, theta=0.3, typical_p=0.8, order="truncate_first", entropy_of="kept"),
    Fixed(t0=1.4, top_h=0.5),
    Dynatemp(t_min=0.2, t_max=1.5, top_h=0.7, order="truncate_first"),
    Fixed(t0=1.5, p_less="plain"),
    KLD(t0=1.5, sigma=2, p_less="norm"),
    Switch(t_high=1.3, t_low=0.3, h=1.5),
    Switch(t_high=0.4, t_low=1.3, h=1.5, granularity="instance"),
    Schedule(t_high=1.4, t_low=0.2, decay=3, template_tokens=1),
    ShuffledEDT(t0=1.3, theta=0.6),
    InvertedEDT(t0=1.6, theta=0.5),
]


def test_theta_0_sigma_inf_and_fixed_draw_the_same_tokens(tiny, prompts):
    generations = generate(tiny, prompts, [Fixed(t0=0.8), EDT(t0=0.8, theta=0), KLD(t0=0.8, sigma=math.inf)], samples=4)
    for p in prompts:
        for k in range(4):
            same = {g.token_ids for (e, _, sample), g in generations.items() if (e, sample) == (p.example_id, k)}
            assert len(same) == 1
    assert len(set(tokens_of(generations).values())) > len(prompts)


@pytest.mark.parametrize("strategy", [Fixed(t0=0), EDT(t0=1e-6, theta=0.1), EDT(t0=1, theta=1e9)])
def test_greedy_equals_transformers_token_for_token(tiny, prompts, strategy):
    generations = generate(tiny, prompts, [strategy], samples=1, tokens=20)
    for p in prompts:
        ids = torch.tensor([p.token_ids])
        output = tiny.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20)
        generation = generations[p.example_id, strategy.strategy_id, 0]
        assert list(generation.token_ids) == output[0, len(p.token_ids) :].tolist()
        assert generation.floored_steps == len(generation.token_ids)


@pytest.mark.parametrize("strategy", [Fixed(t0=1.0), Fixed(t0=0.5), EDT(t0=1.3, theta=0.4), Fixed(t0=1.5, top_k=8)])
def test_first_tokens_follow_the_softmax(tiny, prompts, strategy):
    """Chi-square of 4,000 samples' first tokens against softmax(logits / T), T by hand."""
    samples, p = 4000, prompts[0]
    generations = generate(tiny, [p], [strategy], samples=samples, tokens=1)
    logits = tiny.model(torch.tensor([p.token_ids])).logits[0, -1].detach()
    distribution = torch.distributions.Categorical(logits=logits)
    t = strategy.t0 * (0.8 ** (strategy.theta / float(distribution.entropy())) if isinstance(strategy, EDT) else 1.0)
    expected = (logits / t).softmax(-1)
    if strategy.top_k is not None:
        best = expected.topk(strategy.top_k).indices
        expected = torch.zeros_like(expected).index_put((best,), expected[best])
        expected /= expected.sum()
    counts = torch.zeros(len(expected))
    for generation in generations.values():
        counts[generation.token_ids[0]] += 1
        assert generation.t_mean == pytest.approx(t, rel=1e-9)
        assert generation.h_mean == pytest.approx(float(distribution.entropy()), rel=1e-9)
    assert not counts[expected == 0].any()
    common = expected * samples >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*(expected[common] * samples).tolist(), float(expected[~common].sum() * samples)]
    if wanted[-1] < 1e-9:
        observed, wanted = observed[:-1], wanted[:-1]
    scaled = [w * sum(observed) / sum(wanted) for w in wanted]
    assert scipy.stats.chisquare(observed, scaled).pvalue > 1e-4


def test_each_row_of_a_mixed_batch_equals_the_row_alone(tiny, prompts):
    together = generate(tiny, prompts, MIXED, samples=2)
    for p in prompts:
        for index, strategy in enumerate(MIXED):
            for sample in range(2):
                alone = generate(tiny, [p], MIXED, rows=[RowRequest(index, sample)])
                key = (p.example_id, strategy.strategy_id, sample)
                assert list(alone) == [key]
                assert alone[key].token_ids == together[key].token_ids
                assert alone[key].t_mean == pytest.approx(together[key].t_mean, rel=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 5, 17])
def test_batch_size_changes_nothing(tiny, prompts, batch):
    assert tokens_of(generate(tiny, prompts, MIXED, batch=batch)) == tokens_of(generate(tiny, prompts, MIXED))


def test_sharing_branches_changes_nothing_but_the_work(tiny, prompts):
    """The reference runs the model once per row and step; the batched engine reads far fewer contexts."""
    engine = BatchedSpec().build(tiny)
    limits = Limits(max_new_tokens=16, stop=("e", "a"))
    request = DecodeRequest.all_rows(prompts, MIXED, sampling=Sampling(samples=4), limits=limits)
    shared = {(g.example_id, g.strategy_id, g.sample): g for g in engine.generate(request)}
    assert engine.work.row_steps == sum(len(g.token_ids) for g in shared.values())
    reads = sum((len(g.token_ids) - 1) * (2 if g.family == "kld" else 1) for g in shared.values())
    assert engine.work.forward_rows < 0.75 * reads
    alone = generate(tiny, prompts, MIXED, samples=4, tokens=16, stop=("e", "a"), spec=ReferenceSpec())
    assert tokens_of(alone) == tokens_of(shared)
    for key, generation in shared.items():
        assert generation.finish_reason == alone[key].finish_reason
        assert generation.text == alone[key].text
        assert generation.t_mean == pytest.approx(alone[key].t_mean, rel=1e-9)
        assert generation.h_mean == pytest.approx(alone[key].h_mean, rel=1e-9)


def test_order_of_prompts_and_strategies_changes_nothing(tiny, prompts):
    backwards = generate(tiny, prompts[::-1], MIXED[::-1])
    assert tokens_of(backwards) == tokens_of(generate(tiny, prompts, MIXED))


def test_more_samples_leave_the_first_ones_as_they_were(tiny, prompts):
    few, many = generate(tiny, prompts, MIXED, samples=1), generate(tiny, prompts, MIXED, samples=3)
    assert {key: many[key].token_ids for key in few} == tokens_of(few)


def test_seed_and_noise(tiny, prompts):
    same = [Fixed(t0=1), EDT(t0=1, theta=0)]
    coupled, other = generate(tiny, prompts, same), generate(tiny, prompts, same, seed=1)
    independent = generate(tiny, prompts, same, noise="per_strategy")
    assert tokens_of(coupled) != tokens_of(other)
    for p in prompts:
        ids = [independent[p.example_id, s.strategy_id, 0].token_ids for s in same]
        assert ids[0] != ids[1]


def test_ends_at_eos_stop_string_and_length(tiny, prompts):
    stop = ("e", "zq")
    generations = generate(tiny, prompts, [Fixed(t0=1.5)], samples=60, tokens=30, stop=stop)
    assert {g.finish_reason for g in generations.values()} == {"eos", "stop", "length"}
    check_ends(tiny, generations, tokens=30, stop=stop)


def test_dropping_finished_rows_changes_nothing(tiny, prompts):
    """Without the stop the same rows continue: each stopped row is a prefix of the unstopped one."""
    stopped = generate(tiny, prompts, MIXED, samples=6, tokens=24, stop=tuple("aeioubcdfghjkl"))
    free = generate(tiny, prompts, MIXED, samples=6, tokens=24)
    assert {g.finish_reason for g in stopped.values()} >= {"stop", "length"}
    for key, generation in stopped.items():
        assert free[key].token_ids[: len(generation.token_ids)] == generation.token_ids


def break_prefill(monkeypatch, call, row):
    """Put NaN into the logits after a prompt: row `row` of prefill `call`."""
    from edt.decoding.cache import contexts

    honest, calls = contexts.prefill_block, []

    def broken(*arguments):
        block, logits = honest(*arguments)
        calls.append(len(logits))
        if len(calls) == call:
            logits[row, 0] = float("nan")
        return block, logits

    monkeypatch.setattr("edt.decoding.cache.sharing_check.trial_obstacle", lambda model: None)
    monkeypatch.setattr(contexts, "prefill_block", broken)


def test_non_finite_logits_are_an_error_that_names_the_example(tiny, prompts, monkeypatch):
    break_prefill(monkeypatch, call=1, row=3)
    with pytest.raises(ModelError, match=r"example-3.*step 0"):
        generate(tiny, prompts, [Fixed(t0=1)], samples=1)


def test_non_finite_logits_of_the_second_context_are_an_error_too(tiny, prompts, monkeypatch):
    break_prefill(monkeypatch, call=2, row=1)  # the second prompt without its source
    with pytest.raises(ModelError, match=r"example-1.*step 0"):
        generate(tiny, prompts, [Fixed(t0=1), KLD(t0=1, sigma=1)], samples=1, tokens=1)


def test_plan_respects_rows_and_budget(tiny, prompts):
    strategies = [Fixed(t0=1), KLD(t0=1, sigma=1)]
    rows = [RowRequest(s, k) for s in range(2) for k in range(4)]
    limits = Limits(max_new_tokens=10, stop=())
    wide = plan(BatchedSpec(max_rows=16).build(tiny), prompts, strategies, rows, limits)
    assert [len(chunk) for chunk in wide.chunks] == [2, 2]
    assert sorted(i for chunk in wide.chunks for i in chunk) == sorted(p.example_id for p in prompts)
    narrow = plan(BatchedSpec(kv_budget=1).build(tiny), prompts, strategies, rows, limits)
    assert [len(chunk) for chunk in narrow.chunks] == [1] * 4
    assert narrow.rows_per_batch == 1


def test_overlong_prompt_is_an_error(tiny):
    long = prompt(tiny, 0, "x" * 250)
    engine = BatchedSpec().build(tiny)
    with pytest.raises(ModelError, match=r"250 tokens.*context of 256"):
        plan(engine, [long], [Fixed(t0=1)], [RowRequest(0, 0)], Limits(max_new_tokens=10, stop=()))


def test_in_float32_only_near_ties_may_differ_between_batch_shapes(tiny_folder, prompts):
    """Logits move by about 1e-5 with the batch's shape; a draw may then change only where the two best scores all but tie."""
    from edt.decoding.ops.noise import gumbel_noise, stream_key
    from edt.decoding.ops.signals import entropy
    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec

    single = LanguageModel.load(ModelSpec(path=str(tiny_folder), dtype="float32", device="cpu"))
    strategies = [Fixed(t0=0.9), EDT(t0=1.2, theta=0.7)]
    together = generate(single, prompts, strategies, samples=20, tokens=30)
    alone = generate(single, prompts, strategies, samples=20, tokens=30, spec=ReferenceSpec())
    differing = [key for key in together if together[key].token_ids != alone[key].token_ids]
    assert len(differing) <= 0.05 * len(together)
    for example, strategy_id, sample in differing:
        pair = [generations[example, strategy_id, sample].token_ids for generations in (together, alone)]
        step = next(s for s, (a, b) in enumerate(zip(*pair, strict=False)) if a != b)
        p = next(p for p in prompts if p.example_id == example)
        logits = single.model(torch.tensor([[*p.token_ids, *pair[0][:step]]])).logits[:, -1]
        strategy = next(s for s in strategies if s.strategy_id == strategy_id)
        t = strategy.t0 * (0.8 ** (strategy.theta / float(entropy(logits))) if isinstance(strategy, EDT) else 1.0)
        key = torch.tensor([stream_key(0, "task", example, sample)])
        best = (logits / t + gumbel_noise(key, step, logits.shape[-1], torch.float32)).topk(2).values[0]
        assert float(best[0] - best[1]) < 1e-3
