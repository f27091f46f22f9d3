"""engine=vllm in vLLM itself, on SmolLM2: `make test-vllm`, in an environment of vLLM's CPU build."""

import os
from argparse import Namespace

import pytest

pytest.importorskip("vllm", reason="needs vLLM, which has an environment of its own: make test-vllm")

from edt.adapters.vllm_spec import VLLMSpec
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.spec import ModelSpec
from edt.strategies import EDT, KLD, Fixed
from edt.tasks.prompts import text_prompt
from scripts.bench_engines import DECODABLE, decode, measure
from tests.support.fetched_models import link, load

pytestmark = [
    pytest.mark.real_model("smollm2_135m"),
    pytest.mark.timeout(3600),
    # vLLM's own, and those of what it imports.
    pytest.mark.filterwarnings("default"),
]

SPEC = ModelSpec(path="edt:smollm2_135m", dtype="float32")
TEXTS = ("The city council voted on Tuesday to", "She opened the letter and read:")


@pytest.fixture(scope="module")
def vllm():
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    link("smollm2_135m")
    return VLLMSpec(options={"max_model_len": 512, "enforce_eager": True}, max_num_seqs=24).open(SPEC)


@pytest.fixture(scope="module")
def model():
    return load("smollm2_135m")


@pytest.fixture(scope="module")
def prompts(model):
    return [text_prompt(text, model.tokenize) for text in TEXTS]


def test_rows_are_those_of_the_default_engine_but_for_near_ties(vllm, model, prompts):
    batched = BatchedSpec(compile=False).build(model)
    figures = measure(model, batched, vllm, prompts, DECODABLE, Namespace(tokens=8, draws=150, compile=False))
    print(figures)
    # Every difference is one of rounding, and there are few.
    assert figures["differences_explained"] == figures["differences"]
    assert figures["share_of_equal_rows"] > 0.9
    assert figures["largest_margin_of_a_difference"] < 1e-2
    assert figures["largest_entropy_gap"] < 1e-3
    assert figures["largest_relative_temperature_gap"] < 1e-2
    # Four tests: a p below 1e-4 is one in 2,500 machines.
    assert figures["smallest_chi_square_p"] > 1e-4


def test_stop_texts_end_rows_as_here(vllm, model, prompts):
    request = DecodeRequest.all_rows(
        prompts,
        [Fixed(t0=1.0), EDT(t0=1.2, theta=0.3)],
        sampling=Sampling(samples=3),
        limits=Limits(max_new_tokens=16, stop=(".", ",")),
    )
    ours, _, _ = decode(BatchedSpec(compile=False).build(model), request)
    theirs, _, _ = decode(vllm, request)
    assert sum(row.finish_reason == "stop" for row in ours.values()) > len(ours) / 4
    same = [key for key, row in ours.items() if row.token_ids == theirs[key].token_ids]
    assert len(same) > 0.9 * len(ours)
    assert all(
        (ours[key].text, ours[key].finish_reason) == (theirs[key].text, theirs[key].finish_reason) for key in same
    )


def test_a_row_does_not_depend_on_its_batch(vllm, prompts):
    def rows(prompts, strategies, samples):
        request = DecodeRequest.all_rows(
            prompts, strategies, sampling=Sampling(samples=samples), limits=Limits(max_new_tokens=8, stop=())
        )
        return decode(vllm, request)[0]

    together = rows(prompts, [Fixed(t0=0.7), EDT(t0=1.0, theta=0.5), Fixed(t0=0.0)], 4)
    alone = rows(prompts[1:2], [EDT(t0=1.0, theta=0.5)], 2)
    assert all(together[key].token_ids == row.token_ids for key, row in alone.items())


def test_guided_strategies_are_refused(vllm):
    from edt.errors import ConfigError

    with pytest.raises(ConfigError, match=r"engine 'vllm' does not provide .*Use engine=batched"):
        vllm.check_strategies([KLD(t0=1.0, sigma=1.0)])
