"""What a configuration may import: edt, and the packages that the user names; nobody else's code ever runs."""

import re
from pathlib import Path

import pytest

from edt.cli import main
from edt.cli.trust import trusted_packages
from tests.support.command_line import refused

HOSTILE = """
from dataclasses import dataclass
from pathlib import Path
Path("imported").touch()

from edt.strategies import Fixed

@dataclass(frozen=True, kw_only=True)
class Hot(Fixed):
    def __post_init__(self):
        Path("built").touch()

@dataclass(frozen=True, kw_only=True)
class Other:
    t0: float = 1
    def __post_init__(self):
        Path("built").touch()

def make(**values) -> Fixed:
    Path("called").touch()
    return Fixed(t0=1.0)
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder with a module that leaves a file when it is imported, and files when its classes are built or called."""
    name = re.sub(r"\W", "_", tmp_path.name)
    (tmp_path / f"{name}.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def left() -> set[str]:
    return {name for name in ("imported", "built", "called") if Path(name).exists()}


# Every place where a configuration names a class or a function.
PLACES = {
    "strategy": ("run", "strategy=edt strategy._target_={}"),
    "one of several strategies": ("run", "strategy=compare_three strategy.edt._target_={}"),
    "baseline": ("tune", "baseline._target_={}"),
    "eda_scale": ("run", "eda_scale._target_={}"),
    "space": ("tune", "space._target_={}"),
    "search": ("tune", "search._target_={}"),
    "task": ("run", "task=mini_xlsum task._target_={}"),
    "task of a list": ("run", "task=mini task.members.mini_xlsum._target_={}"),
    "template of a task": ("run", "task=mini_xlsum task.template._target_={}"),
    "source of a task": ("run", "task=xlsum task.hub._target_={}"),
    "model": ("run", "model._target_={}"),
    "engine": ("run", "engine._target_={}"),
    "sampling": ("run", "sampling._target_={}"),
    "metrics": ("score", "metrics._target_={}"),
    "metrics.extra": ("run", "+metrics.extra.mine._target_={}"),
    "metrics.bootstrap": ("run", "metrics.bootstrap._target_={}"),
    "tracking": ("report", "tracking._target_={}"),
    "family of a study": ("study", "families.fixed._target_={}"),
    "experiment of a study": ("study", "experiments.main_table._target_={}"),
    "browser of a study": ("study", "browser._target_={}"),
    "trace": ("trace", "prompt=x strategy=edt strategy._target_={}"),
    "demo": ("trace", "demo=temperature demo._target_={}"),
    "strategy of a demo": ("trace", "demo=temperature demo.distribution.settings.cooler._target_={}"),
    "data": ("data", "show task=mini_xlsum task._target_={}"),
}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["task=mini_xlsum", "task.limit=2", "sampling.samples=2", "sampling.max_new_tokens=4", "strategy=fixed"]
    assert main(["run", *words, f"paths.runs={folder}"]) == 0
    return folder


def words_of(place, target, tmp_path, run_folder):
    command, words = PLACES[place]
    reads = [f"runs={run_folder}"] if command in ("score", "report") else []
    writes = [f"paths.runs={tmp_path / 'runs'}"] if command in ("run", "tune", "study") else []
    return [command, *words.format(target).split(), *reads, *writes]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_imported_that_the_user_has_not_named(place, hostile, capsys, tmp_path, run_folder):
    words = words_of(place, f"{hostile}.Hot", tmp_path, run_folder)
    message = refused(capsys, *words)
    assert f"'{hostile}' is not trusted" in message
    assert f"EDT_TRUSTED_PACKAGES={hostile}" in message
    assert left() == set()


@pytest.mark.parametrize("place", ["strategy", "task", "model", "metrics.extra", "family of a study"])
@pytest.mark.parametrize("target", ["edt.cli.app.os.system", "edt.generation.environment.subprocess.Popen", "edt.ids"])
def test_what_a_trusted_module_has_from_elsewhere_is_refused(place, target, capsys, tmp_path, run_folder):
    message = refused(capsys, *words_of(place, target, tmp_path, run_folder))
    assert target in message or "not trusted" in message


@pytest.mark.parametrize("place", ["strategy", "task", "model", "engine", "search", "experiment of a study"])
def test_a_class_of_another_kind_is_refused_before_it_is_built(
    place, hostile, capsys, tmp_path, run_folder, monkeypatch
):
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", hostile)
    message = refused(capsys, *words_of(place, f"{hostile}.Other", tmp_path, run_folder))
    assert f"{hostile}.Other" in message
    assert "no subclass of it" in message
    assert left() == {"imported"}


SMALL = ["task=mini_xlsum", "task.limit=1", "sampling.samples=1", "sampling.max_new_tokens=2"]


def test_a_package_that_the_variable_names_is_imported(hostile, tmp_path, monkeypatch):
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", f"other, {hostile}")
    target = [f"strategy._target_={hostile}.Hot", "strategy.t0=1", f"paths.runs={tmp_path}"]
    assert main(["generate", "strategy=fixed", *target, *SMALL]) == 0
    assert left() == {"imported", "built"}


def user_file(text, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "settings" / "edt").mkdir(parents=True)
    (tmp_path / "settings" / "edt" / "config.yaml").write_text(text)


def test_a_package_that_the_users_file_names_is_imported(hostile, tmp_path, monkeypatch):
    user_file(f"trusted_packages: [{hostile}]", monkeypatch, tmp_path)
    target = [f"strategy._target_={hostile}.Hot", "strategy.t0=1", f"paths.runs={tmp_path}"]
    assert main(["generate", "strategy=fixed", *target, *SMALL]) == 0


@pytest.mark.parametrize("word", ["trusted_packages=[os]", "+trusted_packages=[os]", "++trusted_packages=os"])
def test_an_override_cannot_trust_a_package(word, capsys):
    assert "trusted_packages cannot be set by an override" in refused(capsys, "run", word, "--cfg", "job")


def test_a_configuration_cannot_trust_a_package(hostile, capsys, tmp_path):
    file = tmp_path / "my_configs" / "strategy" / "hot.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f"# @package _global_\ntrusted_packages: [{hostile}]\nstrategy:\n  _target_: {hostile}.Hot\n  t0: 1\n"
    )
    words = ["run", "--config-dir", str(tmp_path / "my_configs"), "strategy=hot"]
    assert "trusted_packages cannot be set" in refused(capsys, *words)
    # nor does listing what a folder of configurations offers import it
    file.write_text(f"_target_: {hostile}.Hot\nt0: 1\n")
    assert "is not trusted" in refused(capsys, "list", "strategies", *words[1:3])
    # nor does an override of a key that the file does not list, for which the class is asked
    assert "is not trusted" in refused(capsys, *words, "strategy.top_k=1")
    assert left() == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trusted_packages: ['*']", "'*', which is no package"),
        ("trusted_packages: os", "must be a list"),
        ("trusted: [os]", "holds more than `trusted_packages"),
        ("[", "cannot be read"),
    ],
)
def test_a_wrong_file_of_the_users_is_named(text, message, capsys, monkeypatch, tmp_path):
    user_file(text, monkeypatch, tmp_path)
    shown = refused(capsys, "run", *SMALL, f"paths.runs={tmp_path}")
    assert message in shown
    assert "config.yaml" in shown


@pytest.mark.parametrize("value", ["*", "my-package", "a..b", "os:system"])
def test_the_variable_holds_names_of_packages(value, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", value)
    assert f"{value!r}, which is no package" in refused(capsys, "run", *SMALL, f"paths.runs={tmp_path}")


def test_a_name_trusts_what_is_below_it_alone(monkeypatch):
    from edt.cli.trust import is_trusted

    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", "mine.rules")
    assert trusted_packages() == ("edt", "mine.rules")
    assert [is_trusted(name) for name in ("mine.rules", "mine.rules.hot", "mine", "mine.rulesets", "edtx")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["..evil", "edt..x", "", "edt.strategies.Fixed()", "a b", "edt:x:y"])
def test_a_name_that_is_none_is_refused(target, capsys, tmp_path):
    words = ["run", "strategy=edt", f"strategy._target_='{target}'", *SMALL, f"paths.runs={tmp_path}"]
    assert "no dotted name" in refused(capsys, *words)


def test_a_trusted_module_that_cannot_be_imported_is_named(hostile, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EDT_TRUSTED_PACKAGES", hostile)
    Path(f"{hostile}.py").write_text("1 / 0")
    words = ["run", "strategy=edt", f"strategy._target_={hostile}.Hot", *SMALL, f"paths.runs={tmp_path}"]
    assert "cannot be imported (ZeroDivisionError: division by zero)" in refused(capsys, *words)


@pytest.mark.parametrize(
    "text",
    [
        "defaults:\n- override hydra/launcher: evil\n",
        "hydra:\n  searchpath: ['pkg://evil_package']\n",
        "hydra:\n  job_logging:\n    handlers:\n      h: {(): evil_package.Handler}\n",
        "hydra:\n  callbacks:\n    c: {_target_: evil_package.Callback}\n",
        "defaults:\n- pkg://evil_package\n",
    ],
)
def test_hydra_itself_imports_nothing_for_a_configuration(text, tmp_path, monkeypatch, capsys):
    """Its launchers, callbacks, logging and search path can each name a class or package, which must stay unread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_package").mkdir()
    (tmp_path / "evil_package" / "__init__.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    file = tmp_path / "my_configs" / "strategy" / "hot.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"# @package _global_\n{text}strategy:\n  _target_: edt.strategies.Fixed\n  t0: 1\n")
    main(["run", "--config-dir", str(tmp_path / "my_configs"), "strategy=hot", *SMALL, f"paths.runs={tmp_path}/runs"])
    capsys.readouterr()
    assert left() == set()


@pytest.mark.parametrize(
    "word", ["hydra.searchpath=[pkg://evil]", "+hydra.callbacks.c._target_=evil.C", "hydra/launcher=x"]
)
def test_hydras_own_settings_are_refused(word, capsys):
    assert "not supported" in refused(capsys, "run", word)
