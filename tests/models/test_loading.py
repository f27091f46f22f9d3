"""Models that are not whole, or are something else: each is refused in one sentence with the reason and the remedy."""

import json
import logging
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from edt.errors import ConfigError, MemoryExceededError, ModelError
from edt.models.guard import library_errors
from edt.models.language_model import LanguageModel
from edt.models.loading import check_first_pass
from edt.models.spec import ModelSpec

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def load(path, **settings):
    return LanguageModel.load(ModelSpec(path=str(path), device="cpu", **settings))


@pytest.fixture
def copy(tiny_folder, tmp_path):
    """A copy of the random Llama to spoil."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


def change_weights(change):
    def spoil(folder):
        weights = load_file(folder / "model.safetensors")
        save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def change_json(name, **values):
    def spoil(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **values}))

    return spoil


def without(part):
    return change_weights(lambda weights: {key: value for key, value in weights.items() if part not in key})


def plus(key, *shape):
    return change_weights(lambda weights: {**weights, key: torch.ones(shape)})


WEIGHTS = {
    "no head": (without("lm_head"), r"lacks 1 weights .*random: lm_head\.weight.*tie_word_embeddings"),
    "no embedding": (without("embed_tokens"), r"lacks 1 weights .*model\.embed_tokens\.weight"),
    "no second layer": (without("layers.1."), r"lacks 9 weights .*model\.layers\.1\.\S+, .* and 6 more"),
    "one norm missing": (without("layers.0.input_layernorm"), r"lacks 1 weights .*layers\.0\.input_layernorm"),
    "renamed": (change_weights(lambda w: {"x." + k: v for k, v in w.items()}), r"lacks 21 weights .*fetch them again"),
    "more layers in the config": (change_json("config.json", num_hidden_layers=3), r"lacks 9 weights .*layers\.2\."),
    "fewer layers in the config": (change_json("config.json", num_hidden_layers=1), r"9 weights that \w+ would leave"),
    "a bias too many": (plus("model.layers.0.self_attn.q_proj.bias", 32), r"leave out: model\.layers\.0\.\S+bias\."),
    "another width": (
        change_json("config.json", intermediate_size=48),
        r"6 weights of another shape .*\(64, 32\), not",
    ),
    "another vocabulary": (change_json("config.json", vocab_size=300), r"another shape .*lm_head.* not \(300, 32\)"),
    "another architecture": (change_json("config.json", model_type="bert"), r"lacks \d+ weights of BertLMHeadModel"),
    "broken weights": (change_weights(lambda w: {k: v * torch.nan for k, v in w.items()}), r"\(NaN\).* are broken"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_not_the_models_are_refused(kind, copy, caplog):
    spoil, said = WEIGHTS[kind]
    spoil(copy)
    with pytest.raises(ModelError, match=said):
        load(copy)
    assert "LOAD REPORT" not in caplog.text


def test_a_value_head_is_left_out_and_said(copy, caplog):
    plus("v_head.summary.weight", 1, 32)(copy)
    load(copy)
    assert "has 1 weights that LlamaForCausalLM does not use: v_head.summary.weight" in caplog.text


def test_keys_that_an_architecture_declares_ignorable_are_fine(tmp_path, tiny_folder, caplog):
    """gpt2's published weights hold the causal mask of each layer, which no version reads any more."""
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=259, n_positions=32)).save_pretrained(
        tmp_path
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_folder / name, tmp_path / name)
    plus("transformer.h.0.attn.bias", 1, 1, 32, 32)(tmp_path)
    assert load(tmp_path).vocabulary == 259
    assert "does not use" not in caplog.text


def test_tied_weights_are_not_missing():
    model = load("edt:mini").model
    assert model.config.tie_word_embeddings
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_an_encoder_that_sees_ahead_is_refused(tmp_path, tiny_folder):
    """BertLMHeadModel loads whole and reads in both directions, unless its config says is_decoder."""
    from transformers import BertConfig, BertLMHeadModel

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    for is_decoder in (True, False):
        # Wide weights, as training leaves them; the initial ones hardly attend to anything.
        config = BertConfig(vocab_size=259, **shape, is_decoder=is_decoder, initializer_range=0.5)
        BertLMHeadModel(config).save_pretrained(tmp_path)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tiny_folder / name, tmp_path / name)
        if is_decoder:
            load(tmp_path)
        else:
            with pytest.raises(
                ModelError, match=r"BertLMHeadModel.* is no causal language model.*see what comes after"
            ):
                load(tmp_path)


CONFIGS = {
    "newer type": (
        change_json("config.json", model_type="llama9"),
        "does not know model type 'llama9'.*pip install -U",
    ),
    "no type": (change_json("config.json", model_type=None), "finds no model_type"),
    "not a language model": (change_json("config.json", model_type="vit"), "type 'vit', which is no language model"),
    "own code": (
        change_json("config.json", model_type="mine", auto_map={"AutoModelForCausalLM": "m.M"}),
        "own Python code; model.trust_remote_code=true",
    ),
    "unknown activation": (change_json("config.json", hidden_act="zap"), r"config\.json has hidden_act 'zap', which"),
    "a number in words": (change_json("config.json", num_attention_heads="four"), "config.json is not accepted.*four"),
    "quantized": (
        change_json("config.json", quantization_config={"quant_method": "gptq", "bits": 4}),
        "cannot be loaded.*(gptq|optimum|GPTQ)",
    ),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_configs_that_transformers_cannot_use(kind, copy):
    spoil, said = CONFIGS[kind]
    spoil(copy)
    with pytest.raises(ModelError, match=said):
        load(copy)


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


FOLDERS = {
    "torn config": (write("config.json", '{"a": '), r"config\.json' cannot be read as JSON"),
    "config of bytes": (write("config.json", b"\xff\xfe{}"), r"config\.json' cannot be read as JSON.*decode"),
    "config that is a list": (write("config.json", "[]"), r"config\.json' holds no mapping"),
    "torn generation config": (
        write("generation_config.json", "{"),
        r"generation_config\.json' cannot be read as JSON",
    ),
    "torn tokenizer config": (write("tokenizer_config.json", "{"), r"tokenizer_config\.json' cannot be read as JSON"),
    "pointer for weights": (write("model.safetensors", LFS), r"model\.safetensors' is a git-lfs pointer.*git lfs pull"),
    "pointer for tokenizer": (write("tokenizer.json", LFS), r"tokenizer\.json' is a git-lfs pointer.*git lfs pull"),
    "pointer for config": (write("config.json", LFS), r"config\.json' is a git-lfs pointer"),
    "adapter in the folder": (
        write("adapter_config.json", '{"base_model_name_or_path": "some/base"}'),
        r"holds a PEFT adapter.*model\.path=some/base model\.adapter=\S+copy\. Where its own weights",
    ),
    "missing shards": (
        write("model.safetensors.index.json", '{"weight_map": {"a": "model-1-of-2.safetensors"}}'),
        r"lacks 1 of the files that .*model-1-of-2\.safetensors\); fetch",
    ),
    "empty weights": (write("model.safetensors", b""), r"model\.safetensors is not whole.*Fetch the file again"),
    "cut weights": (lambda f: os.truncate(f / "model.safetensors", 2000), r"model\.safetensors is not whole"),
    "newer tokenizer": (
        write("tokenizer.json", '{"version": "9", "model": {"type": "Next"}}'),
        "install -U tokenizers",
    ),
    "torn tokenizer": (write("tokenizer.json", '{"version'), "no tokenizer that can be loaded.*damaged, or newer"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_files_that_are_not_what_they_should_be(kind, copy):
    spoil, said = FOLDERS[kind]
    spoil(copy)
    with pytest.raises(ModelError, match=said):
        load(copy)


def test_no_tokenizer(copy):
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        load(copy)


def test_pickled_weights_alone(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin, .*save_pretrained"):
        load(copy)


@pytest.mark.parametrize("revision", [1, "main"])
def test_a_folder_has_no_revisions(copy, revision):
    with pytest.raises(ModelError, match=f"model.revision is '{revision}'.*remove model.revision"):
        load(copy, revision=revision)


PATHS = {
    "ollama": ("llama3:8b", "neither a folder nor a hub id.*Ollama"),
    "address": ("https://huggingface.co/a/b", "neither a folder nor a hub id.*OWNER/NAME"),
    "space": ("my model", "neither a folder nor a hub id"),
    "NUL": ("a\0b", "NUL character"),
    "a user that is not there": ("~nobody-of-this-name/model", "cannot be read"),
    "too long": ("x" * 300 + "/" + "y" * 300, "cannot be read|neither a folder"),
}


@pytest.mark.parametrize("kind", PATHS)
def test_paths_that_name_no_model(kind):
    path, said = PATHS[kind]
    with pytest.raises(ModelError, match=said):
        load(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.Q4_K_M.gguf", "is a GGUF file.*model.gguf_file=NAME"),
        ("model.safetensors", "is a file of weights.*Give the folder"),
        ("model.pt", "pickled weights"),
        ("config.json", "is a file.*Give the folder"),
    ],
)
def test_a_file_in_place_of_a_folder(name, said, tmp_path):
    (tmp_path / name).write_text("x")
    with pytest.raises(ModelError, match=said):
        load(tmp_path / name)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ModelError, match="is empty"):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_may_not_be_read(name, copy):
    (copy / name).chmod(0)
    with pytest.raises(ModelError, match=rf"{name}.*(right to read|Permission)"):
        load(copy)


def test_a_device_without_numbers():
    with pytest.raises(ConfigError, match=r"model\.device is 'meta'"):
        LanguageModel.load(ModelSpec(path="edt:mini", device="meta"))


def test_a_tokenizer_of_more_tokens_than_embeddings(copy):
    def fewer(weights):
        for key in ("lm_head.weight", "model.embed_tokens.weight"):
            weights[key] = weights[key][:200].clone()
        return weights

    change_weights(fewer)(copy)
    change_json("config.json", vocab_size=200)(copy)
    with pytest.raises(ModelError, match="has 259 tokens and its weights have embeddings for 200"):
        load(copy)


def test_a_padded_vocabulary_is_fine(copy):
    def padded(weights):
        for key in ("lm_head.weight", "model.embed_tokens.weight"):
            weights[key] = torch.cat([weights[key], torch.zeros(5, 32)])
        return weights

    change_weights(padded)(copy)
    change_json("config.json", vocab_size=264)(copy)
    assert load(copy).vocabulary == 264


class FailsAtFirst(torch.nn.Module):
    """Any model whose own code raises what it likes."""

    def __init__(self, error):
        super().__init__()
        self.error, self.embedding = error, torch.nn.Embedding(9, 2)
        self.device, self.config = torch.device("cpu"), None

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, **_):
        raise self.error


@pytest.mark.parametrize("error", [KeyError("rope"), AttributeError("no kernel"), AssertionError(), TypeError("x y")])
def test_a_first_pass_that_fails_is_one_sentence(error):
    with pytest.raises(ModelError, match=f"'some' is loaded, but its first forward pass fails: {type(error).__name__}"):
        check_first_pass(FailsAtFirst(error), "some")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: 8 bytes")])
def test_memory_keeps_its_own_error(error):
    with pytest.raises(MemoryExceededError, match="memory is exhausted"):
        check_first_pass(FailsAtFirst(error), "some")


def test_an_interruption_is_no_error_of_the_model():
    with pytest.raises(KeyboardInterrupt), library_errors("it fails", "Mend it."):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def adapter(tiny_folder, tmp_path_factory):
    """An adapter of the random Llama, which it knows by its folder."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("lora")
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), config).save_pretrained(folder)
    return folder


def renamed(old, new):
    def spoil(folder):
        weights = load_file(folder / "adapter_model.safetensors")
        save_file({k.replace(old, new): v for k, v in weights.items()}, folder / "adapter_model.safetensors")

    return spoil


ADAPTERS = {
    "no module": (change_json("adapter_config.json", target_modules=["c_attn"]), "does not fit model.*c_attn"),
    "all keys elsewhere": (renamed("base_model.model.model", "base_model.model.other"), "lacks 4 weights"),
    "one layer elsewhere": (renamed("layers.1.", "layers.7."), "lacks 2 weights .*layers.1"),
    "fewer targets than weights": (
        change_json("adapter_config.json", target_modules=["model.layers.0.self_attn.q_proj"]),
        "has 2 weights without a place",
    ),
    "another rank": (change_json("adapter_config.json", r=4), "does not fit model.*size mismatch"),
    "torn config": (lambda folder: (folder / "adapter_config.json").write_text("{"), "cannot be read as JSON"),
    "pointer": (lambda folder: (folder / "adapter_model.safetensors").write_text(LFS), "git-lfs pointer"),
    "unknown kind": (change_json("adapter_config.json", peft_type="NEXT"), "does not fit.*NEXT"),
}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.*:FutureWarning")  # peft's own use of transformers
@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapters_that_do_not_fit(kind, tiny_folder, adapter, tmp_path):
    spoil, said = ADAPTERS[kind]
    broken = shutil.copytree(adapter, tmp_path / "broken")
    spoil(broken)
    with pytest.raises(ModelError, match=said):
        load(tiny_folder, adapter=str(broken))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.*:FutureWarning")
def test_an_adapter_of_another_base_is_said(tiny_folder, adapter, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    load(tiny_folder, adapter=str(adapter))
    assert "was trained on" not in caplog.text
    other = shutil.copytree(adapter, tmp_path / "other")
    change_json("adapter_config.json", base_model_name_or_path="someone/larger-model")(other)
    load(tiny_folder, adapter=str(other))
    assert f"was trained on 'someone/larger-model' and is merged into '{tiny_folder}'" in caplog.text


def test_the_folder_of_an_adapter_in_place_of_a_model(adapter, tiny_folder):
    with pytest.raises(ModelError, match=f"holds a PEFT adapter; .*model.path={tiny_folder} model.adapter={adapter}"):
        load(adapter)


def test_in_python_errors_name_the_arguments(adapter, tiny_folder):
    import edt

    with pytest.raises(ModelError, match=f"adapter: path={tiny_folder} adapter={adapter}"):
        edt.load_model(adapter)
    with pytest.raises(ModelError, match=r"as a text \(chat_template=False\)"):
        edt.load_model(tiny_folder, chat_template=True)
    with pytest.raises(ConfigError, match=r"^template_date is"):
        edt.load_model(tiny_folder, template_date="x")
