"""EDT as a logits processor: the rule itself, and inside transformers' own generate."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edt import EDTLogitsProcessor
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.ops.kernels import MIN_COMPILED_VOCABULARY, compiler_found
from edt.decoding.ops.signals import entropy
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError, ModelError
from edt.records import Prompt
from edt.strategies import EDT

LOGITS = st.lists(st.floats(-30, 30), min_size=2, max_size=12)
SAMPLING = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


def by_hand(logits, t0, theta):
    probabilities = logits.double().softmax(-1)
    h = float(-(probabilities * probabilities.log()).nan_to_num().sum())
    return t0 * 0.8 ** (theta / h)


def temperature(processor, logits):
    return processor.temperature(torch.as_tensor(logits, dtype=torch.float64).reshape(-1, len(logits)))


@given(LOGITS, st.floats(0.05, 3), st.floats(0, 5), st.floats(-100, 100))
def test_the_temperature_is_bounded_and_does_not_see_a_shift(logits, t0, theta, shift):
    processor = EDTLogitsProcessor(t0, theta)
    result = float(temperature(processor, logits))
    assert 0 <= result <= t0
    shifted = float(temperature(processor, [value + shift for value in logits]))
    assert shifted == pytest.approx(result, rel=1e-6, abs=1e-9)


@given(st.floats(0.05, 3), st.floats(0.01, 5), st.floats(0, 6), st.floats(0, 6))
def test_the_temperature_rises_with_the_entropy(t0, theta, first, second):
    """Two tokens: the nearer their logits, the larger the entropy."""
    near, far = sorted((first, second))
    processor = EDTLogitsProcessor(t0, theta)
    assert float(temperature(processor, [0.0, far])) <= float(temperature(processor, [0.0, near])) + 1e-12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "row",
    [
        [1e4, -1e4, 0.0, 3.0],
        [0.0, 0.0, 0.0, 0.0],
        [5.0, -math.inf, -math.inf, -math.inf],
        [2.0, 1.0, -math.inf, 0.0],
        [30.0, 0.0, 0.0, 0.0],
    ],
)
def test_no_nan_and_the_best_token_stays_the_best(row, dtype):
    scores = torch.tensor([row, [0.5, 1.0, -2.0, 0.0]], dtype=dtype)
    out = EDTLogitsProcessor(0.7, 1.0)(torch.zeros(2, 3, dtype=torch.int64), scores)
    assert out.dtype == dtype
    assert not out.isnan().any()
    assert (out == -math.inf).equal((scores == -math.inf) | (out == -math.inf))
    assert float(out[0].softmax(-1)[int(scores[0].argmax())]) >= float(scores[0].softmax(-1).amax()) - 1e-2
    assert out.float().softmax(-1).isfinite().all()


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.floats(0.1, 2), st.floats(0, 2))
def test_scores_are_those_of_the_formula(seed, t0, theta):
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
    out = EDTLogitsProcessor(t0, theta)(torch.zeros(3, 2, dtype=torch.int64), logits)
    for row in range(3):
        wanted = (logits[row] / by_hand(logits[row], t0, theta)).softmax(-1)
        torch.testing.assert_close(out[row].softmax(-1), wanted, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("granularity", ["token", "instance"])
def test_an_observer_sees_each_steps_temperature_and_entropy(granularity):
    seen = []
    processor = EDTLogitsProcessor(0.9, 0.4, granularity=granularity, observe=lambda t, h: seen.append((t, h)))
    ids, temperatures = torch.zeros(3, 2, dtype=torch.int64), []
    for step in range(3):
        logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(step), dtype=torch.float64) * 3
        out = processor(ids, logits)
        temperatures.append([by_hand(row, 0.9, 0.4) for row in logits])
        used = temperatures[0 if granularity == "instance" else step]
        assert seen[step][0].tolist() == pytest.approx(used)
        assert seen[step][1].tolist() == pytest.approx(
            [float(torch.distributions.Categorical(logits=row).entropy()) for row in logits]
        )
        torch.testing.assert_close(out.softmax(-1), (logits / torch.tensor(used).unsqueeze(-1)).softmax(-1))
        ids = torch.cat([ids, torch.full((3, 1), step)], dim=-1)
    assert len(seen) == 3


@pytest.mark.skipif(not compiler_found(torch.device("cpu")), reason="no C++ compiler here")
def test_over_a_large_vocabulary_it_is_compiled_by_default():
    logits = torch.randn(3, MIN_COMPILED_VOCABULARY, generator=torch.Generator().manual_seed(0)) * 4
    logits[1, ::3] = -torch.inf
    ids = torch.zeros(3, 2, dtype=torch.int64)
    compiled, eager = (EDTLogitsProcessor(0.9, 0.4, compile=on)(ids, logits) for on in (True, False))
    torch.testing.assert_close(compiled.softmax(-1), eager.softmax(-1), rtol=2e-4, atol=1e-8)
    assert torch.equal(compiled == -torch.inf, eager == -torch.inf)


def test_values_per_row_and_per_prompt():
    logits = torch.randn(6, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    per_row = EDTLogitsProcessor([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 0.3).temperature(logits)
    per_prompt = EDTLogitsProcessor([0.5, 1.0, 0.7], torch.tensor([0.1, 0.2, 0.3])).temperature(logits)
    for row in range(6):
        assert float(per_row[row]) == pytest.approx(by_hand(logits[row], 0.5 + 0.1 * row, 0.3))
        t0, theta = ((0.5, 0.1), (1.0, 0.2), (0.7, 0.3))[row // 2]
        assert float(per_prompt[row]) == pytest.approx(by_hand(logits[row], t0, theta))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: EDTLogitsProcessor(0.0, 1.0), "t0"),
        (lambda: EDTLogitsProcessor(1.0, -1.0), "theta is -1.0"),
        (lambda: EDTLogitsProcessor([1.0, -2.0], 0.5), "t0 is -2.0"),
        (lambda: EDTLogitsProcessor([1.0, 1.0], [0.5, 0.5, 0.5]), "2 values and theta 3"),
        (lambda: EDTLogitsProcessor([[1.0]], 0.5), "shape"),
        (lambda: EDTLogitsProcessor(1.0, 0.5, granularity="sentence"), "granularity is 'sentence'"),
        (lambda: EDTLogitsProcessor([1.0] * 4, 0.5).temperature(torch.zeros(6, 3)), "4 values for a batch of 6 rows"),
    ],
)
def test_wrong_arguments_are_named(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def ids_of(tiny, *texts):
    rows = [tiny.tokenize(text) for text in texts]
    return torch.tensor([row[: min(map(len, rows))] for row in rows])


def test_generate_draws_from_the_formula(tiny):
    """Chi-square of 4,000 first tokens."""
    ids = ids_of(tiny, "Once upon")
    torch.manual_seed(5)
    out = tiny.model.generate(
        ids.repeat(4000, 1), **SAMPLING, max_new_tokens=1, logits_processor=[EDTLogitsProcessor(1.2, 0.4)]
    )
    logits = tiny.model(ids).logits[0, -1]
    expected = (logits / by_hand(logits, 1.2, 0.4)).softmax(-1) * 4000
    counts = torch.bincount(out[:, -1], minlength=len(logits)).double()
    common = expected >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*expected[common].tolist(), float(expected[~common].sum())]
    scaled = [w * sum(observed) / sum(wanted) for w in wanted]
    assert scipy.stats.chisquare(observed, scaled).pvalue > 1e-4


@pytest.mark.parametrize("granularity", ["token", "instance"])
def test_processor_and_engine_agree_on_the_temperatures(tiny, granularity):
    """The engine's text, read again by the processor step by step, has the engine's temperatures."""
    prompt_ids = tuple(tiny.tokenize("Once upon a time"))
    names = dict.fromkeys(("task", "example_id", "cluster_id"), "x")
    prompt = Prompt(**names, split="test", token_ids=prompt_ids, unconditional_ids=prompt_ids, truncated_tokens=0)
    strategies, limits = [EDT(t0=1.1, theta=0.5, granularity=granularity)], Limits(max_new_tokens=8, stop=())
    request = DecodeRequest.all_rows([prompt], strategies, sampling=Sampling(samples=1), limits=limits)
    (generation,) = BatchedSpec().build(tiny).generate(request)
    processor, ids, ratios = EDTLogitsProcessor(1.1, 0.5, granularity=granularity), [*prompt_ids], []
    for token in generation.token_ids:
        logits = tiny.model(torch.tensor([ids])).logits[:, -1]
        out = processor(torch.tensor([ids]), logits)
        ratios.append(float((logits.amax() - logits.amin()) / (out.amax() - out.amin())))
        ids.append(token)
    assert generation.t_mean == pytest.approx(sum(ratios) / len(ratios), rel=1e-6)
    assert generation.t_max == pytest.approx(max(ratios), rel=1e-6)
    assert (len({round(r, 9) for r in ratios}) == 1) == (granularity == "instance")


def test_instance_temperatures_begin_anew_with_each_text(tiny):
    processor = EDTLogitsProcessor(1.0, 0.5, granularity="instance")
    kept = []
    for text in ("Once upon a time", "The capital", "Once upon a time"):
        tiny.model.generate(ids_of(tiny, text), **SAMPLING, max_new_tokens=5, logits_processor=[processor])
        kept.append(float(processor._kept_R[0]))
        logits = tiny.model(ids_of(tiny, text)).logits[:, -1]
        assert kept[-1] == pytest.approx(float(EDTLogitsProcessor(1.0, 0.5).temperature(logits)[0]))
    assert kept[0] == kept[2] != kept[1]


def test_num_return_sequences_repeats_values_of_prompts(tiny):
    ids = ids_of(tiny, "Once upon", "The capital")
    out = tiny.model.generate(
        ids,
        **SAMPLING,
        max_new_tokens=4,
        num_return_sequences=3,
        logits_processor=[EDTLogitsProcessor([1e-6, 1.5], 0.1)],
    )
    cold, hot = out[:3].tolist(), out[3:].tolist()
    assert cold[0] == cold[1] == cold[2]
    assert len({tuple(row) for row in hot}) > 1


def test_beam_search_is_refused_for_instances_and_right_for_tokens(tiny):
    ids = ids_of(tiny, "Once upon a time")
    beams = {"num_beams": 4, "max_new_tokens": 12, "do_sample": False}
    with pytest.raises(ConfigError, match=r"changed places.*num_beams=1"):
        tiny.model.generate(ids, **beams, logits_processor=[EDTLogitsProcessor(1.0, 0.5, granularity="instance")])
    tiny.model.generate(ids, **beams, logits_processor=[EDTLogitsProcessor(1.0, 0.5)])


def test_speculative_decoding_is_refused_for_instances(tiny):
    ids = ids_of(tiny, "abcabcabcabcabcabc")
    processor = EDTLogitsProcessor(1.5, 0.1, granularity="instance")
    torch.manual_seed(1)
    with pytest.raises(ConfigError, match=r"became shorter.*speculative"):
        tiny.model.generate(
            ids, **SAMPLING, max_new_tokens=40, prompt_lookup_num_tokens=4, logits_processor=[processor]
        )


@pytest.mark.parametrize("granularity", ["token", "instance"])
def test_encoder_decoders_too(granularity):
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=60, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0, pad_token_id=0
    )
    model = T5ForConditionalGeneration(config).eval()
    processor = EDTLogitsProcessor(1.0, 0.3, granularity=granularity)
    out = model.generate(
        torch.tensor([[5, 6, 7, 1]]),
        **SAMPLING,
        max_new_tokens=6,
        num_return_sequences=2,
        logits_processor=[processor],
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    ratios = []
    for logits, scores in zip(out.logits, out.scores, strict=True):
        t = (logits.amax(-1) - logits.amin(-1)) / (scores.amax(-1) - scores.amin(-1))
        ratios.append(t)
        if granularity == "token":
            wanted = 0.8 ** (0.3 / entropy(logits.double()))
            torch.testing.assert_close(t.double(), wanted, rtol=1e-4, atol=0.0)
    if granularity == "instance":
        for t in ratios:
            torch.testing.assert_close(t, ratios[0], rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("row", [[math.nan, 0.0, 1.0], [math.inf, 0.0, 1.0], [-math.inf] * 3])
@pytest.mark.parametrize("granularity", ["token", "instance"])
def test_logits_that_are_no_distribution_are_refused(row, granularity):
    ids = torch.zeros(2, 3, dtype=torch.int64)
    processor = EDTLogitsProcessor(0.7, 1.0, granularity=granularity)
    with pytest.raises(ModelError, match=r"row 1 of the batch are no distribution.*wider dtype"):
        processor(ids, torch.tensor([[0.0, 1.0, 2.0], row]))
    # also where the temperature is that of the first step, and the entropy is not computed again
    processor(ids, torch.zeros(2, 3))
    with pytest.raises(ModelError, match="row 0 of the batch"):
        processor(torch.zeros(2, 4, dtype=torch.int64), torch.tensor([row, [0.0, 1.0, 2.0]]))


def test_a_temperature_beyond_the_dtype_is_refused():
    with pytest.raises(ConfigError, match=r"temperature of row 0 is inf.*float32"):
        EDTLogitsProcessor(1e300, 0.0)(torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_at_the_floor_a_sampler_takes_the_first_of_the_largest(dtype):
    scores = torch.tensor([[1.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, -math.inf]], dtype=dtype)
    out = EDTLogitsProcessor(1e-5, 0.0)(torch.zeros(2, 3, dtype=torch.int64), scores)
    assert out.float().softmax(-1).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    # beam search still has an order below the best
    assert float(out[0, 2]) > float(out[0, 0]) > float(out[0, 3])
