"""Model folders that are not whole, or hold something else."""

import json
import shutil
import warnings

from safetensors.torch import load_file, save_file

from tests.faults.table import fault

SECTION = "Models"


def _weights(place, change):
    path = place.folder / place.model() / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return place.edt_run()


def _json(place, name, **values):
    path = place.folder / place.model() / name
    kept = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in kept.items() if value is not ...}))
    return place.edt_run()


@fault(SECTION, "a layer is missing from the weights")
def _(place):
    return _weights(place, lambda weights: {key: value for key, value in weights.items() if "layers.1." not in key})


@fault(SECTION, "the embedding is missing from the weights")
def _(place):
    return _weights(place, lambda weights: {key: value for key, value in weights.items() if "embed" not in key})


CONFIGS = {
    "more layers in config.json than in the weights": {"num_hidden_layers": 3},
    "fewer layers in config.json than in the weights": {"num_hidden_layers": 1},
    "another width in config.json": {"intermediate_size": 48},
    "another architecture in config.json: `model_type: bert`": {"model_type": "bert"},
    "no `model_type` in config.json": {"model_type": ...},
    "an unknown `model_type`": {"model_type": "nonesuch"},
    "text for a number in config.json": {"hidden_size": "abc"},
    "an unknown activation in config.json": {"hidden_act": "nonesuch"},
    "a quantized model whose package is not installed": {
        "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}
    },
}

for what, values in CONFIGS.items():

    @fault(SECTION, what)
    def _(place, values=values):
        return _json(place, "config.json", **values)


FILES = {
    "config.json is cut off": ("config.json", b'{"model_type": "lla'),
    "the weights are cut off": ("model.safetensors", b"\x00" * 100),
    "tokenizer.json is cut off": ("tokenizer.json", b'{"version": "1.0", "trunc'),
    "the weights are a pointer of git-lfs": ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
}

for what, (name, content) in FILES.items():

    @fault(SECTION, what)
    def _(place, name=name, content=content):
        (place.folder / place.model() / name).write_bytes(content)
        return place.edt_run()


@fault(SECTION, "the tokenizer has more tokens than the model has embeddings")
def _(place):
    from transformers import AutoTokenizer

    folder = place.folder / place.model()
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"new{number}": len(vocabulary) + number for number in range(5)}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert AutoTokenizer.from_pretrained(folder).vocab_size == len(vocabulary)
    return place.edt_run()


@fault(SECTION, "no tokenizer")
def _(place):
    for file in (place.folder / place.model()).glob("tokenizer*"):
        file.unlink()
    return place.edt_run()


@fault(SECTION, "an empty folder")
def _(place):
    (place.folder / "empty").mkdir()
    return place.edt_run("model=hf", "model.path=empty")


@fault(SECTION, "a file in place of a folder")
def _(place):
    return place.edt_run("model=hf", f"model.path={place.model()}/model.safetensors")


@fault(SECTION, "pickled weights alone")
def _(place):
    folder = place.folder / place.model()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return place.edt_run()


@fault(SECTION, "an adapter of another base")
def _(place):
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    other = LlamaForCausalLM(
        LlamaConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=32, intermediate_size=16)
    )
    # peft asks transformers what this version of it calls by another name.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = get_peft_model(other, LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(place.folder / "adapter")
    return place.edt_run("+model.adapter=adapter")


@fault(SECTION, "an adapter in place of a model")
def _(place):
    (place.folder / "adapter").mkdir()
    (place.folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "OWNER/BASE"}')
    return place.edt_run("model=hf", "model.path=adapter")


@fault(SECTION, "a shard that the index names is missing")
def _(place):
    folder = place.folder / place.model()
    shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(shards))
    return place.edt_run()
