"""Imports go one way, and light packages stay light."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import edt

PACKAGE = Path(edt.__file__).parent
LAYERS = [
    {"terminal_text", "redact"},
    {"records", "ids", "errors", "logs", "cache_folder", "paths"},
    {"extras", "console", "ranges", "worker_processes"},
    {"statistics"},
    {"store"},
    {"strategies", "metrics", "tasks"},
    {"models"},
    {"decoding"},
    {"adapters", "benchmark"},
    {"generation"},
    {"scoring", "data"},
    {"report"},
    {"tracing", "tracking", "tuning", "selftest", "comparison"},
    {"study", "training"},
    {"api"},
    {"cli"},
    {"__main__"},
]
"""From the bottom to the top. A package imports itself and those below it, never one of its own row."""
MAY_IMPORT = {name: set().union(*LAYERS[:height]) for height, row in enumerate(LAYERS) for name in row}
MAY_IMPORT["__init__"] = {
    "adapters",
    "api",
    "strategies",
}  # on demand alone: the next test holds that `import edt` is light


def layer(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_layers(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "edt" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = layer(path)
    assert own in MAY_IMPORT, f"{path} is in no layer of this test"
    wrong = set(imported_layers(path)) - MAY_IMPORT[own] - {own}
    assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}, which is above it"


def imported_modules(path, modules):
    """The modules of the package that a file imports, also inside functions; not those for the type checker alone."""
    tree = ast.parse(path.read_text())
    only_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = (
                    f"{node.module}.{alias.name}"  # `from edt.cli import build` is about the module, not the package
                )
                yield inner if inner in modules else node.module


def test_no_module_imports_itself_by_a_detour():
    modules = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("edt", *path.relative_to(PACKAGE).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    imports = {name: set(imported_modules(path, modules)) & set(modules) - {name} for name, path in modules.items()}
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail(f"an import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("edt", ["torch", "numpy", "hydra", "pyarrow", "pandas"]),
        ("edt.cli", ["torch", "numpy", "hydra", "pyarrow"]),
        ("edt.cli.schema", ["torch", "transformers", "datasets"]),
        ("edt.strategies", ["torch", "numpy"]),
        ("edt.models.spec", ["torch", "transformers"]),
        ("edt.decoding.engine_specs", ["torch", "transformers"]),
        ("edt.adapters.generate_spec", ["torch", "transformers"]),
        ("edt.adapters.openai_spec", ["torch", "transformers", "httpx"]),
        ("edt.adapters.vllm_spec", ["torch", "transformers", "vllm"]),
        ("edt.study.spec", ["torch", "transformers"]),
        ("edt.training.spec", ["torch", "transformers"]),
        ("edt.metrics.suite", ["torch", "transformers", "datasets"]),
        ("edt.store.parts", ["torch", "transformers", "datasets"]),
        ("edt.report.table", ["torch", "transformers", "datasets"]),
        ("edt.report.steps", ["torch", "transformers", "datasets", "matplotlib"]),
        ("edt.tracing.trace_page", ["torch", "transformers", "datasets"]),
        ("edt.tracing.trace_terminal", ["torch", "transformers", "datasets"]),
        ("edt.tracing.demo_page", ["torch", "transformers", "datasets"]),
        ("edt.report.html", ["torch", "transformers", "datasets"]),
        ("edt.tuning.page", ["torch", "transformers", "datasets", "optuna"]),
        ("edt.tasks.xlsum", ["torch", "transformers", "datasets"]),
        ("edt.tasks.wmt19", ["torch", "transformers", "datasets"]),
        ("edt.tasks.mini", ["torch", "transformers", "datasets"]),
        ("edt.scoring.score", ["torch", "transformers"]),
        ("edt.api.scoring", ["torch", "transformers"]),
        ("edt.api.runs", ["torch", "transformers"]),
        ("edt.report.run_report", ["torch", "transformers"]),
    ],
)
def test_light_modules_import_nothing_heavy(module, heavy):
    code = f"import sys, {module}; print(' '.join(set(sys.modules) & {set(heavy)!r}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


def test_only_the_command_line_sees_configuration_objects():
    for path in PACKAGE.rglob("*.py"):
        if layer(path) != "cli":
            words = path.read_text()
            assert "omegaconf" not in words, path
            assert "import hydra" not in words, path
