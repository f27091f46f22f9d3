"""The wheel works without the source tree: installed in a clean folder it finds its configs and its model."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment that holds the built wheel; its dependencies come from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("edt_sampling-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    # Appended, so that the wheel's edt comes before the editable one; a .pth inside that folder is not read.
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


def test_edt_run_shows_its_configuration(installed, tmp_path):
    shown = subprocess.run([installed / "edt", "run", "--cfg", "job"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "_target_: edt.strategies.EDT" in shown.stdout


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    code = "import edt, edt.cli.app as a; print(edt.__file__); print(a.config_folder())"
    shown = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    for line in shown.stdout.split():
        assert str(installed.parent) in line


def test_the_embedded_model_is_in_the_wheel(installed, tmp_path):
    words = ["task=mini_xlsum", "task.limit=1", "strategy=fixed", "sampling.samples=2", f"paths.runs={tmp_path}"]
    shown = subprocess.run([installed / "edt", "run", *words], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "fixed(t0=0.7)" in shown.stdout


def test_the_pages_templates_are_in_the_wheel(installed, tmp_path):
    words = ["prompt=On Monday Anna", "model=mini_base", "strategy=fixed", "sampling.max_new_tokens=2"]
    shown = subprocess.run([installed / "edt", "trace", *words], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    (page,) = tmp_path.rglob("trace.html")
    assert page.read_text().startswith("<!doctype html>")


def test_the_parts_of_a_study_s_page_are_in_the_wheel(installed, tmp_path):
    code = (
        "from edt.report import html; from edt.report.page import StudyPage\n"
        "nothing = dict(quality={}, points=(), ideal={}, sections=(), examples=(), outputs=())\n"
        "print(html.__file__, html.study_html(StudyPage(title='A study', about={}, **nothing)))"
    )
    shown = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(str(installed.parent))
    assert "<h1>A study</h1>" in shown.stdout
