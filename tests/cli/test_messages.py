"""The command line: what it lists, what it refuses and how."""

import os
import subprocess
import sys
import time

import pytest
import yaml

from edt.cli import COMMANDS, EXAMPLES, main
from edt.cli.command_names import file_name
from edt.cli.composition import config_folder
from edt.cli.help import config_groups
from tests.support.command_line import refused


def test_edt_alone_lists_the_commands_in_under_a_second():
    began = time.monotonic()
    shown = subprocess.run([sys.executable, "-m", "edt"], capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 1.0
    assert all(f"edt {command}" in shown.stdout for command in COMMANDS)


def test_listing_and_configuration_import_no_torch():
    code = "import sys; from edt.cli import main; main([]); main(['run', '--cfg', 'job']); assert 'torch' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "_target_: edt.strategies.EDT" in shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_says_what_it_is_for_with_an_example(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert COMMANDS[command] in shown
    assert all(example in shown for example in EXAMPLES[command])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "list"])
def test_configuration_of_each_command(command, capsys):
    assert main([command, "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    own = yaml.safe_load((config_folder() / f"{file_name(command)}.yaml").read_text(encoding="utf-8"))
    assert own.keys() - {"defaults"} <= shown.keys()
    # What reads or writes runs finds them where the others do.
    assert ("paths" in config_groups(command)) == (shown.get("paths", {}).get("runs") == "results/runs")


def test_unknown_command_is_told_with_the_near_miss(capsys):
    said = refused(capsys, "rnu")
    assert "did you mean 'run'" in said


ERRORS = {
    "unknown strategy": (["strategy=etd"], ["strategy 'etd'", "did you mean 'edt'", "paper_grid"]),
    "unknown task": (["task=xlsun"], ["task 'xlsun'", "did you mean 'xlsum'"]),
    "unknown key": (["strategy=edt", "strategy.thta=1"], ["'strategy' has no key 'thta'", "did you mean 'theta'"]),
    "unknown top key": (["samplin.seed=1"], ["no key 'samplin'", "did you mean 'sampling'"]),
    "unknown added key": (["strategy=edt", "+strategy.thta=1"], ["no parameter 'thta'", "did you mean 'theta'"]),
    "unknown task key": (["+task.lmit=3", "task=mini_xlsum"], ["no key 'lmit'", "did you mean 'limit'"]),
    "negative t0": (["strategy=edt", "strategy.t0=-1"], ["edt", "t0 is -1", "above 0"]),
    "greedy edt": (["strategy=edt", "strategy.t0=0"], ["fixed t0=0"]),
    "negative theta": (["strategy=edt", "strategy.theta=-1"], ["theta is -1"]),
    "base": (["strategy=edt", "strategy.n=1.5"], ["n is 1.5", "(0, 1]"]),
    "top-p": (["strategy=edt", "strategy.top_p=2"], ["top_p is 2", "(0, 1]"]),
    "samples": (["sampling.samples=0"], ["sampling.samples is 0"]),
    "noise": (["sampling.noise=none"], ["sampling.noise", "per_strategy"]),
    "dtype": (["model.dtype=float8"], ["model.dtype is 'float8'", "bfloat16"]),
    "split": (["task=mini_xlsum", "task.split=tset"], ["task.split is 'tset'", "dev"]),
    "limit": (["task=mini_xlsum", "task.limit=0"], ["task.limit is 0"]),
    "no model path": (["model=hf"], ["model.path"]),
    "no such model": (["model=hf", "model.path=./nowhere"], ["./nowhere", "neither a folder nor a hub id"]),
    "model on the hub": (
        ["model=hf", "model.path=no/where"],
        ["no/where", "HF_HUB_OFFLINE", "model.path=FOLDER", "edt fetch"],
    ),
    "gated model": (
        ["model=llama2_13b"],
        ["hf download meta-llama/Llama-2-13b-hf --revision 5c31", "hf auth login", "license"],
    ),
    "embedded model": (["model=hf", "model.path=edt:mni"], ["no model 'mni'", "did you mean 'mini'"]),
    "no such data": (["task=wmt19", "task.path=nowhere.jsonl"], ["nowhere.jsonl"]),
    "syntax": (["strategy.t0=[0.1"], ["strategy.t0=[0.1"]),
    "half a sample": (["sampling.samples=2.5"], ["sampling.samples is 2.5", "whole number"]),
    "no number of samples": (["sampling.samples=null"], ["sampling.samples is None", "whole number"]),
    "list of seeds": (["sampling.seed=[1,2]"], ["sampling.seed", "whole number"]),
    "missing point of an axis": (["strategy=edt", "strategy.t0=[0.5,null]"], ["t0 is None", "number"]),
    "endless top-k": (["strategy=edt", "strategy.top_k=inf"], ["top_k is inf", "whole number"]),
    "number as a path": (["task=wmt19", "task.path=5"], ["task.path=5 does not exist"]),
    "empty path": (["task=wmt19", "task.path=''"], ["task.path", "empty"]),
    "empty stop": (["task=wmt19", "task.stop=['']"], ["task.stop", "empty"]),
    "no runs folder": (["paths.runs=null"], ["paths.runs is None"]),
    "no split": (["task=mini_xlsum", "task.split=[]"], ["task.split is an empty list"]),
    "no strategy": (["strategy=null"], ["override cannot be read", "strategy=edt"]),
    "strategy as a family's value": (["strategy.edt=5"], ["strategy.edt is 5", "strategy.edt.NAME=…"]),
    "family as a list": (["strategy.edt=[5]"], ["'strategy.edt' holds keys", "strategy.edt.t0=…"]),
    "members": (["task.members=3"], ["task.members is 3", "task=mini"]),
    "a member": (["task.members.mini_xlsum=x"], ["task.members.mini_xlsum is 'x'"]),
    "metric as a number": (["metrics.rouge_l=3"], ["metrics.rouge_l is 3", "key by key"]),
    "no key": (["=3"], ["override cannot be read", "key=value"]),
    "resamples": (["metrics.bootstrap.resamples=0"], ["metrics.bootstrap.resamples is 0"]),
    "confidence": (["metrics.bootstrap.confidence=2"], ["metrics.bootstrap.confidence is 2"]),
    "bootstrap seed": (["metrics.bootstrap.seed=-1"], ["metrics.bootstrap.seed is -1"]),
    "eda constant": (["metrics.eda.q_star=abc", "metrics.eda.s_star=1"], ["metrics.eda.q_star is 'abc'", "number"]),
    "missing module": (["+metrics.extra.m._target_=edt.nope.Nope"], ["edt.nope.Nope", "PYTHONPATH"]),
    "missing strategy module": (["strategy=edt", "strategy._target_=edt.nope.Nope"], ["edt.nope.Nope", "PYTHONPATH"]),
    "key of sampling": (["samples=4"], ["no key 'samples' (did you mean sampling.samples=4?)"]),
    "key of the task": (["limit=3"], ["(did you mean task.limit=3?)"]),
    "key of a family": (["t0=0.5"], ["(did you mean strategy=fixed strategy.t0=0.5 or strategy.fixed.t0=0.5?)"]),
    "a plain word": (["temperature=0.5"], ["mean strategy=fixed strategy.t0=0.5 or strategy.fixed.t0=0.5?)"]),
    "key of several": (["strategy.t0=0.5"], ["mean strategy=fixed strategy.t0=0.5 or strategy.fixed.t0=0.5?)"]),
    "key of one": (["strategy=edt", "t0=0.5"], ["(did you mean strategy.t0=0.5?)"]),
    "a plain word in it": (["strategy=edt", "strategy.temperature=1"], ["did you mean 't0'"]),
    "several strategies": (["strategy=fixed,edt"], ["add --multirun", "strategy=compare_three"]),
    "several tasks": (["task=mini_xlsum,mini_quac"], ["'task=mini_xlsum,mini_quac'", "add --multirun"]),
    "several values": (["strategy.fixed.t0=0.5,1"], ["strategy.fixed.t0=[0.5,1]", "add --multirun"]),
    "option for a key": (["--dry-run"], ["(did you mean dry_run=true?)"]),
    "option with a value": (["--samples=4"], ["(did you mean sampling.samples=4?)"]),
    "unknown option": (["--nonsense"], ["unrecognized arguments: --nonsense; `edt run --help`"]),
    "embedded model's bare name": (["model=hf", "model.path=mini"], ["model 'mini' (did you mean 'edt:mini'?)"]),
    "temperature of other programs": (
        ["sampling.temperature=0.6"],
        ["(did you mean strategy=fixed strategy.t0=0.6 or"],
    ),
    "truncation of other programs": (["strategy=edt", "sampling.min_p=0.1"], ["(did you mean strategy.min_p=0.1?)"]),
    "samples of other programs": (["generation.num_return_sequences=3"], ["(did you mean sampling.samples=3?)"]),
    "length of other programs": (["max_tokens=9"], ["(did you mean sampling.max_new_tokens=9?)"]),
    "model of other programs": (["model.name_or_path=gpt2"], ["(did you mean model=hf model.path=gpt2?)"]),
    "shots of other programs": (["num_fewshot=2"], ["(did you mean task.shots=2?)"]),
    "one of two seeds": (["seed=3"], ["(did you mean sampling.seed=3?)"]),
    "a name that means another thing": (["strategy=fixed", "strategy.n=0.5"], ["'strategy' has no key 'n';"]),
    "eda constants": (["metrics.eda.q_star=1"], ["q_star", "s_star", "both"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence(case, capsys, tmp_path):
    words, expected = ERRORS[case]
    said = refused(capsys, "run", f"paths.runs={tmp_path}", *words)
    assert all(word in said for word in expected), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_each_command_is_refused(command, capsys):
    assert "--nonsense" in refused(capsys, *command.split(), "--nonsense")


def test_a_kind_with_a_line_break_is_refused_in_one_line(capsys):
    assert "'models⏎' cannot be listed" in refused(capsys, "list", "models\n")


def test_a_key_of_decoding_is_sent_to_the_command_that_decodes(capsys):
    assert "repeat `edt run … task.quality=NAME`" in refused(capsys, "report", "task.quality=chrf")
    said = refused(capsys, "export", "sampling.seed=3")
    assert "'sampling.seed' is a key of edt run" in said
    assert "edt export reads run folders" in said


@pytest.mark.parametrize("task", ["xlsum", "msmarco", "quac", "wmt19"])
def test_no_network_for_a_data_set_names_the_local_alternative(task, capsys, local):
    words = [word for word in local if not word.startswith("task")]
    said = refused(capsys, "run", *words, f"task={task}")
    assert "task.path=" in said
    assert "not in the local cache" in said


def test_model_folder_without_weights(capsys, tmp_path, local):
    (tmp_path / "bare").mkdir()
    said = refused(capsys, "run", *local, f"model.path={tmp_path / 'bare'}")
    assert "config.json" in said
    (tmp_path / "bare" / "config.json").write_text("{}")
    (tmp_path / "bare" / "pytorch_model.bin").write_text("")
    said = refused(capsys, "run", *local, f"model.path={tmp_path / 'bare'}")
    assert "no weights in safetensors form" in said
    assert "pytorch_model.bin" in said


def test_data_errors_name_file_and_line(capsys, tmp_path, local):
    path = tmp_path / "rows.jsonl"
    words = [*local, f"task.path={path}"]
    path.write_text('{"translation": {"en": "a", "zh": "b"}}\n{"translation": {"en": "a",\n')
    said = refused(capsys, "run", *words)
    assert "rows.jsonl" in said
    assert "line 2" in said
    path.write_text('{"translation": {"en": "a"}}\n')
    said = refused(capsys, "run", *words)
    assert "rows.jsonl" in said
    assert "zh" in said
    path.write_text("")
    assert "empty" in refused(capsys, "run", *words)


def test_duplicate_ids(capsys, tmp_path, local):
    row = '{"id": "same", "url": "", "title": "", "summary": "s", "text": "t"}\n'
    (tmp_path / "rows.jsonl").write_text(row * 2)
    words = [word for word in local if not word.startswith("task=")]
    said = refused(capsys, "run", *words, "task=xlsum", f"task.path={tmp_path / 'rows.jsonl'}")
    assert "'same' twice" in said


def test_prompt_that_cannot_fit(capsys, local):
    said = refused(capsys, "run", *local, "sampling.max_new_tokens=250")
    assert "budget" in said
    assert "sampling.max_new_tokens" in said


def test_output_folder_in_the_way_of_a_file(capsys, tmp_path, local):
    (tmp_path / "file").write_text("")
    said = refused(capsys, "run", *local, f"paths.runs={tmp_path / 'file' / 'runs'}", planned=True)
    assert "cannot write" in said
    assert "paths.runs=FOLDER" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_output_folder(capsys, tmp_path, local):
    (tmp_path / "sealed").mkdir(mode=0o500)
    said = refused(capsys, "run", *local, f"paths.runs={tmp_path / 'sealed' / 'runs'}", planned=True)
    assert "no permission" in said


def test_near_miss_knows_the_users_configs(capsys, tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "hot.yaml").write_text("defaults: [edt, _self_]\n")
    said = refused(capsys, "run", "--config-dir", str(tmp_path), "strategy=hot", "strategy.thta=3")
    assert "did you mean 'theta'" in said


def test_torn_model_file(capsys, tmp_path, local, tiny_folder):
    import shutil

    shutil.copytree(tiny_folder, tmp_path / "torn")
    weights = tmp_path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    said = refused(capsys, "run", *local, f"model.path={tmp_path / 'torn'}")
    assert "torn" in said
    assert "cannot be loaded" in said


def test_device_that_is_not_there(capsys, local):
    assert "GPUs here" in refused(capsys, "run", *local, "model.device=cuda:77")


def test_a_rule_out_of_the_signals_range_is_an_error_not_a_draw(capsys, local):
    said = refused(capsys, "run", *local, "strategy=fixed", "strategy.t0=1e39", planned=True)
    assert "fixed(t0=1e+39)" in said
    assert "temperature inf" in said


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("run strategy=fixed", "strategy._target_=edt.strategies.base.Strategy"),
        ("run task=jsonl", "task._target_=edt.tasks.base.Task"),
        ("tune", "space._target_=edt.strategies.base.Strategy"),
        ("tune", "baseline._target_=edt.strategies.base.Strategy"),
        ("study", "families.fixed._target_=edt.strategies.base.Strategy"),
    ],
)
def test_a_base_class_is_refused_with_what_it_lacks(capsys, command, word):
    assert main([*command.split(), word]) == 2
    shown = capsys.readouterr().err
    key, _, target = word.partition("=")
    assert f"{key} is '{target}', a base for other classes, which lacks " in shown
    assert "derived from it" in shown
