"""`edt train` from its words to the folder that decoding reads."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from edt.cli import main
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.store.training import TrainingManifest
from tests.support.command_line import refused

SMALL = [
    "task=mini_wmt19",
    "model=mini_base",
    "model.device=cpu",
    "task.train_size=40",
    "task.dev_size=8",
    "task.max_new_tokens=6",
    "training.batch=8",
    "training.learning_rate=0.002",
    "training.quality_examples=2",
]
"""Ten steps in two epochs, evaluated after every third."""
WORDS = [*SMALL, "training.epochs=2", "training.evaluations=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished training."""
    out = tmp_path_factory.mktemp("trained") / "out"
    assert main(["train", *WORDS, f"out={out}"]) == 0
    return out


def test_the_folder_holds_the_adapter_its_card_and_its_curve(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("adapter_model.safetensors", "adapter_config.json", "README.md", "curve.csv", "edt_training.json"),
        *("edt.log", ".lock"),
    }
    manifest = TrainingManifest.read(folder)
    assert manifest.base["path"] == "edt:mini_base"
    assert manifest.subset["train"]["examples"] == 40
    assert manifest.result["steps"] == 10
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "edt:mini_base"
    card = (folder / "README.md").read_text()
    for word in ("base_model: edt:mini_base", "mini_wmt19", manifest.base["weights"], "model.adapter=FOLDER"):
        assert word in card


def test_the_loss_falls_and_the_best_weights_are_kept(folder):
    rows = [line.split(",") for line in (folder / "curve.csv").read_text().splitlines()]
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    # Step 0 is the base, and each of the ten steps has its loss.
    assert [row["step"] for row in table] == [str(step) for step in range(11)]
    assert [row["step"] for row in table if row["dev loss"]] == ["0", "3", "6", "9", "10"]
    losses = [float(row["dev loss"]) for row in table if row["dev loss"]]
    result = TrainingManifest.read(folder).result
    assert losses[-1] < losses[0]
    assert result["answer_loss"] == {"base": losses[0], "trained": min(losses)}


def test_the_loss_on_dev_is_that_of_the_answers_tokens(folder):
    # Computed here example by example, without padding, by the model's own cross-entropy.
    from tests.training.test_examples import configured, encoder

    model = LanguageModel.load(ModelSpec(path="edt:mini_base", device="cpu"))
    task = configured("mini_wmt19")
    task = dataclasses.replace(task, limit=None, dev_size=8)
    encode = encoder(model, task, max_new_tokens=6).encode
    total, tokens = 0.0, 0
    for example in map(encode, task.load("dev").examples):
        ids = torch.tensor([[*example.prompt_ids, *example.answer_ids]])
        labels = torch.tensor([[*[-100] * len(example.prompt_ids), *example.answer_ids]])
        total += float(model.model(input_ids=ids, labels=labels).loss) * len(example.answer_ids)
        tokens += len(example.answer_ids)
    assert TrainingManifest.read(folder).result["answer_loss"]["base"] == pytest.approx(total / tokens, rel=1e-5)


def test_the_same_command_again_changes_nothing(folder, capsys):
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "edt.log"}
    assert main(["train", *WORDS, f"out={folder}"]) == 0
    assert "is finished already" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "edt.log"} == before


def test_the_plan_comes_first_and_a_dry_run_ends_with_it(tmp_path, capsys):
    assert main(["train", *WORDS, f"paths.runs={tmp_path / 'runs'}", "dry_run=true"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "40 examples of train" in said.err
    assert "8 of dev; 10 steps of 8 examples (8 at a time), evaluated every 3" in said.err
    # Rank 16 on the seven linear layers (3 × 128→128, 128→128, 2 × 128→384, 384→128) of each of the four blocks.
    trainable = 4 * 16 * (4 * (128 + 128) + 3 * (128 + 384))
    assert f"{trainable:,} trainable of" in said.err
    assert "⟦in the loss⟧" in said.err
    assert "dry_run=true: nothing was trained" in said.err
    assert not (tmp_path / "runs").exists()


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 40, 300, 7, 25, 1000]])).logits


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_merged_and_unmerged_give_the_same_logits_and_not_those_of_the_base(folder, tmp_path, capsys):
    from peft import PeftModel

    # In float64: a product of float32 alone, summed in another order, moves a logit of 20 by more than 1e-5.
    how = {"device": "cpu", "dtype": "float64"}
    base = LanguageModel.load(ModelSpec(path="edt:mini_base", **how))
    before = logits(base.model)
    unmerged = logits(PeftModel.from_pretrained(base.model, folder).eval())
    merged = logits(LanguageModel.load(ModelSpec(path="edt:mini_base", adapter=str(folder), **how)).model)
    out = tmp_path / "merged"
    assert main(["train", "export", f"adapter={folder}", f"out={out}", "merge=true"]) == 0
    assert capsys.readouterr().out.strip().endswith(str(out))
    exported = logits(LanguageModel.load(ModelSpec(path=str(out), **how)).model)
    assert torch.allclose(unmerged, merged, atol=1e-5, rtol=0)
    assert torch.allclose(unmerged, exported, atol=1e-5, rtol=0)
    assert (unmerged - before).abs().max() > 0.01


def test_an_export_without_merging_is_an_adapter_that_decodes(folder, tmp_path, capsys):
    out = tmp_path / "adapter"
    assert main(["train", "export", f"adapter={folder}", f"out={out}", "merge=false"]) == 0
    assert load_file(out / "adapter_model.safetensors").keys() == load_file(folder / "adapter_model.safetensors").keys()
    assert not (out / "edt.log").exists()
    # The manifest goes with it: by it another base is refused.
    capsys.readouterr()
    said = refused(capsys, *decode(tmp_path, f"model.adapter={out}", "task=mini_wmt19", "model=mini"))
    assert "was trained on 'edt:mini_base', and model 'edt:mini' has other weights" in said


def test_a_merged_model_has_a_card_and_its_wording(folder, tmp_path, capsys):
    out = tmp_path / "merged"
    assert main(["train", "export", f"adapter={folder}", f"out={out}"]) == 0
    modes = {path.stat().st_mode & 0o777 for path in out.iterdir()}
    assert len(modes) == 1, "other accounts may read all files or none"
    card = (out / "README.md").read_text()
    assert "trained by `edt train` and merged into its base. To decode with it: `edt run model=hf model.path=" in card
    # The tables are those of the adapter.
    assert card.partition("| | base |")[2] == (folder / "README.md").read_text().partition("| | base |")[2]
    capsys.readouterr()
    words = ["model=hf", f"model.path={out}", "task=mini_wmt19", "task.template.tail=\\nTranslation:"]
    assert main(decode(tmp_path, *words)) == 0
    said = capsys.readouterr().err
    assert f"model.path '{out}' was trained with another prompt, which differs in task.template.tail" in said
    again = refused(capsys, "train", "export", f"adapter={out}", f"out={tmp_path / 'again'}")
    assert "is a whole model (training.full=true, or merged already)" in again


def test_a_failed_export_leaves_nothing(folder, tmp_path, capsys):
    capsys.readouterr()
    refused(capsys, "train", "export", f"adapter={folder}", f"out={tmp_path / 'merged'}", "base=edt:mini")
    assert list(tmp_path.iterdir()) == []


def decode(tmp_path, *words):
    sampling = ["sampling.samples=1", "task.limit=2", "task.max_new_tokens=4", "strategy=fixed", "strategy.t0=0"]
    return ["generate", *sampling, "model=mini_base", "model.device=cpu", f"paths.runs={tmp_path / 'runs'}", *words]


def test_decoding_warns_of_another_wording_or_task(folder, tmp_path, capsys):
    words = decode(tmp_path, f"model.adapter={folder}")
    assert main([*words, "task=mini_wmt19"]) == 0
    assert "trained" not in capsys.readouterr().err
    assert main([*words, "task=mini_wmt19", "task.template.tail=\\nTranslation:", "task.shots=1"]) == 0
    said = capsys.readouterr().err
    assert (
        "was trained with another prompt, which differs in task.template.tail, task.shots, task.shot_separator" in said
    )
    assert main([*words, "task=mini_xlsum"]) == 0
    said = capsys.readouterr().err
    assert "was trained on task 'mini_wmt19' with another prompt, which differs in task.template.head, task." in said


def test_the_same_prompts_under_another_name_are_no_other_task(folder, tmp_path, capsys):
    """As those of a file that is called otherwise than the one of the training."""
    copy = shutil.copytree(folder, tmp_path / "adapter")
    dataclasses.replace(TrainingManifest.read(folder), task="wmt19_of_last_year").write(copy)
    capsys.readouterr()
    assert main(decode(tmp_path, f"model.adapter={copy}", "task=mini_wmt19")) == 0
    assert "trained" not in capsys.readouterr().err


def test_decoding_refuses_an_adapter_of_another_base(folder, tmp_path, capsys):
    said = refused(capsys, *decode(tmp_path, f"model.adapter={folder}", "task=mini_wmt19", "model=mini"))
    assert (
        "was trained on 'edt:mini_base', and model 'edt:mini' has other weights; use model.path=edt:mini_base" in said
    )


def test_all_weights(tmp_path):
    out = tmp_path / "full"
    assert main(["train", *SMALL, "training.full=true", "training.epochs=1", f"out={out}"]) == 0
    assert not (out / "adapter_config.json").exists()
    assert main([*decode(tmp_path, "task=mini_wmt19"), f"model.path={out}"]) == 0
    base = load_file(LanguageModel.load(ModelSpec(path="edt:mini_base", device="cpu")).folder / "model.safetensors")
    trained = load_file(out / "model.safetensors")
    assert trained.keys() == base.keys()
    assert all(not torch.equal(trained[name], base[name]) for name in base if name.endswith("proj.weight"))


def test_early_stopping_keeps_the_best(tmp_path):
    # A rate so high that the loss rises.
    out = tmp_path / "out"
    words = [*SMALL, "training.learning_rate=3", "training.patience=1", "training.evaluations=5", "training.epochs=20"]
    assert main(["train", *words, f"out={out}"]) == 0
    result = TrainingManifest.read(out).result
    assert result["stopped_early"]
    assert result["best_step"] < result["steps"] < 100


def test_the_only_step_of_a_small_training_has_the_whole_rate(tmp_path):
    # A warm-up begins at 0; one that was rounded up to a step trained nothing.
    out = tmp_path / "out"
    assert main(["train", *SMALL, "task.train_size=8", "training.epochs=1", f"out={out}"]) == 0
    result = TrainingManifest.read(out).result
    assert result["steps"] == 1
    assert result["answer_loss"]["trained"] < result["answer_loss"]["base"]


def test_without_dev(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", *SMALL, "training.epochs=1", "task.split=train", f"out={out}"]) == 0
    assert "without dev there is no early stopping" in capsys.readouterr().err
    assert TrainingManifest.read(out).result["best_step"] == 5


def test_files_and_checkpointed_activations(tmp_path, tiny_folder):
    for split, n in (("train", 8), ("dev", 4)):
        rows = [{"id": f"{split}-{i}", "question": f"What is {i}?", "answer": f"It is {i}."} for i in range(n)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = shutil.copytree(tmp_path, tmp_path / "data", ignore=shutil.ignore_patterns("data", "out"))
    words = ["task=jsonl", f"task.path={data}", "task.reference=answer", "task.template.source={question}"]
    words += ["model=hf", f"model.path={tiny_folder}", "model.device=cpu", "task.max_new_tokens=8"]
    words += [
        "training.batch=4",
        "training.device_batch=2",
        "training.epochs=1",
        "training.gradient_checkpointing=true",
    ]
    assert main(["train", *words, f"out={tmp_path / 'out'}"]) == 0
    assert TrainingManifest.read(tmp_path / "out").result["steps"] == 2


def write_tiny_t5(folder, tokenizer):
    """Write a random T5 that reads bytes, with the tokenizer of the random Llama."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ends = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes, **ends)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_an_encoder_decoder(tmp_path, tiny):
    model = write_tiny_t5(tmp_path / "t5", tiny.tokenizer)
    words = [word for word in SMALL if not word.startswith("model=")]
    words += ["model=hf", f"model.path={model}", "training.epochs=2", "task.train_size=16", "task.max_new_tokens=4"]
    assert main(["train", *words, f"out={tmp_path / 'out'}"]) == 0
    result = TrainingManifest.read(tmp_path / "out").result
    assert result["answer_loss"]["trained"] < result["answer_loss"]["base"]
    # The loss of the base, example by example: T5's labels stand at their own place.
    from tests.training.test_examples import configured, encoder

    base = LanguageModel.load(ModelSpec(path=str(model), device="cpu"))
    task = dataclasses.replace(configured("mini_wmt19"), limit=None, dev_size=8)
    total, tokens = 0.0, 0
    for example in map(encoder(base, task, max_new_tokens=4).encode, task.load("dev").examples):
        assert base.decode([example.answer_ids[:-1]]) != [""]
        ids, labels = torch.tensor([example.prompt_ids]), torch.tensor([example.answer_ids])
        total += float(base.model(input_ids=ids, labels=labels).loss) * len(example.answer_ids)
        tokens += len(example.answer_ids)
    assert result["answer_loss"]["base"] == pytest.approx(total / tokens, rel=1e-5)
