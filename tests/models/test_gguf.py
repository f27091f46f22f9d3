"""Models in GGUF form: a random Llama, written as llama.cpp's converter writes one, is read with the same logits.

These tests need the package gguf, of the extra of this name, which `make test` installs; without it they are skipped.
"""

import shutil

import numpy as np
import pytest
import torch

from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.errors import ModelError
from edt.models import gguf as edt_gguf
from edt.models.checkpoint import local_folder
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import EDT, Fixed
from tests.decoding.test_shared_prefix import PROMPTS, tokens

gguf = pytest.importorskip("gguf")

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def permuted(weight, heads):
    """The rows of a query or key matrix in llama.cpp's order (convert_hf_to_gguf.py, LlamaModel.permute)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path, tiny, *, leave_out=None, quantized=False):
    """Write the random Llama over bytes as a GGUF file."""
    config = tiny.model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    vocabulary = tiny.tokenizer.get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    # A merge needs its token, for which the one of byte 0 makes place.
    tokens = ["ĠĠ" if token == "Ā" else token for token in sorted(vocabulary, key=vocabulary.get)]
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(vocabulary) - 3))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(0)

    for name, tensor in tiny.model.state_dict().items():
        if name == leave_out:
            continue
        weight = tensor.to(torch.float32).numpy()
        if name.startswith("model.layers."):
            _, _, layer, rest = name.split(".", 3)
            part = rest.removesuffix(".weight")
            if part in ("self_attn.q_proj", "self_attn.k_proj"):
                weight = permuted(
                    weight, config.num_attention_heads if "q_proj" in part else config.num_key_value_heads
                )
            name = f"blk.{layer}.{NAMES[part]}.weight"
        else:
            name = {
                "model.embed_tokens.weight": "token_embd.weight",
                "model.norm.weight": "output_norm.weight",
                "lm_head.weight": "output.weight",
            }[name]
        kind = gguf.GGMLQuantizationType.Q4_0
        if quantized and weight.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded(path, dtype="float64"):
    return LanguageModel.load(ModelSpec(path=str(path.parent), gguf_file=path.name, dtype=dtype, device="cpu"))


def test_a_gguf_file_gives_the_logits_of_the_model_that_it_was_made_from(tiny, tmp_path):
    model = loaded(write_gguf(tmp_path / "tiny.gguf", tiny))
    ids = torch.tensor([tiny.tokenize("On Monday Anna")])
    torch.testing.assert_close(model.model(ids).logits, tiny.model(ids).logits, rtol=0, atol=1e-9)
    assert model.tokenize("On Monday Anna") == tiny.tokenize("On Monday Anna")
    assert model.eos_ids == {2}


def test_a_quantized_file_is_dequantized_as_gguf_does_it(tiny, tmp_path):
    model = loaded(write_gguf(tmp_path / "tiny.gguf", tiny, quantized=True))
    weight = tiny.model.get_input_embeddings().weight.float().numpy()
    kind = gguf.GGMLQuantizationType.Q4_0
    wanted = gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
    drawn = model.model.get_input_embeddings().weight.float().numpy()
    np.testing.assert_array_equal(drawn, wanted)
    assert np.abs(drawn - weight).max() > 0


def test_python_takes_it_by_its_name(tiny, tmp_path):
    import edt

    write_gguf(tmp_path / "tiny.gguf", tiny)
    model = edt.load_model(tmp_path, gguf_file="tiny.gguf", device="cpu")
    frame = edt.decode(model, ["On Monday Anna"], [Fixed(t0=0)], max_new_tokens=4)
    assert len(frame.loc[0, "token_ids"]) > 0
    with pytest.raises(ModelError, match=r"^gguf_file 'other\.gguf' is not in '.*', which has: tiny\.gguf\."):
        edt.load_model(tmp_path, gguf_file="other.gguf")


def test_strategies_decode_on_it(tiny, tmp_path):
    model = loaded(write_gguf(tmp_path / "tiny.gguf", tiny, quantized=True))
    strategies = [Fixed(t0=0), EDT(t0=1.0, theta=0.3)]
    drawn = tokens(BatchedSpec(), model, PROMPTS[1:2], strategies, samples=2)[1]
    assert drawn == tokens(ReferenceSpec(), model, PROMPTS[1:2], strategies, samples=2)[1]
    ids = torch.tensor([PROMPTS[1].token_ids])
    greedy = model.model.generate(ids, do_sample=False, max_new_tokens=9)[0, ids.shape[1] :].tolist()
    own = list(drawn[PROMPTS[1].example_id, "fixed(t0=0)", 0])
    assert own == greedy[: len(own)]


def test_digits_are_split_before_the_merges_as_the_file_says(tiny, tmp_path):
    """llama.cpp's pattern for smollm: the blanks before a number are one piece, where GPT-2's pattern leaves one apart."""
    model = loaded(write_gguf(tmp_path / "tiny.gguf", tiny))
    pieces = model.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in  2024")
    assert [piece for piece, _ in pieces] == ["in", "ĠĠ", "2", "0", "2", "4"]


def test_a_file_is_converted_once_and_again_after_an_interruption(tiny, tmp_path, monkeypatch, caplog):
    path = write_gguf(tmp_path / "tiny.gguf", tiny)

    def stopped(source, folder):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    convert = edt_gguf.convert
    monkeypatch.setattr(edt_gguf, "convert", stopped)
    with pytest.raises(KeyboardInterrupt):
        local_folder(str(tmp_path), None, "tiny.gguf")
    monkeypatch.setattr(edt_gguf, "convert", convert)

    caplog.set_level("INFO")
    caplog.clear()
    folder = local_folder(str(tmp_path), None, "tiny.gguf")
    assert (folder / "model.safetensors").is_file()
    # The same bytes under another name and in another folder need no second conversion.
    copy = tmp_path / "other" / path.name
    copy.parent.mkdir()
    shutil.copy(path, copy)
    assert local_folder(str(copy.parent), None, path.name) == folder
    assert caplog.text.count("this is done once") == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:-9]),
        lambda folder: (folder / "model.safetensors").write_bytes(bytes((folder / "model.safetensors").stat().st_size)),
        lambda folder: (folder / "generation_config.json").unlink(),
        lambda folder: (folder / "added_tokens.json").write_text('{"more": 9}'),
        lambda folder: (folder / "converted.json").write_text("{"),
        lambda folder: (folder / "converted.json").write_text('{"files": {}}'),
        lambda folder: (folder / "converted.json").unlink(),
    ],
    ids=["cut tokenizer", "zeroed weights", "missing", "added", "torn record", "empty record", "no record"],
)
def test_a_damaged_conversion_is_made_again(damage, tiny, tmp_path, caplog):
    path = write_gguf(tmp_path / "tiny.gguf", tiny)
    folder = local_folder(str(tmp_path), None, path.name)
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    damage(folder)
    assert local_folder(str(tmp_path), None, path.name) == folder
    assert "tiny.gguf is converted again" in caplog.text
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == whole


def test_what_is_no_gguf_file_is_named(tiny, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny)
    with pytest.raises(ModelError, match=r"model\.gguf_file 'small\.gguf' is not in '.*', which has: tiny\.gguf\."):
        local_folder(str(tmp_path), None, "small.gguf")
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(ModelError, match=r"is not in GGUF form: it begins with b'<htm', not b'GGUF'. Fetch it again"):
        local_folder(str(tmp_path), None, "page.gguf")
    whole = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.gguf_file '.*cut\.gguf' cannot be read: "):
        local_folder(str(tmp_path), None, "cut.gguf")


def test_a_file_that_lacks_weights_is_refused(tiny, tmp_path):
    write_gguf(tmp_path / "part.gguf", tiny, leave_out="model.layers.1.mlp.up_proj.weight")
    with pytest.raises(
        ModelError, match=r"lacks 1 weights of LlamaForCausalLM, .*layers\.1\.mlp\.up_proj\.weight among them"
    ):
        local_folder(str(tmp_path), None, "part.gguf")
