"""Paths and texts on the command line: taken as they were typed, whatever Hydra's grammar makes of their characters."""

import json

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from edt.cli import commands, main
from edt.cli.argv import quote_paths, rewrite
from tests.support.command_line import refused

NAMES = [
    "a,b",
    "articles (1).jsonl",
    "no #1",
    "part=1",
    "文章",
    "~x",
    "~nobody/x",
    "$HOME",
    "a${b}",
    "${a.b}",
    "it's",
    'a"b',
    "{x}",
    "{x: 1}",
    "[x]",
    "[x,y",
    " lead and trail ",
    "trail\\",
    "\\\\server\\x",
    "a:b",
    "5",
    "5e3",
    "true",
    "100%",
    "a@b",
    "a|b;c&d!?*",
    "tab\tline\n",
    "choice(1,2)x",
]


@pytest.fixture
def composed(monkeypatch):
    """Run a command that only shows its plain configuration."""
    shown = []
    for command in ("run", "score", "export"):
        monkeypatch.setattr(commands, command, lambda config, **words: shown.append(config))

    def make(*words):
        shown.clear()
        assert main(words) == 0
        return list(shown)

    return make


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "key", ["task.path", "+model.adapter", "paths.runs", "strategy.kld.model", "tracking.dir", "out"]
)
def test_a_path_is_what_was_typed(name, key):
    (override,) = OverridesParser.create().parse_overrides(quote_paths([f"{key}={name}"]))
    assert OmegaConf.to_container(OmegaConf.create({"value": override.value()}), resolve=True) == {"value": name}


def test_paths_reach_the_configuration_of_a_command(composed):
    name = "a, (1) #{x} [y] ${z} 'q' \\"
    words = [f"{key}={name}" for key in ("task.path", "model.path", "model.adapter", "paths.runs", "strategy.model")]
    (config,) = composed("run", "task=xlsum", "model=hf", "strategy=kld", *words)
    values = [config["task"]["path"], config["model"]["path"], config["model"]["adapter"], config["paths"]["runs"]]
    assert [*values, config["strategy"]["model"]] == [name] * 5
    (config,) = composed("score", f"runs={name}")
    assert config["runs"] == name
    (config,) = composed("export", "x", "--out", name)
    assert config["out"] == name


def test_lists_and_sweeps_keep_their_meaning(composed):
    (config,) = composed("score", "runs=[a (1),'b,c', d=e]")
    assert config["runs"] == ["a (1)", "b,c", "d=e"]
    configs = composed("run", "--multirun", "model=hf", "model.path=a (1),'b,c'", "task=xlsum", "task.path=x y")
    assert [config["model"]["path"] for config in configs] == ["a (1)", "b,c"]
    assert {config["task"]["path"] for config in configs} == {"x y"}
    configs = composed("run", "--multirun", "model=hf", "model.path=choice(a,b)")
    assert [config["model"]["path"] for config in configs] == ["a", "b"]
    (config,) = composed("run", "task.path=null", "task=xlsum", "++task.limit=3")
    assert config["task"]["path"] is None


def test_an_environment_variable_is_put_in_and_no_other_dollar(composed, monkeypatch):
    monkeypatch.setenv("SCRATCH", "/fast disk")
    (config,) = composed("run", "paths.runs=${oc.env:SCRATCH}/a,${b}$c")
    assert config["paths"]["runs"] == "/fast disk/a,${b}$c"


def test_an_existing_folder_is_no_list_and_no_override(tmp_path, monkeypatch, composed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[x,y]").mkdir()
    (tmp_path / "part=1").mkdir()
    (config,) = composed("score", "runs=[x,y]")
    assert config["runs"] == "[x,y]"
    (config,) = composed("export", "part=1", "to=csv")
    assert (config["runs"], config["to"]) == (["part=1"], "csv")


def test_other_words_are_left_to_hydra():
    words = ["task=a", "sampling.seed=1,2", "~task", "task.pathx=a b", "runs", "strategy.t0=[1,2]"]
    assert quote_paths(words) == words
    assert rewrite("run", ["task.template.head={a}: b, c"]) == ['task.template.head="{a}: b, c"']
    sweep = ["task.template.tail='A','B, c'"]
    assert rewrite("run", sweep, multirun=True) == sweep


def test_a_file_of_any_name_is_decoded(tmp_path, local, capsys):
    name = "~no, [1] (2) {3} ${x} 'q' \"=\" 文章.jsonl"
    rows = [{"translation": {"en": f"Sentence {n}.", "zh": f"句子{n}。"}} for n in range(4)]
    (tmp_path / "my, {configs} #1" / "strategy").mkdir(parents=True)
    (tmp_path / "my, {configs} #1" / "strategy" / "hot.yaml").write_text("defaults: [fixed, _self_]\nt0: 1.7\n")
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    configs = ["--config-dir", str(tmp_path / "my, {configs} #1"), "strategy=hot"]
    assert main(["run", *local, *configs, f"task.path={tmp_path / name}", f"paths.runs={tmp_path / 'r, {}'}"]) == 0
    assert "fixed(t0=1.7)" in capsys.readouterr().out


def test_a_word_that_is_no_utf8_is_refused(capsys):
    assert "'task.path=caf\\udce9' is not valid UTF-8" in refused(capsys, "run", "task=xlsum", "task.path=caf\udce9")
