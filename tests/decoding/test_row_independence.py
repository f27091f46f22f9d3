"""A row never depends on the texts that are decoded with it: positions, padding, masks, models without a cache."""

import dataclasses

import pytest
import torch

from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.models.rope import rope_settings, switch_length
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.strategies import EDT, KLD, Fixed

SMALL = {"vocab_size": 300, "hidden_size": 32, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA = SMALL | {
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "original_max_position_embeddings": 24,
    "short_factor": [1.0] * 4,
    "long_factor": [6.0] * 4,
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 8.0}
BART = {
    "vocab_size": 300,
    "d_model": 32,
    "max_position_embeddings": 128,
    "decoder_start_token_id": 7,
    "forced_eos_token_id": None,
    **{f"{side}_layers": 2 for side in ("encoder", "decoder")},
    **{f"{side}_attention_heads": 4 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 48 for side in ("encoder", "decoder")},
}
MODELS = {
    "longrope": ("llama", LLAMA | {"rope_parameters": LONG}),
    "dynamic": ("mistral", LLAMA | {"rope_parameters": DYNAMIC, "max_position_embeddings": 24, "sliding_window": None}),
    "alibi": ("falcon", SMALL | {"num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True}),
    "window": ("gemma3_text", LLAMA | {"head_dim": 8, "sliding_window": 12}),
    "encoder with absolute positions": ("bart", BART),
    "encoder with relative positions": (
        "t5",
        {"vocab_size": 300, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
         "decoder_start_token_id": 0},
    ),
    "states instead of keys": ("mamba2", SMALL | {"num_hidden_layers": 2, "num_heads": 8, "head_dim": 8, "n_groups": 1,
                                                  "state_size": 8, "expand": 2, "chunk_size": 8}),
    "no cache": ("openai-gpt", {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
}  # fmt: skip
STRATEGIES = [Fixed(t0=0), EDT(t0=1.2, theta=0.3), KLD(t0=1.2, sigma=2)]


def made(kind, tiny_folder, tmp_path):
    """A random model in float64, with the tokenizer of the small one."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    torch.manual_seed(1)
    name, arguments = MODELS[kind]
    config = CONFIG_MAPPING[name](**arguments)
    model = (AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM).from_config(config)
    # Sharper, so that texts differ; T5 starts from the embedding of its output and would repeat one token.
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1.0 if name == "t5" else 8.0)
    model.double().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    return LanguageModel.load(ModelSpec(path=str(tmp_path), dtype="float64", device="cpu"))


def prompt(number, length):
    ids = tuple((7 * number + 3 * position) % 250 + 5 for position in range(length))
    names = dict.fromkeys(("example_id", "cluster_id"), f"e{number}")
    return Prompt(
        task="task", split="test", **names, token_ids=ids, unconditional_ids=ids[-(3 + number) :], truncated_tokens=0
    )


SHORT, LONGER, LONGEST = prompt(0, 6), prompt(1, 17), prompt(2, 60)


def drawn(model, prompts, spec, strategies=STRATEGIES):
    limits = Limits(max_new_tokens=10, stop=())
    rows = DecodeRequest.all_rows(prompts, strategies, sampling=Sampling(samples=2), limits=limits)
    generations = spec.build(model).generate(dataclasses.replace(rows, rows_per_batch=512))
    return {(g.example_id, g.strategy_id, g.sample): g.token_ids for g in generations}


@pytest.mark.parametrize("kind", MODELS)
def test_a_row_is_the_same_alone_and_next_to_longer_ones(kind, tiny_folder, tmp_path):
    model = made(kind, tiny_folder, tmp_path)
    together = drawn(model, [SHORT, LONGEST, LONGER], BatchedSpec())
    alone = {key: ids for p in (LONGEST, SHORT, LONGER) for key, ids in drawn(model, [p], BatchedSpec()).items()}
    assert together == alone
    assert together == drawn(model, [SHORT, LONGER, LONGEST], ReferenceSpec())
    assert len(set(together.values())) > 6  # a model without any variety would show nothing


@pytest.mark.parametrize("kind", ["longrope", "alibi", "window"])
def test_generate_pads_only_where_padding_changes_nothing(kind, tiny_folder, tmp_path):
    model = made(kind, tiny_folder, tmp_path)
    greedy = STRATEGIES[:1]
    together = drawn(model, [SHORT, LONGEST, LONGER], HFGenerateSpec(), greedy)
    assert together == {
        key: ids for p in (SHORT, LONGER, LONGEST) for key, ids in drawn(model, [p], HFGenerateSpec(), greedy).items()
    }


def test_a_row_that_grows_beyond_the_switch_is_read_again_as_a_whole(tiny_folder, tmp_path):
    """LongRoPE: the keys from before the switch have other frequencies; each token is that of one full pass."""
    model = made("longrope", tiny_folder, tmp_path)
    ids = list(LONGER.token_ids)
    for token in drawn(model, [SHORT, LONGER], BatchedSpec())[LONGER.example_id, "fixed(t0=0)", 0]:
        assert int(model.model(torch.tensor([ids])).logits[0, -1].argmax()) == token
        ids.append(token)
    assert len(ids) > 24


def test_dynamic_frequencies_follow_no_text_from_before(tiny_folder, tmp_path):
    """Transformers keeps the frequencies of the longest text until one is shorter than the model's own context."""
    model = made("dynamic", tiny_folder, tmp_path)
    medium = torch.tensor([prompt(1, 30).token_ids])
    before = model.model(medium).logits
    model.model(torch.tensor([prompt(2, 90).token_ids]))
    torch.testing.assert_close(model.model(medium).logits, before, rtol=0, atol=0)


def test_short_contexts_of_such_models_share_their_prompts(tiny_folder, tmp_path, caplog):
    engine = BatchedSpec().build(made("longrope", tiny_folder, tmp_path))
    assert engine.shares([engine.model], 24)
    assert not engine.shares([engine.model], 25)
    assert "beyond 24 tokens its rotary positions depend on the longest text of a batch" in caplog.text


def test_a_far_threshold_is_tried_with_a_few_tokens(tiny_folder, tmp_path, monkeypatch):
    """A model whose config does not say of what kind its positions are shows it at the position of the threshold."""
    from edt.decoding.cache import sharing_check

    far = {name: LONG[name] for name in ("rope_type", "rope_theta", "short_factor", "long_factor")}
    arguments = LLAMA | {"max_position_embeddings": 90000, "original_max_position_embeddings": 70000}
    monkeypatch.setitem(
        MODELS, "far", ("phi3", arguments | {"rope_parameters": far | {"original_max_position_embeddings": 70000}})
    )
    model = made("far", tiny_folder, tmp_path)
    assert sharing_check.SharingCheck.run(model).switch == 70000
    monkeypatch.setattr(sharing_check, "switch_length", lambda _: None)
    assert sharing_check.SharingCheck.run(model).switch == 70000
    assert not sharing_check.positions_mix(model, 60000)


def test_positions_of_other_kinds_have_no_switch():
    from transformers import LlamaConfig

    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
    config = LlamaConfig(**LLAMA, rope_parameters=yarn)
    assert rope_settings(config)[0]["original_max_position_embeddings"] == 32
    assert switch_length(config) is None
    assert switch_length(LlamaConfig(**LLAMA)) is None
