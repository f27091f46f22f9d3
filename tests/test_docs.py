"""What the documentation shows works: commands compose, examples run, links lead somewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from edt.cli import main, renamed
from edt.extras import EXTRAS
from tests.support.documents import ROOT, block, blocks, checks, pages, shown_commands

DOCS = pages()
LINKED = [*DOCS, *pages("*.md"), *pages("experiments/**/*.md"), *pages("results/**/*.md"), *pages("examples/*.md")]
EXTENDING = ROOT / "docs" / "guide" / "extending.md"
# The commands of extending.md are run below, in a folder with its files.
COMMANDS_SHOWN = {line: path.stem for path in DOCS if path != EXTENDING for line in shown_commands(path)}
SMALL = ["sampling.max_new_tokens=3", "sampling.samples=2", "task.max_prompt_tokens=90"]


@pytest.mark.parametrize("line", sorted(COMMANDS_SHOWN.keys() - set(shown_commands(ROOT / "README.md"))))
def test_each_command_composes(line, capsys):
    for words in checks(line):
        assert main(words) == 0, f"{COMMANDS_SHOWN[line]}: {capsys.readouterr().err}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the files of extending.md, each where its first line says."""
    folder = tmp_path_factory.mktemp("extending")
    for kind, first in (("python", r"# (\w+\.py)"), ("yaml", r"# (my_configs/\S+)")):
        for text in re.findall(rf"^```{kind}\n(.*?)^```", EXTENDING.read_text(), flags=re.DOTALL | re.MULTILINE):
            path = folder / re.match(first, text).group(1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("line", "more", "expected"),
    [
        ("strategy=tempered", ["task=mini_xlsum", "task.limit=1", *SMALL], "tempered(t0=0.9,c=0.5)"),
        ("strategy=by_signal", ["task=mini_xlsum", "task.limit=1", *SMALL], "careful(t0=0.7)"),
        ("task=birthplaces", SMALL[:2], "birthplaces"),
        ("metrics.extra.words", ["task.limit=1", "strategy=fixed", *SMALL], "words"),
        ("space=tempered", ["--cfg", "job"], "my_package.Tempered"),
    ],
)
def test_a_strategy_a_task_and_a_metric_are_one_file_each(line, more, expected, workplace, tmp_path, tiny_folder):
    (command,) = [command for command in shown_commands(EXTENDING) if line in command]
    # As the page says at its beginning.
    ((name, value),) = re.findall(r"^export (\w+)=(\S+)$", EXTENDING.read_text(), flags=re.MULTILINE)
    model = [f"paths.runs={tmp_path}", "model=hf", f"model.path={tiny_folder}"]
    shown = subprocess.run(
        [sys.executable, "-m", "edt", *shlex.split(command)[1:], *model, *more],
        cwd=workplace,
        env={**os.environ, "PYTHONPATH": f".{os.pathsep}{ROOT}", name: value},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert expected in shown.stdout


def anchor(heading):
    """The anchor that forges and MyST give to a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.strip().replace(" ", "-")


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path):
    for target in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    ):
        if re.match(r"\w+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = path if not name else (path.parent / name)
        assert file.exists(), f"{path.relative_to(ROOT)} links to {target}, which does not exist"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            assert fragment in map(anchor, headings), (
                f"{path.relative_to(ROOT)}: {file.name} has no heading #{fragment}"
            )


def test_paths_in_code_spans_exist():
    """Design names many files; each is there."""
    for path in [*DOCS, ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(
            r"`((?:edt|configs|tests|scripts|examples|experiments|results|docs)/[\w./]*\w/?)`", path.read_text()
        ):
            generated = name.startswith(
                ("results/runs", "results/traces", "results/smoke", "results/seeds", "docs/_build")
            )
            pattern = re.sub(r"\bNAME\b", "*", name)
            assert generated or any(ROOT.glob(pattern)), f"{path.relative_to(ROOT)} names {name}, which does not exist"


def test_every_extra_is_described():
    text = (ROOT / "docs" / "guide" / "install.md").read_text()
    assert all(f"`{name}`" in text for name in EXTRAS)


def test_every_renamed_name_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    for old, new in [*renamed.OPTIONS.items(), *renamed.COMMANDS.items()]:
        assert old in text, f"CHANGELOG.md does not have {old}"
        assert new in text, f"CHANGELOG.md does not have {new}"
    for old in renamed.KEYS:
        assert old in text or old.rpartition(".")[2] in text, f"CHANGELOG.md does not have {old}"


def test_every_configuration_group_is_described():
    from edt.cli.reference import groups

    text = (ROOT / "docs" / "generate_reference.py").read_text()
    for name in groups():
        assert f'    "{name}": ' in text, f"add {name} to GROUPS in docs/generate_reference.py"


def test_the_generate_call_runs():
    import torch

    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec

    loaded = LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))
    inputs = {"input_ids": torch.tensor([loaded.tokenize("Passages:\n[1] ")])}
    names = {"model": loaded.model, "inputs": inputs}
    exec(block(ROOT / "docs" / "guide" / "inside_other_tools.md", "python", "EDTLogitsProcessor"), names)
    assert names["output"].shape[1] > inputs["input_ids"].shape[1]


def test_the_python_examples_run(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "tests" / "golden" / "runs_0_1_0", tmp_path / "results" / "runs")
    monkeypatch.chdir(tmp_path)
    code = [text for kind, text in blocks(ROOT / "docs" / "guide" / "python_api.md") if kind == "python"]
    names = {}
    for text in code:
        exec(text, names)
    assert {"prompt", "references", "text"} <= set(names["samples"].columns)
    assert {"value", "lo", "hi"} <= set(names["scores"].columns)


def test_the_pandas_example_reads_a_run(tmp_path):
    code = block(ROOT / "docs" / "reference" / "files.md", "python", "read_parquet")
    (folder,) = (ROOT / "tests" / "golden" / "runs_0_1_0").glob("mini-mini_xlsum-ae*")
    names = {}
    exec(code.replace("results/runs/mini-mini_xlsum-…", str(folder)), names)
    assert {"t0", "theta", "text"} <= set(names["frame"].columns)
