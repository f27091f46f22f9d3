"""The wheel works without the source tree: installed in a clean folder it finds its configs and its model."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


# Without PYTHONPATH, which would put a source tree before the wheel.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    subprocess.run([*command, "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    (path,) = folder.glob("edt_sampling-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel):
    """The programs of an environment that holds the wheel; its dependencies come from the one that runs the tests."""
    venv = wheel.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install"]
    subprocess.run([*command, "--no-deps", wheel], check=True)
    # Appended, so that the wheel's edt comes before the editable one; a .pth inside that folder is not read.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin"


def run(command, folder):
    """Run a command of the wheel in a folder; its result, which must be success."""
    shown = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return shown


def test_the_wheel_has_licence_types_and_metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        (metadata,) = [file.read(name).decode() for name in names if name.endswith("METADATA")]
    assert "edt/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert "Provides-Extra: report" in metadata


def test_edt_run_shows_its_configuration(installed, tmp_path):
    shown = run([installed / "edt", "run", "--cfg", "job"], tmp_path)
    assert "_target_: edt.strategies.EDT" in shown.stdout


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    code = "import edt, edt.cli.app as a; print(edt.__file__); print(a.config_folder())"
    shown = run([installed / "python", "-c", code], tmp_path)
    for line in shown.stdout.split():
        assert str(installed.parent) in line


def test_the_embedded_model_is_in_the_wheel(installed, tmp_path):
    words = ["task=mini_xlsum", "task.limit=1", "strategy=fixed", "sampling.samples=2", f"paths.runs={tmp_path}"]
    shown = run([installed / "edt", "run", *words], tmp_path)
    assert "fixed(t0=0.7)" in shown.stdout


def test_the_pages_templates_are_in_the_wheel(installed, tmp_path):
    words = ["prompt=On Monday Anna", "model=mini_base", "strategy=fixed", "sampling.max_new_tokens=2"]
    run([installed / "edt", "trace", *words], tmp_path)
    (page,) = tmp_path.rglob("trace.html")
    assert page.read_text().startswith("<!doctype html>")


def test_the_parts_of_a_study_s_page_are_in_the_wheel(installed, tmp_path):
    code = (
        "from edt.report import html; from edt.report.page import StudyPage\n"
        "nothing = dict(quality={}, points=(), ideal={}, sections=(), examples=(), outputs=())\n"
        "print(html.__file__, html.study_html(StudyPage(title='A study', about={}, **nothing)))"
    )
    shown = run([installed / "python", "-c", code], tmp_path)
    assert shown.stdout.startswith(str(installed.parent))
    assert "<h1>A study</h1>" in shown.stdout
