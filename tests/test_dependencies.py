"""What is imported is declared, what is declared is imported, and the plain install does what it promises."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edt.errors import MissingExtraError
from edt.extras import DISTRIBUTION, EXTRAS, check_extra, extra_imports, missing_package

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OTHER_NAMES = {
    "hydra": "hydra-core",
    "yaml": "pyyaml",
    "huggingface_hub": "huggingface-hub",
    "rouge_score": "rouge-score",
    "hydra_plugins": "hydra-submitit-launcher",
}
"""Distributions by the modules that have another name."""
OPTIONAL = sorted({module for modules in EXTRAS.values() for module in modules})

# Run before edt: the modules of the extras are not found, as in an environment without them. The finder answers "not
# here" instead of raising, since transformers asks find_spec about optional packages.
HIDER = f"""
import sys
from importlib.machinery import PathFinder
class Hider(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in {OPTIONAL!r}
        return None if hidden else super().find_spec(name, path, target)
sys.meta_path[:] = [Hider if finder is PathFinder else finder for finder in sys.meta_path]
"""


def distribution_name(requirement):
    return re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")


def declared(*extras):
    """The distributions of the plain install and of some extras."""
    wanted = [*PROJECT["dependencies"], *(one for name in extras for one in PROJECT["optional-dependencies"][name])]
    return {distribution_name(one) for one in wanted} - {DISTRIBUTION}


def imported(folder):
    """Third-party distributions that a folder imports, anywhere in its files, with one file each."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in (name.partition(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name not in ("edt", "scripts", "tests"):
                    found[OTHER_NAMES.get(name, name).lower()] = str(path.relative_to(ROOT))
    return found


def test_what_the_package_imports_is_declared():
    undeclared = imported("edt").keys() - declared(
        "report", "tune", "wandb", "peft", "evaluate", "gguf", "openai", "ray", "slurm", "vllm"
    )
    assert not undeclared, {name: imported("edt")[name] for name in undeclared}


def test_what_scripts_and_tests_import_is_declared():
    both = imported("scripts") | imported("tests")
    known = declared("report", "tune", "wandb", "peft", "evaluate", "gguf", "openai", "ray", "slurm", "vllm", "dev")
    # absl comes with rouge-score; conftest.py repairs its log handler.
    undeclared = both.keys() - known - {"absl"}
    assert not undeclared, {name: both[name] for name in undeclared}


def test_what_is_declared_is_imported():
    every = declared("report", "tune", "wandb", "peft", "evaluate", "gguf", "openai", "ray", "slurm", "vllm")
    assert every <= imported("edt").keys()


def test_the_table_of_extras_is_that_of_the_project():
    for name, modules in EXTRAS.items():
        includes_report = f"{DISTRIBUTION}[report]" in PROJECT["optional-dependencies"][name]
        wanted = declared(name, *(["report"] if includes_report else [])) - declared()
        assert {OTHER_NAMES.get(module, module) for module in modules} == wanted, name


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    assert missing_package("report") is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"edt study needs matplotlib, .*pip install 'edt-sampling\[report\]'"):
        check_extra("report", "edt study")


def test_another_missing_module_is_not_blamed_on_the_extra():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extra_imports("report", "a figure"):
        importlib.import_module("no_such_module")


RUN = ["run", "task=mini_xlsum", "task.limit=1", "strategy=fixed", "sampling.samples=2", "sampling.max_new_tokens=4"]
COMMANDS = {
    "run": [*RUN, "sampling.trace=true", "paths.runs=runs"],
    "tune": ["tune", "task=mini_xlsum", "paths.runs=none"],
    "trace": ["trace", "paths.traces=none"],
    "tracking": ["run", "tracking=wandb", "task=mini_xlsum", "paths.runs=none"],
    "workers": ["run", "engine.workers=2", "task=mini_xlsum", "paths.runs=none"],
    "jobs": ["run", "--multirun", "hydra/launcher=submitit_slurm", "task=mini_xlsum,mini_quac", "paths.runs=none"],
}
PROCESSOR = """
import torch
from edt import EDTLogitsProcessor
shape = list(EDTLogitsProcessor(t0=0.8, theta=0.5)(torch.tensor([[1, 2]]), torch.zeros(1, 8)).shape)
"""
# One process for all, since most of its time is the import of torch.
SESSION = f"""{HIDER}
import contextlib, io, json
{PROCESSOR}
from edt.cli import main
results = {{"processor": shape}}
for name, words in {COMMANDS!r}.items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    results[name] = (status, out.getvalue(), err.getvalue())
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """What the commands print, and the folder that they ran in, where no extra is installed."""
    folder = tmp_path_factory.mktemp("plain")
    shown = subprocess.run([sys.executable, "-c", SESSION], cwd=folder, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout.splitlines()[-1]), folder


def test_the_plain_install_serves_the_logits_processor(session):
    assert session[0]["processor"] == [1, 8]


def test_the_plain_install_runs_and_prints_the_table(session):
    results, folder = session
    status, out, err = results["run"]
    assert status == 0, err
    assert "fixed(t0=0.7)" in out
    assert list(folder.rglob("table.md"))
    assert not list(folder.rglob("report.html"))
    assert "report.html needs" in err
    assert "pip install 'edt-sampling[report]'" in err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("tune", "edt tune: the search needs"),
        ("trace", "edt trace: the page of a trace needs"),
        ("tracking", "tracking=wandb needs wandb"),
        ("workers", "engine.workers needs ray"),
        ("jobs", "hydra/launcher needs submitit"),
    ],
)
def test_a_command_that_needs_an_extra_says_so_before_it_works(command, message, session):
    results, folder = session
    status, _, err = results[command]
    assert status == 2, err
    assert message in err
    assert "pip install 'edt-sampling[" in err
    assert not (folder / "none").exists()
