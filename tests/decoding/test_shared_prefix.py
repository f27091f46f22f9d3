"""Prompts stored once: for every family of models that can, the tokens of the reference engine; for others, a copy."""

import dataclasses
import gc

import numpy as np
import pytest
import torch
from transformers import Cache

from edt.decoding.cache.prefix_cache import Block, BranchCache, BranchLayer, Layout, runs
from edt.decoding.cache.sharing_check import SharingCheck
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.strategies import EDT, KLD, Fixed

SMALL = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
GROUPED = SMALL | {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def config(kind):
    import transformers

    return {
        "llama": lambda: transformers.LlamaConfig(**GROUPED, **ENDS),
        "llama, one head for all": lambda: transformers.LlamaConfig(**GROUPED | {"num_key_value_heads": 1}, **ENDS),
        "mistral, window wide enough": lambda: transformers.MistralConfig(**GROUPED, **ENDS, sliding_window=64),
        "qwen2": lambda: transformers.Qwen2Config(**GROUPED, **ENDS),
        "qwen3": lambda: transformers.Qwen3Config(**GROUPED, **ENDS, head_dim=16),
        "gemma": lambda: transformers.GemmaConfig(**GROUPED, **ENDS, head_dim=16),
        "gemma2, soft-capped": lambda: transformers.Gemma2Config(
            **GROUPED, **ENDS, head_dim=16, attn_logit_softcapping=5.0, sliding_window=64
        ),
        "gemma3": lambda: transformers.Gemma3TextConfig(**GROUPED, **ENDS, head_dim=16, sliding_window=64),
        "smollm3": lambda: transformers.SmolLM3Config(**GROUPED, **ENDS),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2
        ),
        "mistral, window too short": lambda: transformers.MistralConfig(**GROUPED, **ENDS, sliding_window=12),
        "bloom": lambda: transformers.BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, **ENDS),
    }[kind]()


def loaded(kind, tiny_folder, tmp_path, dtype="float64"):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    made = config(kind) if isinstance(kind, str) else kind
    model = AutoModelForCausalLM.from_config(made).double()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(8.0)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    return LanguageModel.load(ModelSpec(path=str(tmp_path), dtype=dtype, device="cpu"))


def prompt(number, length):
    ids = tuple((7 * number + 3 * position) % 250 + 5 for position in range(length))
    return Prompt(
        task="task",
        split="test",
        example_id=f"e{number}",
        cluster_id=f"e{number}",
        token_ids=ids,
        unconditional_ids=ids[-3:],
        truncated_tokens=0,
    )


PROMPTS = [prompt(number, length) for number, length in enumerate((3, 17, 9, 9, 30))]
STRATEGIES = [
    Fixed(t0=0),
    Fixed(t0=1, top_p=0.9),
    EDT(t0=1.2, theta=0.3),
    EDT(t0=1.4, theta=0.1, top_k=7, min_p=0.01),
    KLD(t0=1.2, sigma=2),
    KLD(t0=1.2, sigma=2, granularity="instance"),
]


def request(prompts, strategies=STRATEGIES, samples=3, batch=512):
    limits = Limits(max_new_tokens=9, stop=("q",))
    rows = DecodeRequest.all_rows(prompts, strategies, sampling=Sampling(samples=samples), limits=limits)
    return dataclasses.replace(rows, rows_per_batch=batch)


def tokens(spec, model, prompts=PROMPTS, strategies=STRATEGIES, samples=3, batch=512):
    engine = spec.build(model)
    generations = engine.generate(request(prompts, strategies, samples, batch))
    return engine, {(g.example_id, g.strategy_id, g.sample): g.token_ids for g in generations}


FITTING = [
    "llama",
    "llama, one head for all",
    "mistral, window wide enough",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2, soft-capped",
    "gemma3",
    "smollm3",
    "gpt2",
]


@pytest.mark.parametrize("kind", FITTING)
def test_shared_prompts_give_the_reference_engines_tokens(kind, tiny_folder, tmp_path):
    model = loaded(kind, tiny_folder, tmp_path)
    attention = model.model.config._attn_implementation
    engine, drawn_tokens = tokens(BatchedSpec(), model)
    assert engine.sharing_check(model).reason is None
    assert engine._prefill_class(request(PROMPTS), None).__name__ == "SharedPrefill"
    assert model.model.config._attn_implementation == attention
    _, wanted = tokens(ReferenceSpec(), model)
    assert drawn_tokens == wanted
    assert len(set(drawn_tokens.values())) > len(PROMPTS) * 3


@pytest.mark.parametrize(("kind", "dtype"), [("mistral, window too short", "float64"), ("bloom", "float32")])
def test_other_models_copy_the_prompts_and_give_the_same_tokens(kind, dtype, tiny_folder, tmp_path, caplog):
    model = loaded(kind, tiny_folder, tmp_path, dtype)
    engine, drawn_tokens = tokens(BatchedSpec(), model)
    assert engine._prefill_class(request(PROMPTS), None).__name__ == "CopiedPrefill"
    assert caplog.text.count("each branch gets a copy") == 1
    assert ("sliding window of 12" if "mistral" in kind else "takes no positions") in caplog.text
    assert not engine.cost(STRATEGIES, 50).shared_prompt
    assert drawn_tokens == tokens(ReferenceSpec(), model)[1]


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_batches_and_order_change_nothing(tiny, batch):
    _, together = tokens(BatchedSpec(), tiny)
    assert tokens(BatchedSpec(), tiny, batch=batch)[1] == together
    assert tokens(BatchedSpec(), tiny, prompts=PROMPTS[::-1], strategies=STRATEGIES[::-1])[1] == together


def test_the_trial_notices_an_architecture_that_does_something_else(tiny, monkeypatch):
    from edt.decoding.cache import shared_attention

    honest = shared_attention._group_attention

    def wrong(*arguments):
        output, weights = honest(*arguments)
        return output * 1.5, weights

    monkeypatch.setattr(shared_attention, "_group_attention", wrong)
    assert "differ" in SharingCheck.run(tiny).reason
    monkeypatch.setattr(shared_attention, "_group_attention", lambda *_: None)
    assert "fails: TypeError" in SharingCheck.run(tiny).reason


def test_the_trial_compares_with_passes_over_each_text_alone(tiny, monkeypatch):
    """Texts that are read together have the logits of those that are read by themselves, in few passes."""
    from edt.decoding.cache import sharing_check

    texts = [[5, 6, 0], [9, 8, 1], [5, 6, 2], [5, 6, 2, 7], [9, 8, 1, 3], [9, 8, 1, 4]]
    passes = []
    handle = tiny.model.register_forward_hook(lambda *_: passes.append(1))
    with torch.inference_mode():
        together = sharing_check._read_alone(tiny, texts)
        # Three texts of four tokens, and one of three that none of them continues.
        assert len(passes) == 2
        handle.remove()
        for text in texts:
            alone_V = tiny.model(torch.tensor([text])).logits[0, -1]
            torch.testing.assert_close(together[tuple(text)], alone_V)


def test_the_trial_refuses_attention_sinks_and_does_not_pass_flat_models(tiny_folder, tmp_path, monkeypatch):
    """A flat model's probabilities hardly move; its logits, in their own spread, do."""
    from edt.decoding.cache import shared_attention

    flat = loaded("llama", tiny_folder, tmp_path)
    with torch.no_grad():
        flat.model.get_output_embeddings().weight.mul_(1e-4)
    assert SharingCheck.run(flat).reason is None
    honest = shared_attention._group_attention
    monkeypatch.setattr(shared_attention, "_group_attention", lambda *a: (honest(*a)[0] * 0, honest(*a)[1]))
    assert "of their spread" in SharingCheck.run(flat).reason
    with pytest.raises(NotImplementedError, match="sinks"):
        shared_attention.shared_prefix_attention(None, None, None, None, None, s_aux=torch.zeros(1))


@pytest.mark.parametrize("vocabulary", [50, 1_000, 262_144])
@pytest.mark.parametrize(("error", "shares"), [(0.07, True), (0.3, False)])
def test_rounding_is_no_mistake_whatever_the_vocabulary(vocabulary, error, shares):
    """The largest of 262,144 rounding errors is far from 0, and every Gemma in bfloat16 was refused for it."""
    from edt.decoding.cache import sharing_check

    generator = torch.Generator().manual_seed(vocabulary)
    alone_CV = 5 * torch.randn(3, vocabulary, generator=generator)
    logits_CV = alone_CV + 2.0
    # One text of three is enough.
    logits_CV[1] += 5 * error * torch.randn(vocabulary, generator=generator)
    assert (sharing_check._difference(logits_CV, alone_CV) <= sharing_check.HALF_TOLERANCE) == shares
    logits_CV[2, 0] = torch.nan
    assert sharing_check._difference(logits_CV, alone_CV) == torch.inf


def test_prefill_computes_one_row_of_logits_per_prompt(tiny):
    from edt.decoding.cache.contexts import SharedPrefill

    shapes = []
    handle = tiny.model.get_output_embeddings().register_forward_hook(lambda m, i, out: shapes.append(out.shape))
    prefill = SharedPrefill(tiny, [p.token_ids for p in PROMPTS])
    handle.remove()
    assert [shape[:2] for shape in shapes] == [(len(PROMPTS), 1)]
    for index, p in enumerate(PROMPTS):
        alone = tiny.model(torch.tensor([p.token_ids])).logits[0, -1]
        torch.testing.assert_close(prefill.logits_PV[index], alone)


def test_a_prompt_is_stored_once_and_a_suffix_only_as_far_as_it_may_grow(tiny):
    from edt.decoding.cache.contexts import SharedPrefill

    prefill = SharedPrefill(tiny, [PROMPTS[4].token_ids])
    stored = prefill.blocks[0].layers[0][0].untyped_storage().nbytes()
    contexts = prefill.fork(torch.zeros(50, dtype=torch.int64), capacity=50, new_tokens=4)
    layer = contexts.cache.branch_layers[0]
    assert layer.blocks[0][0] is prefill.blocks[0].layers[0][0]
    assert layer.keys.shape == (50, 2, 4, 8)
    assert layer.blocks[0][0].untyped_storage().nbytes() == stored == 2 * 30 * 8 * 8


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mistral, window too short"])
def test_keys_and_values_are_free_when_a_batch_is_decoded(kind, tiny_folder, tmp_path):
    """Without Python's search for cycles, which comes late where there are many objects."""
    model = loaded(kind, tiny_folder, tmp_path)
    tokens(BatchedSpec(), model)
    gc.collect()
    gc.disable()
    try:
        tokens(BatchedSpec(), model)
        left = [type(item).__name__ for item in gc.get_objects() if issubclass(type(item), Cache | BranchLayer)]
    finally:
        gc.enable()
    assert left == []


def blocks(*lengths):
    keys = [torch.zeros(len(group), 1, max(group), 2, dtype=torch.float64) for group in lengths]
    return [Block(lengths=tuple(g), layers=((k, k),)) for g, k in zip(lengths, keys, strict=True)]


def test_children_stay_in_their_parents_slot_and_only_forks_are_copied():
    cache = BranchCache(blocks([2, 3]), np.array([0, 0, 1]), slots=8, new_tokens=3)
    layer = cache.branch_layers[0]
    layer.update(
        torch.arange(3.0, dtype=torch.float64).reshape(3, 1, 1, 1).expand(3, 1, 1, 2), torch.zeros(3, 1, 1, 2), 0
    )
    cache.length = 1
    slot = cache.follow(np.array([0, 0, 2, 1, 2]))
    assert slot.tolist() == [0, 3, 2, 1, 4]
    assert layer.keys[:5, 0, 0, 0].tolist() == [0, 1, 2, 0, 2]
    assert cache.prefix_C.tolist() == [0, 0, 1, 0, 1]
    slot = cache.follow(np.array([4, 3, 4]))  # slots 0 to 2 stay in use
    assert sorted(slot.tolist()) == [0, 1, 2]
    assert layer.keys[slot, 0, 0, 0].tolist() == [2, 0, 2]
    assert cache.prefix_C[slot].tolist() == [1, 0, 1]


def test_prompts_are_handled_together_while_padding_is_cheaper_than_a_call():
    assert runs(np.array([4, 4, 4]), [100, 100, 100], 1000) == [slice(0, 3)]
    assert runs(np.array([400, 4, 4]), [100, 100, 100], 1000) == [slice(0, 1), slice(1, 3)]
    assert runs(np.array([0, 4, 0, 0]), [100, 100, 100, 100], 10) == [slice(1, 2)]
    layout = Layout.build(np.array([1, 0, 1]), blocks([2, 3]), torch.device("cpu"))
    assert layout.order_C.tolist() == [1, 0, 2]
    assert layout.inverse_C.tolist() == [1, 0, 2]


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_encoder_decoders_copy_their_prompts_and_decode_as_generate_does(kind, tiny_folder, tmp_path, caplog):
    import transformers

    torch.manual_seed(0)
    if kind == "t5":
        config = transformers.T5Config(
            vocab_size=300, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
        )
        model = transformers.T5ForConditionalGeneration(config)
    else:
        sizes = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in
                 {"layers": 2, "attention_heads": 4, "ffn_dim": 48}.items()}  # fmt: skip
        config = transformers.BartConfig(
            vocab_size=300,
            d_model=32,
            max_position_embeddings=128,
            decoder_start_token_id=7,
            forced_eos_token_id=None,
            **sizes,
        )
        model = transformers.BartForConditionalGeneration(config)
        with torch.no_grad():
            model.model.shared.weight.mul_(12.0)
    model.double().save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    loaded_model = LanguageModel.load(ModelSpec(path=str(tmp_path), dtype="float64", device="cpu"))
    _, drawn_tokens = tokens(BatchedSpec(), loaded_model)
    assert "is an encoder-decoder" in caplog.text
    assert drawn_tokens == tokens(ReferenceSpec(), loaded_model)[1]
    assert len(set(drawn_tokens.values())) > len(PROMPTS)
    for p in PROMPTS:
        ids = torch.tensor([p.token_ids])
        own = loaded_model.model.generate(ids, do_sample=False, max_new_tokens=9)[0, 1:].tolist()
        drawn = list(drawn_tokens[p.example_id, "fixed(t0=0)", 0])
        assert own[: len(drawn)] == drawn
