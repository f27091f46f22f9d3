"""scripts/offline_pack.py collects what a machine without a network needs, and edt_pack.py runs edt there from it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edt.errors import ConfigError
from scripts import offline_pack

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ROWS = '{"id": "a", "text": "One.", "summary": "1"}\n'


def make_wheel(folder, name, version, requires=()):
    """A wheel with one module, for every Python and system."""
    info = f"{name}-{version}.dist-info"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the whole index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def everything(tmp_path):
    """A list of packages that the other machine has: all of the lock file."""
    path = tmp_path / "present.txt"
    path.write_text((offline_pack.ROOT / "requirements.lock").read_text(encoding="utf-8"), encoding="utf-8")
    return path


@pytest.fixture
def packed(tmp_path, everything):
    """A pack in several pieces for this Python, with a data file, for a machine that has all packages."""
    data = tmp_path / "rows.jsonl"
    data.write_text(ROWS, encoding="utf-8")
    out = tmp_path / "pack"
    words = ["--out", str(out), "--present", str(everything), "--data", str(data), "--piece-size", "3MB"]
    assert offline_pack.main(words) == 0
    return out


def call(packed, *words, **environment):
    """Run edt_pack.py, as on the other machine."""
    return subprocess.run(
        [sys.executable, str(packed / "edt_pack.py"), *words],
        capture_output=True,
        text=True,
        cwd=packed.parent,
        env={**os.environ, "PYTHONPATH": "", **environment},
    )


def test_the_pack_runs_edt_from_its_own_files(packed):
    manifest = json.loads((packed / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["pieces"]) > 1
    assert all(piece["bytes"] <= 3_000_000 for piece in manifest["pieces"])
    assert manifest["data"] == ["rows.jsonl"]

    first = call(packed, "python", "-c", "import edt, sys; print(edt.__file__)")
    assert first.returncode == 0, first.stderr
    assert Path(first.stdout.strip()).is_relative_to(packed / "unpacked" / "source")
    assert "unpacking" in first.stderr
    # A word data/NAME is the packed file.
    second = call(packed, "python", "-c", "import sys; print(open(sys.argv[1]).read(), end='')", "data/rows.jsonl")
    assert second.stdout == ROWS
    assert "unpacking" not in second.stderr
    assert call(packed, "list", "strategies").returncode == 0


def test_an_interrupted_unpacking_is_done_again(packed):
    assert call(packed, "unpack").returncode == 0
    (packed / "unpacked" / "ready.json").unlink()
    (packed / "unpacked" / "source" / "edt" / "__init__.py").write_text("raise SystemExit(9)", encoding="utf-8")
    assert call(packed, "python", "-c", "import edt").returncode == 0


@pytest.mark.parametrize("damage", ["flipped", "cut", "removed"])
def test_a_damaged_piece_is_named_and_nothing_runs(packed, damage):
    piece = packed / "pieces" / "001"
    content = bytearray(piece.read_bytes())
    if damage == "removed":
        piece.unlink()
    elif damage == "cut":
        piece.write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        piece.write_bytes(content)
    shown = call(packed, "python", "-c", "print('ran')")
    assert shown.returncode == 2
    assert f"piece {piece}" in shown.stderr
    assert "from where the pack was made" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert "ran" not in shown.stdout


def test_another_python_is_refused(packed):
    path = packed / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"python": "3.99"}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    shown = call(packed, "list")
    assert shown.returncode == 2
    assert f"this is Python {HERE}; the pack is for 3.99" in shown.stderr


def test_wheels_of_all_that_is_required_there(index, tmp_path):
    make_wheel(index, "alpha", "1.0", ["beta>=1", 'gamma; python_version < "3.0"', 'delta; extra == "more"'])
    make_wheel(index, "beta", "1.0", ['epsilon; sys_platform == "linux"', "present"])
    make_wheel(index, "beta", "2.0")
    make_wheel(index, "delta", "1.0")
    make_wheel(index, "epsilon", "3.0")
    wheels = offline_pack.Wheels(tmp_path / "wheels", "3.12", "manylinux_2_28_x86_64", ["present"])
    wheels.locked["beta"] = "1.0"
    wheels.collect([Requirement("alpha[more]")])
    names = sorted(path.name.removesuffix("-py3-none-any.whl") for path in (tmp_path / "wheels").iterdir())
    # The locked version, not the newest; what the target's markers leave out, and what it has, is not there.
    assert names == ["alpha-1.0", "beta-1.0", "delta-1.0", "epsilon-3.0"]


def test_a_package_without_a_wheel_is_named(index, tmp_path):
    wheels = offline_pack.Wheels(tmp_path / "wheels", "3.12", "manylinux_2_28_x86_64", [])
    with pytest.raises(ConfigError, match=r"pip has no wheel of nowhere for Python 3\.12, and builds none: "):
        wheels.collect([Requirement("nowhere")])


def test_manylinux_takes_all_older_ones():
    tags = offline_pack.platforms("manylinux_2_28_x86_64")
    assert tags[0] == "manylinux_2_28_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"} <= set(tags)
    assert "manylinux_2_34_x86_64" not in tags
    assert offline_pack.platforms("macosx_14_0_arm64") == ["macosx_14_0_arm64"]


@pytest.mark.parametrize(("text", "size"), [("50MB", 50_000_000), ("1 GiB", 2**30), ("0.5mb", 500_000)])
def test_sizes(text, size):
    assert offline_pack.size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["50", "MB", "-1MB", "1KB", "nan MB"])
def test_a_wrong_size_is_explained(text):
    with pytest.raises(ConfigError, match="--piece-size is"):
        offline_pack.size_in_bytes(text)


def test_extras_are_followed():
    names = {one.name for one in offline_pack.project_requirements(["tune"])}
    # edt tune includes the report.
    assert {"optuna", "matplotlib", "torch"} <= names
    assert "wandb" not in names
    with pytest.raises(ConfigError, match=r"--extras names 'nope'; edt has: .*report"):
        offline_pack.project_requirements(["nope"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nope"], "--model is 'nope'; it must be the folder of a model or one of: "),
        (["--model", "gemma3_270m"], "read it, then pack with --accept-license"),
        (["--data", "nowhere.jsonl"], "--data names 'nowhere.jsonl', which is not there"),
    ],
)
def test_errors_are_explained(words, message, tmp_path, everything, caplog):
    assert offline_pack.main(["--out", str(tmp_path / "pack"), "--present", str(everything), *words]) == 2
    assert message in caplog.text


def test_a_folder_that_holds_something_is_refused(tmp_path, caplog):
    (tmp_path / "note").touch()
    assert offline_pack.main(["--out", str(tmp_path)]) == 2
    assert "is not empty" in caplog.text
