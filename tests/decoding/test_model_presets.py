"""Each model that configs/model names: its architecture, small and random, decodes every strategy as the reference does."""

import pytest
import yaml

from edt.cli import main
from edt.cli.composition import compose, config_folder
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.strategies import EDT, KLD, Dynatemp, Fixed, RandomT
from tests.decoding.test_shared_prefix import ENDS, GROUPED, PROMPTS, loaded, request, tokens

STRATEGIES = [
    Fixed(t0=0),
    Fixed(t0=1, top_p=0.9),
    EDT(t0=1.2, theta=0.3),
    KLD(t0=1.2, sigma=2),
    Dynatemp(t_min=0.5, t_max=1.5),
    RandomT(q0=0.2, q25=0.7, q50=1.0, q75=1.3, q100=1.8),
]
EACH_HEAD = GROUPED | {"num_key_value_heads": 4}
THREE_HEADS = GROUPED | {"hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 1}

ARCHITECTURES = {
    # Keys and values for each head, and an output matrix of its own.
    "llama2": ("LlamaConfig", EACH_HEAD | {"tie_word_embeddings": False}),
    "llama3": ("LlamaConfig", GROUPED | {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}}),
    "smollm2": ("LlamaConfig", THREE_HEADS | {"tie_word_embeddings": True}),
    "mistral": ("MistralConfig", GROUPED | {"sliding_window": 64}),
    "qwen3, tied": ("Qwen3Config", GROUPED | {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", GROUPED | {"head_dim": 16, "tie_word_embeddings": False}),
    # Layers with a sliding window and without alternate; one head of keys and values.
    "gemma3": (
        "Gemma3TextConfig",
        GROUPED
        | {
            "num_key_value_heads": 1,
            "head_dim": 16,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gpt2": ("GPT2Config", {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}),
}
PRESETS = {
    "llama2_13b": "llama2",
    "llama2_7b": "llama2",
    "llama3_8b": "llama3",
    "mistral_7b": "mistral",
    "qwen3_0_6b": "qwen3, tied",
    "qwen3_8b": "qwen3",
    "gemma3_270m": "gemma3",
    "smollm2_135m": "smollm2",
    "smollm2_360m": "smollm2",
    "gpt2": "gpt2",
}
EMBEDDED = {"mini", "mini_base", "mini_long_tail"}


def test_each_preset_has_an_architecture_here():
    assert {path.stem for path in (config_folder() / "model").glob("*.yaml")} == PRESETS.keys() | EMBEDDED
    assert set(PRESETS.values()) == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_strategy_gives_the_reference_engines_tokens(name, tiny_folder, tmp_path):
    import transformers

    cls, sizes = ARCHITECTURES[name]
    model = loaded(getattr(transformers, cls)(**sizes, **ENDS), tiny_folder, tmp_path)
    prompts = PROMPTS[1:4]
    engine, drawn = tokens(BatchedSpec(), model, prompts, STRATEGIES, samples=2)
    assert engine._prefill_class(request(prompts, STRATEGIES), None).__name__ == "SharedPrefill"
    assert drawn == tokens(ReferenceSpec(), model, prompts, STRATEGIES, samples=2)[1]
    assert len({strategy_id for _, strategy_id, _ in drawn}) == len(STRATEGIES)
    assert len(set(drawn.values())) > len(prompts) * 3


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_pins_its_files_and_states_its_memory(name):
    config = compose("run", [f"model={name}"]).model
    path = config_folder() / "model" / f"{name}.yaml"
    assert config.path == f"edt:{name}" or len(config.revision) == 40
    first, second, third = path.read_text().splitlines()[:3]
    assert first.startswith("# ")
    assert second.startswith("# Memory: ")
    assert "per token" in second
    # The dtype in words, as it is set; auto differs between a CPU and a GPU.
    dtype = "float32" if config.dtype == "auto" else config.dtype
    assert third.startswith(f"# In {dtype}")
    assert ("plain text" in third) != ("user turns" in third)
    assert ("user turns" in third) == bool(config.chat_template)
    # Only instruct models read chat templates; defaults stand in the class alone.
    assert config.chat_template == (name in ("smollm2_135m", "smollm2_360m"))
    listed = yaml.safe_load(path.read_text())
    assert False not in listed.values()
    assert None not in listed.values()


def test_the_list_of_models_names_them_with_their_licenses(capsys):
    assert main(["list", "models"]) == 0
    shown = capsys.readouterr().out
    for name in (*PRESETS, "hf"):
        assert f"\n{name} " in f"\n{shown}"
