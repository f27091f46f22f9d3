"""A command imports no more than it uses: seconds that a user would wait for an error, a list or the first token."""

import subprocess
import sys

import pytest

DECODING = {"torch", "transformers", "tokenizers", "safetensors"}
TABLES = {"numpy", "pandas", "pyarrow", "scipy"}
PICTURES = {"matplotlib", "plotly"}
OTHERS = {
    "datasets",
    "optuna",
    "sqlalchemy",
    "sklearn",
    "torchvision",
    "wandb",
    "peft",
    "sacrebleu",
    "nltk",
    "rouge_score",
}
ALL = DECODING | TABLES | PICTURES | OTHERS
NOT_PYARROW = ALL - {"pyarrow", "numpy"}

# The words of a command, and what it must not import.
COMMANDS = [
    ([], ALL | {"hydra", "rich"}),
    (["--help"], ALL | {"hydra", "rich"}),
    (["--version"], ALL | {"hydra", "rich"}),
    (["nonsense"], ALL | {"hydra"}),
    (["run", "--help"], NOT_PYARROW),
    (["list", "models"], NOT_PYARROW),
    (["list", "strategies"], NOT_PYARROW),
    (["run", "--cfg", "job"], NOT_PYARROW),
    (["fetch"], NOT_PYARROW),
    (["run", "strategy=nonsense"], NOT_PYARROW),
    (["trace", "top=nonsense", "prompt=x"], NOT_PYARROW - DECODING),
    (["report", "runs=nonsense"], DECODING | PICTURES | {"datasets", "optuna", "sklearn", "wandb", "peft"}),
]

MODULES = [
    ("edt", ALL | {"hydra", "rich"}),
    ("edt.models.fetching.fetched", ALL | {"hydra", "rich", "huggingface_hub"}),
    ("edt.models.language_model", ALL - {"torch", "numpy", "safetensors"} | {"huggingface_hub", "jinja2", "gguf"}),
    # transformers is imported when a model is loaded: what is wrong with a command shows before.
    ("edt.tracing.trace_prompt", ALL - {"torch", "numpy", "safetensors", "pyarrow"} | {"sympy", "torch._dynamo"}),
    ("edt.generation.session", ALL - {"torch", "numpy", "safetensors", "pyarrow"} | {"sympy", "torch._dynamo"}),
    ("edt.decoding.ops.kernels", {"transformers", "sympy", "torch._dynamo", "torch._inductor"}),
]


def imported(code):
    """The modules that a program in a process of its own has imported at its end."""
    code = f"import sys\n{code}\nprint('\\n', *sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return set(shown.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("words", "forbidden"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_command_imports_no_more_than_it_needs(words, forbidden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not imported(f"from edt.cli import main; main({words!r})") & forbidden


@pytest.mark.parametrize(("module", "forbidden"), MODULES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_module_imports_no_more_than_it_needs(module, forbidden):
    assert not imported(f"import {module}") & forbidden
