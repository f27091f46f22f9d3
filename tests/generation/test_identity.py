"""Every configuration key is classified: it makes another run, it adds rows to a run, or it leaves the run alone."""

import fnmatch
import json
import os

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from edt.cli.app import config_folder
from edt.cli.build import generation_request
from edt.generation.prepare import prepare
from edt.models.language_model import LanguageModel

# Changes that make another run (another generation_id), with a value to change to.
IDENTITY = {
    "model.dtype": "float64",
    "model.attention": "eager",
    "model.long_tail": {"entropy": [0, 1], "mass": [0, 0.1]},
    "sampling.seed": 1,
    "sampling.noise": "per_strategy",
    "sampling.max_new_tokens": 3,
    "task.direction": "zh-en",
    "task.limit": 1,
    "task.seed": 5,
    "task.split": "dev",
    "task.stop": ["x"],
    "task.answer": "first_line",
    "task.max_new_tokens": 5,
    "task.max_prompt_tokens": 75,
    "task.template.head": "Now: ",
    "task.instruction": "Now translate.",
    "task.template.source": "<{sentence}>",
    "task.template.tail": " :",
    # Change which model is loaded; what of it can change a token is in the identity by content.
    "model.path": None,
    "model.revision": None,
    "model.adapter": None,
    "model.gguf_file": None,
    "model.device": None,
    "model.chat_template": None,
    "model.chat_template_kwargs": None,
    "model.template_date": None,
    # Change which rows a task draws; the ids and the tokens of the prompts are in the identity.
    "task.path": None,
    "task.hub*": None,
    "task.*_size": None,
    "task.template.turn": None,
    "task.passages": None,
    "task.shots": None,
    "task.shot_separator": None,
    "task.name": None,
    "task.id": None,
    # A row without a reference is left out.
    "task.reference": None,
}
# Rows of a run: more of them are added to the same folder.
ROWS = {
    "strategy.t0": 0.3,
    "strategy.top_k": 5,
    "strategy.top_p": 0.5,
    "strategy.min_p": 0.1,
    "strategy.top_n_sigma": 1.0,
    "strategy.epsilon_cutoff": 0.01,
    "strategy.eta_cutoff": 0.01,
    "strategy.typical_p": 0.5,
    "strategy.top_h": 0.5,
    "strategy.p_less": "plain",
    "strategy.order": None,
    "sampling.samples": 9,
    "families.*": None,
    # of edt run: the fixed temperatures that EDA's scale needs
    "eda_scale.*": None,
    # of edt tune: which settings are rows
    "space.*": None,
    "baseline.*": None,
}
# Outside the hash.
OUTSIDE = {
    "paths.runs": "elsewhere",
    "engine.kv_budget": 10_000_000,
    "engine.max_rows": 3,
    "engine.compile": "false",
    # Of workers: tests/generation/test_ray_workers.py holds that they name and write the run of one process.
    "engine.workers": None,
    "cluster.*": None,
    "metrics.*": None,
    "sampling.trace": "true",
    "paths.traces": "elsewhere",
    "paths.results": "elsewhere",
    # Of a study: what is chosen and shown from the rows.
    "objectives": None,
    "margins.*": None,
    "comparisons": None,
    "curves.*": None,
    "confirm": None,
    "exploratory": None,
    "num_workers": None,
    "browser.*": None,
    "experiments.*": None,
    "task.quality": "exact_match",
    "task.cluster": None,
    "task.meta": None,
    "task.language": None,
    "tracking": "wandb",
    "tracking.*": None,
    "dry_run": None,
    "strict": None,
    "repair": None,
    # Of edt run: what the scores are compared with, and how much of the table is printed.
    "baseline": None,
    "sort": None,
    "top": None,
    "model.trust_remote_code": None,
    "search.*": None,
}


@pytest.fixture(scope="module")
def base(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "news.eng").write_text("\n".join(f"Sentence {i}." for i in range(9)) + "\n")
    (folder / "news.zho").write_text("\n".join(f"句子{i}。" for i in range(9)) + "\n")
    return [
        "task=wmt19",
        f"task.path={folder}",
        "model=hf",
        f"model.path={tiny_folder}",
        "strategy=fixed",
        "model.device=cpu",
    ]


def composed(overrides, command="run"):
    with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
        return OmegaConf.to_container(compose(config_name=command, overrides=overrides), resolve=True)


def leaves(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def classes(key):
    if key.endswith("_target_"):
        return [OUTSIDE]
    return [k for k in (IDENTITY, ROWS, OUTSIDE) if any(fnmatch.fnmatchcase(key, pattern) for pattern in k)]


@pytest.mark.parametrize("task", ["xlsum", "msmarco", "quac", "wmt19", "jsonl"])
def test_every_key_is_classified_once(base, task):
    for key in leaves(composed([*base, f"task={task}"])):
        assert len(classes(key)) == 1, f"configuration key '{key}' is in {len(classes(key))} classes, not in one"


def test_every_key_of_a_study_is_classified_once(base):
    whole = composed([word for word in base if not word.startswith("strategy")], command="study")
    for key in leaves(whole):
        assert len(classes(key)) == 1, f"configuration key '{key}' is in {len(classes(key))} classes, not in one"


@pytest.mark.parametrize("space", ["edt", "kld", "fixed", "dynatemp", "random_t", "switch", "schedule", "inverted_edt"])
def test_every_key_of_tune_is_classified_once(base, space):
    words = [word for word in base if not word.startswith("strategy")]
    for key in leaves(composed([*words, f"space={space}"], "tune")):
        assert len(classes(key)) == 1, f"configuration key '{key}' is in {len(classes(key))} classes, not in one"


@pytest.fixture(scope="module")
def generation_id(base):
    def make(*overrides):
        request = generation_request(composed([*base, *overrides]))
        engine = request.engine.build(LanguageModel.load(request.model))
        return prepare(request, request.tasks[0], engine).manifest.generation_id

    return make


@pytest.mark.parametrize("key", [key for key, value in IDENTITY.items() if value is not None])
def test_identity_keys_change_the_id(generation_id, key):
    value = IDENTITY[key]
    # Hydra reads JSON but for the quotes of keys.
    text = json.dumps(value) if not isinstance(value, dict) else json.dumps(value).replace('"', "")
    assert generation_id(f"{key}={text}") != generation_id()


@pytest.mark.parametrize(("key", "value"), [(k, v) for d in (ROWS, OUTSIDE) for k, v in d.items() if v is not None])
def test_other_keys_leave_the_id(generation_id, key, value):
    assert generation_id(f"{key}={value}") == generation_id()


def test_the_engine_is_in_the_identity(generation_id):
    assert generation_id("engine=reference") != generation_id()


def test_where_the_model_lies_does_not_matter_but_its_bytes_do(generation_id, tiny_folder, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    copy = tmp_path / "moved"
    shutil.copytree(tiny_folder, copy)
    assert generation_id(f"model.path={copy}") == generation_id()
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert generation_id(f"model.path={copy}") != generation_id()


@pytest.mark.parametrize(("key", "value"), [("rms_norm_eps", 0.5), ("rope_theta", 7.0)])
def test_the_models_config_is_in_the_identity(generation_id, tiny_folder, tmp_path, key, value):
    import shutil

    shutil.copytree(tiny_folder, tmp_path / "edited")
    path = tmp_path / "edited" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "transformers_version": "other"}))
    assert generation_id(f"model.path={path.parent}") == generation_id()
    path.write_text(json.dumps({**config, key: value}))
    assert generation_id(f"model.path={path.parent}") != generation_id()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.*:FutureWarning")  # peft's own use of transformers
def test_an_adapter_and_its_scale_are_in_the_identity(generation_id, tiny_folder, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_folder),
        LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"], init_lora_weights=False),
    )
    model.save_pretrained(tmp_path / "adapter")
    with_adapter = generation_id(f"model.adapter={tmp_path / 'adapter'}")
    assert with_adapter != generation_id()
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lora_alpha": 8}))
    assert generation_id(f"model.adapter={tmp_path / 'adapter'}") not in (with_adapter, generation_id())


def test_where_the_data_lie_does_not_matter(generation_id, base, tmp_path):
    import shutil

    source = base[1].split("=")[1]
    shutil.copytree(source, tmp_path / "copy")
    assert generation_id(f"task.path={tmp_path / 'copy'}") == generation_id()
    path = tmp_path / "copy" / "news.eng"
    path.write_text(path.read_text().replace("Sentence", "Phrase"))
    assert generation_id(f"task.path={tmp_path / 'copy'}") != generation_id()


def test_the_process_does_not_matter(generation_id, monkeypatch):
    monkeypatch.setitem(os.environ, "PYTHONHASHSEED", "12345")
    assert generation_id() == generation_id()
