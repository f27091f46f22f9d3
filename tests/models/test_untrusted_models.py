"""Models of others: no pickle is read, no code of theirs runs, no template runs for ever, no altered file is taken."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import warnings
from pathlib import Path

import pytest

from edt.errors import ConfigError, ModelError
from edt.models import checkpoint, prompt_tokens
from edt.models.checkpoint import adapter_folder
from edt.models.fetching import hub_cache, known_digests
from edt.models.language_model import LanguageModel
from edt.models.limits import at_most
from edt.models.spec import ModelSpec


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def copy(folder, tmp_path, **changes):
    made = shutil.copytree(folder, tmp_path / "copy")
    for name, content in changes.items():
        (made / name.replace("__", ".")).write_text(content)
    return made


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def load(folder, **values):
    return LanguageModel.load(ModelSpec(path=str(folder), device="cpu", **values))


@pytest.fixture(scope="module")
def adapter(tiny_folder, tmp_path_factory):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own use of what transformers has renamed
        get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(folder)
    return folder


def test_a_whole_adapter_is_taken(adapter):
    assert adapter_folder(str(adapter)) == adapter


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "x.PKL", "rng_state.pth", "a.ckpt"])
@pytest.mark.parametrize("decoy", [True, False])
def test_an_adapter_with_a_pickle_is_refused_before_peft_sees_it(name, decoy, adapter, tmp_path):
    folder = copy(adapter, tmp_path)
    if decoy:
        # peft takes adapter_model.bin where adapter_model.safetensors is missing, whatever else there is
        (folder / "adapter_model.safetensors").rename(folder / "decoy.safetensors")
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ModelError, match=f"holds pickled files.*{name}.*copy adapter_config.json and"):
        adapter_folder(str(folder))
    assert not (tmp_path / "ran").exists()


def test_an_adapter_without_its_own_weights_is_refused(adapter, tmp_path):
    folder = copy(adapter, tmp_path)
    (folder / "adapter_model.safetensors").rename(folder / "decoy.safetensors")
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors.*save_pretrained"):
        adapter_folder(str(folder))


@pytest.mark.parametrize(
    "values",
    [
        {"megatron_config": {"x": 1}, "megatron_core": "evil_module"},
        {"corda_config": {"cache_file": "x.pt"}},
        {"prompt_tuning_init_state_dict_path": "x.pt"},
    ],
)
def test_an_adapter_that_makes_peft_import_or_unpickle_is_refused(values, adapter, tmp_path):
    folder = copy(adapter, tmp_path)
    change(folder / "adapter_config.json", **values)
    with pytest.raises(ModelError, match="imports a module or reads a pickled file; merge the adapter"):
        adapter_folder(str(folder))


def test_a_pickle_next_to_the_weights_of_a_model_is_not_read(tiny_folder, tmp_path):
    folder = copy(tiny_folder, tmp_path)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    load(folder)
    assert not (tmp_path / "ran").exists()
    for path in folder.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ModelError, match=r"no weights in safetensors form.*which can run code when loaded"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_a_pickle_in_disguise_are_not_read(tiny_folder, tmp_path):
    folder = copy(tiny_folder, tmp_path)
    (path,) = folder.glob("*.safetensors")
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ModelError, match="is not whole"):
        load(folder)
    assert not (tmp_path / "ran").exists()


CODE = "from pathlib import Path\nPath({!r}).touch()\n"


@pytest.mark.parametrize("kind", ["model", "tokenizer", "generation"])
def test_code_of_a_model_does_not_run(kind, tiny_folder, tmp_path):
    folder = copy(tiny_folder, tmp_path, evil__py=CODE.format(str(tmp_path / "ran")))
    if kind == "model":
        change(
            folder / "config.json",
            model_type="evil",
            auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
        )
    elif kind == "tokenizer":
        change(
            folder / "tokenizer_config.json",
            tokenizer_class="EvilTokenizer",
            auto_map={"AutoTokenizer": ["evil.T", None]},
        )
    else:
        (folder / "custom_generate").mkdir()
        (folder / "custom_generate" / "generate.py").write_text(CODE.format(str(tmp_path / "ran")))
    try:
        load(folder)
    except ModelError as error:
        assert kind == "generation" or "model.trust_remote_code=true" in str(error)  # noqa: PT017
    else:
        assert kind != "model"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_experts_implementation"])
def test_a_kernel_of_the_hub_is_not_loaded(key, tiny_folder, tmp_path):
    folder = copy(tiny_folder, tmp_path)
    change(folder / "config.json", text_config={key: "owner/kernel"})
    with pytest.raises(ModelError, match=f"names code of the hub.*{key}: owner/kernel.*remove the key"):
        load(folder)
    with pytest.raises(ConfigError, match=r"model.attention is 'owner/kernel@main'.*are not loaded"):
        ModelSpec(path="x", attention="owner/kernel@main")


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('x') }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.listdir('/') }}",
]


def in_chat(folder, template):
    path = folder / "tokenizer_config.json"
    change(path, chat_template=template)
    return load(folder, chat_template=True)


@pytest.mark.parametrize("template", ESCAPES)
def test_a_chat_template_runs_in_a_sandbox(template, tiny_folder, tmp_path):
    with pytest.raises(ModelError, match="the chat template of model"):
        in_chat(copy(tiny_folder, tmp_path), template).prompts.chat_text([{"role": "user", "content": "x"}])


def test_an_endless_chat_template_ends(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_tokens, "_TEMPLATE_SECONDS", 0.5)
    with pytest.raises(ModelError, match=r"the chat template of model.*did not end within 0\.5 seconds"):
        in_chat(copy(tiny_folder, tmp_path), ENDLESS).prompts.chat_text([{"role": "user", "content": "x"}])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bound by a limit of Linux")
@pytest.mark.parametrize("template", ["{{ 'x' * 10**11 }}", "{{ '%99999999999d' | format(1) }}", "{{ [0] * 10**11 }}"])
def test_a_chat_template_that_writes_gigabytes_is_stopped(template, tiny_folder, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(
        ModelError, match=r"the chat template of model.*(more than 1,024 MB of memory|too large|too big)"
    ):
        in_chat(copy(tiny_folder, tmp_path), template).prompts.chat_text([{"role": "user", "content": "x"}])
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_time_limit_leaves_a_timer_that_ran_before():
    handler = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    before = signal.setitimer(signal.ITIMER_REAL, 500)
    try:
        with at_most(5, 2**30):
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 5
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 5
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


@pytest.fixture
def snapshot(tiny_folder, tmp_path, monkeypatch):
    """The random Llama in a hub cache as the client lays it out, and what the client returns."""
    monkeypatch.setenv("EDT_CACHE", str(tmp_path / "edt"))
    blobs, folder = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "commit"
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    for path in tiny_folder.iterdir():
        content = path.read_bytes()
        large = path.suffix == ".safetensors"
        name = hashlib.sha256(content) if large else hashlib.sha1(b"blob %d\0" % len(content) + content)
        (blobs / name.hexdigest()).write_bytes(content)
        (folder / path.name).symlink_to(os.path.relpath(blobs / name.hexdigest(), folder))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    return folder


def test_files_of_the_hub_are_compared_with_their_hashes_once(snapshot, monkeypatch):
    read, honest = [], known_digests.file_digest
    monkeypatch.setattr(known_digests, "file_digest", lambda path: read.append(path.name) or honest(path))
    monkeypatch.setattr(known_digests, "_LARGE", 0)
    monkeypatch.setattr(known_digests, "_SETTLED_NS", 0)
    weights = [(snapshot / "model.safetensors").resolve().name]
    for expected in (weights, []):
        read.clear()
        known_digests._digest_of.cache_clear()
        assert checkpoint.fetch("a/b", None) == snapshot
        assert read == expected


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("seen", [True, False])
def test_an_altered_file_of_the_hubs_cache_is_refused(name, seen, snapshot):
    if seen:
        checkpoint.fetch("a/b", None)
    blob = (snapshot / name).resolve()
    state = blob.stat()
    content = bytearray(blob.read_bytes())
    content[-2] ^= 1
    blob.write_bytes(content)
    # An attacker can set the time of writing back, and keep the size.
    os.utime(blob, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(
        ModelError, match=rf"'{name}' of model 'a/b' is not what was downloaded.*{blob}.*Remove that file"
    ):
        checkpoint.fetch("a/b", None)


def test_a_file_of_the_users_with_such_a_name_is_no_blob(tmp_path):
    (tmp_path / ("0" * 64)).write_text("x")
    hub_cache.check_snapshot(tmp_path, "a/b")
