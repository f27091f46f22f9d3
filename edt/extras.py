"""The parts of edt that need packages which the plain install leaves out, and the one error for a missing package."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from edt.errors import MissingExtraError

__all__ = ["DISTRIBUTION", "EXTRAS", "check_extra", "extra_imports", "missing_package"]

DISTRIBUTION = "edt-sampling"
"""What pip installs. The package is imported as `edt`; on the public index, `edt` is another project."""

EXTRAS = {
    "report": ("matplotlib",),
    "tune": ("optuna", "sqlalchemy", "plotly", "matplotlib"),
    "wandb": ("wandb",),
    "peft": ("peft",),
    "train": ("peft", "accelerate"),
    "qlora": ("bitsandbytes",),
    "evaluate": ("evaluate", "datasets"),
    "gguf": ("gguf", "accelerate"),
    "openai": ("httpx",),
    "ray": ("ray",),
    "slurm": ("submitit", "hydra_plugins"),
}
"""Each extra of pyproject.toml, with the modules that it brings; tests/test_dependencies.py compares the two."""


def missing_package(extra: str) -> str | None:
    """Return the first module of an extra that is not installed, or None when all are."""
    return next((module for module in EXTRAS[extra] if not _installed(module)), None)


def check_extra(extra: str, purpose: str) -> None:
    """Raise MissingExtraError when a module of the extra is not installed.

    Call it before long work, so that a missing plotting library does not end a study after an hour of decoding.

    purpose: what needs the extra, as the subject of a sentence: "the page of a trace". It is not the command,
        which begins the line that is printed: "edt trace: edt trace needs …".
    """
    module = missing_package(extra)
    if module is not None:
        raise MissingExtraError(_message(extra, purpose, module))


@contextmanager
def extra_imports(extra: str, purpose: str) -> Iterator[None]:
    """Turn a failed import of one of the extra's modules inside this block into MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        # What is missing can be a submodule, as in `import plotly.graph_objects`.
        module = (error.name or "").partition(".")[0]
        # Any other missing module is a fault of the environment or of edt, which the extra would not repair.
        if module not in EXTRAS[extra]:
            raise
        raise MissingExtraError(_message(extra, purpose, module)) from error


def _message(extra: str, purpose: str, module: str) -> str:
    return f"{purpose} needs {module}, which is not installed; install it with: pip install '{DISTRIBUTION}[{extra}]'"


def _installed(module: str) -> bool:
    try:
        # Looked up, not imported: a check before long work must not take the seconds that matplotlib or optuna need.
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: a stand-in without a spec in sys.modules
        return False
