"""What `edt train` says where it cannot train."""

import json

import pytest
import torch

from edt.cli import main
from edt.errors import ConfigError, DamagedFileError
from edt.store.training import MANIFEST, TrainingManifest
from edt.training.checkpoints import last_whole, seal_checkpoint
from edt.training.spec import TrainingSpec
from tests.support.command_line import refused
from tests.support.stopped_training import interrupt, stopped_in_step
from tests.training.test_train_command import SMALL, decode


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def begun(out):
    """The folder of a training that was stopped after its first checkpoint, and its words."""
    words = ["train", *SMALL, "training.epochs=1", f"out={out}"]
    with stopped_in_step(4, interrupt):
        assert main(words) == 130
    return out, words


def test_no_train_split(tmp_path, capsys):
    # One file is dev and test; a folder without a file for train has none either.
    rows = "".join(json.dumps({"id": str(i), "question": f"q{i}", "answer": "a"}) + "\n" for i in range(6))
    (tmp_path / "qa.jsonl").write_text(rows)
    (tmp_path / "folder").mkdir()
    for split in ("dev", "test"):
        (tmp_path / "folder" / f"{split}.jsonl").write_text(rows.replace('"q', f'"{split}'))
    words = ["train", "task=jsonl", "task.reference=answer", "task.template.source={question}", "model.device=cpu"]
    said = refused(capsys, *words, f"task.path={tmp_path / 'qa.jsonl'}")
    assert "has no split 'train'" in said
    assert "Give a folder with files named for train, dev and test" in said
    said = refused(capsys, *words, f"task.path={tmp_path / 'folder'}")
    assert "takes the 'train' files. Add one" in said


def test_no_dev_split(tmp_path, capsys):
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(f'{{"id": "{split}", "question": "q {split}", "answer": "a"}}\n')
    words = ["train", "task=jsonl", "task.reference=answer", "task.template.source={question}", "model.device=cpu"]
    said = refused(capsys, *words, f"task.path={tmp_path}")
    assert "task.split=train trains without it" in said


def test_an_answer_longer_than_the_context(tmp_path, capsys):
    row = {"id": "long-one", "question": "q", "answer": "word " * 600}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n")
    words = ["train", "task=jsonl", "task.reference=answer", "task.template.source={question}", "task.split=all"]
    assert main([*words, f"task.path={tmp_path / 'one.jsonl'}", "model.device=cpu", "task.max_new_tokens=8"]) == 2
    said = capsys.readouterr().err
    assert "task.split=all trains on every example" in said
    assert "the answer of example 'long-one'" in said
    assert "exceeds the model's context of 512, and an answer is not cut. Remove the row" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_here(capsys, out):
    said = refused(capsys, "train", *SMALL, "model.device=cuda", f"out={out}")
    assert "model.device is 'cuda', but torch sees 0 GPUs here; use model.device=auto or cpu." in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("peft", [], "train"),
        ("accelerate", [], "train"),
        ("bitsandbytes", ["training.quantize=4bit"], "qlora"),
    ],
)
def test_a_missing_extra(capsys, out, monkeypatch, package, words, extra):
    monkeypatch.setattr("edt.extras._installed", lambda module: module != package)
    said = refused(capsys, "train", *SMALL, *words, f"out={out}")
    assert f"needs {package}, which is not installed; install it with: pip install 'edt-sampling[{extra}]'" in said


def test_a_folder_that_holds_another_training(begun, capsys):
    out, words = begun
    capsys.readouterr()
    said = refused(capsys, *words, "training.rank=4", "task.template.tail=\\nIn Chinese:")
    assert f"out is {out}, which holds another training, of 'edt:mini_base' on mini_wmt19" in said
    assert "it differs in examples, wording, training.rank. Give another folder" in said


def test_a_folder_with_other_files(out, capsys):
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    assert f"which holds other files (thesis.tex) and no {MANIFEST}" in refused(capsys, "train", *SMALL, f"out={out}")
    # Not even a log: the folder is somebody else's.
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_dry_run_reports_what_the_folder_holds(begun, capsys):
    out, words = begun
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main([*words, "dry_run=true"]) == 0
    assert f"{out} holds this training, begun." in capsys.readouterr().err
    assert "holds another training" in refused(capsys, *words, "training.rank=4", "dry_run=true")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_adapter_that_is_not_finished(begun, capsys, tmp_path):
    out, _ = begun
    capsys.readouterr()
    said = refused(capsys, *decode(tmp_path, f"model.adapter={out}", "task=mini_wmt19"))
    assert "is a training that is not finished; repeat its edt train command" in said
    said = refused(capsys, "train", "export", f"adapter={out}", f"out={tmp_path / 'merged'}")
    assert "is a training that is not finished" in said


def test_a_torn_checkpoint_is_passed_over_and_a_damaged_best_one_refused(begun):
    out, _ = begun
    checkpoints = out / "checkpoints"
    (first,) = checkpoints.iterdir()
    torn = checkpoints / "checkpoint-3"
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{")
    assert last_whole(checkpoints).folder == first
    assert not torn.exists()
    # A later one, whose best is the first.
    state = json.loads((first / "trainer_state.json").read_text())
    torn.mkdir()
    (torn / "trainer_state.json").write_text(json.dumps({**state, "global_step": 3, "best_global_step": 2}))
    seal_checkpoint(torn)
    weights = first / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(DamagedFileError, match=r"checkpoint-2 is damaged or missing.*remove"):
        last_whole(checkpoints)


def test_a_manifest_that_was_changed(begun, capsys):
    out, words = begun
    path = out / MANIFEST
    path.write_text(path.read_text().replace('"mini_wmt19"', '"mini_xlsum"', 1))
    capsys.readouterr()
    assert main(words) == 2
    assert f"{path} is damaged" in capsys.readouterr().err


def test_a_result_that_was_changed(begun, capsys):
    out, words = begun
    assert main(words) == 0
    assert TrainingManifest.read(out).result["steps"] == 5
    (out / "adapter_config.json").write_text("{}")
    capsys.readouterr()
    assert main(words) == 2
    assert "adapter_config.json is missing or was changed since the training ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=mini"], "trains on one task, and task= names 4"),
        (["task=several"], "trains on one task, and task= names none; choose one, as task=mini_wmt19."),
        (["experiment=main_table"], "edt train has no experiments; training=paper is the paper's fine-tuning"),
        (["exprot"], "'exprot' is not an override of the form key=value (did you mean 'export'?)"),
        (["training.lr=0.1"], "'training' has no key 'lr' (did you mean training.learning_rate=0.1?)"),
        (["lora_r=8"], "(did you mean training.rank=8?)"),
        (["training.num_train_epochs=1"], "(did you mean training.epochs=1?)"),
        (["batch_size=4"], "(did you mean training.batch=4?)"),
        (["seed=1"], "(did you mean training.seed=1?)"),
        (["task.split=test"], "task.split is 'test' in edt train"),
        (["task.split=dev"], "task.split is 'dev' in edt train"),
        (["model.adapter=somewhere"], "model.adapter is set, but edt train begins from a base"),
        (["model=mini_long_tail"], "model.long_tail is set"),
        (["training.full=true", "training.quantize=4bit"], "cannot be trained; set one of the two"),
        (
            ["training.batch=10", "training.device_batch=4"],
            "training.batch is 10, which cannot be read 4 examples at a time",
        ),
        (["training.rank=0"], "training.rank is 0; it is the rank of the adapter"),
        (["training.schedule=cosin"], "did you mean 'cosine'?"),
        (["training.quantize=8bit"], "it must be null or 4bit"),
        (["training.learning_rate=0"], "training.learning_rate is 0; it must be a number above 0"),
        (["training.target_modules=[no_such_layer]"], "training.target_modules does not fit model 'edt:mini_base'"),
        (["training.rnk=3"], "training"),
    ],
)
def test_settings_that_cannot_be_honored(capsys, words, said, out):
    shown = [word for word in SMALL if not any(word.split("=")[0] == one.split("=")[0] for one in words)]
    if words in (["task=mini"], ["task=several"]):
        shown = ["model=mini_base"]
    assert main(["train", *shown, *words, f"out={out}"]) == 2
    assert said in capsys.readouterr().err


def test_a_gpu_by_its_number_is_chosen_by_the_environment(capsys, monkeypatch, out):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    said = refused(capsys, "train", *SMALL, "model.device=cuda:1", f"out={out}")
    assert "run it as CUDA_VISIBLE_DEVICES=1 edt train …, or on all of them by accelerate launch -m edt train …" in said


@pytest.mark.parametrize(
    ("batch", "given", "devices", "split"),
    [(32, None, 1, (8, 4)), (32, 4, 2, (4, 4)), (6, None, 1, (6, 1)), (7, None, 1, (7, 1)), (32, None, 4, (8, 1))],
)
def test_the_batch_is_split_over_devices(batch, given, devices, split):
    assert TrainingSpec(batch=batch, device_batch=given).split_batch(devices) == split


def test_a_batch_that_three_devices_cannot_share():
    with pytest.raises(ConfigError, match="on 3 devices"):
        TrainingSpec(batch=32).split_batch(3)
