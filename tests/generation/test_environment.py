"""The commit that a manifest names is that of this package's own checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edt

COMMIT = "import edt.generation.environment as e; print(e.git_commit())"


def git(folder, *arguments):
    named = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path):
    """The checkout of another project, whose environment lies inside of it, and a copy of the package there."""
    git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("another project\n")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-qm", "Begin")
    return tmp_path


def commit_of(packages):
    shown = subprocess.run(
        [sys.executable, "-c", COMMIT], env={"PYTHONPATH": str(packages), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    return shown.stdout.strip()


def install(packages):
    shutil.copytree(Path(edt.__file__).parent, packages / "edt", ignore=shutil.ignore_patterns("__pycache__", "mini"))


def test_inside_another_project_there_is_no_commit(project):
    packages = project / ".venv" / "lib" / "site-packages"
    install(packages)
    assert commit_of(packages) == "None"
    # Not even where it lies at the root, as long as the project does not track it.
    install(project)
    assert commit_of(project) == "None"


def test_in_its_own_checkout_it_is_the_commit_with_a_mark_for_changes(project):
    install(project)
    git(project, "add", "edt")
    git(project, "commit", "-qm", "Add")
    head = git(project, "rev-parse", "HEAD")
    assert commit_of(project) == head
    (project / "notes.txt").write_text("untracked")
    assert commit_of(project) == head
    (project / "edt" / "__init__.py").write_text((project / "edt" / "__init__.py").read_text() + "\n")
    assert commit_of(project) == f"{head}+"
