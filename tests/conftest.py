"""Fixtures that several test files share."""

import os
import shutil
import signal
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import absl.logging
import pytest
from hypothesis import settings

# Here, before EDT_CACHE is set below: these models are looked for in the user's own cache.
from tests.support.fetched_models import why_not_here
from tests.support.tiny_model import write_tiny_model

# rouge_score brings absl's log handler, which keeps the stderr of its import: here pytest's captured one. Hydra closes all
# handlers when it sets up logging, and absl then closes that stream, unless it is the process's own.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

# A shell starts what runs in its background without Ctrl-C, and so would every command that a test stops with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("edt", deadline=None)
settings.load_profile("edt")


def pytest_runtest_setup(item) -> None:
    """Skip tests of real models that are not on this machine."""
    for mark in item.iter_markers("real_model"):
        for name in mark.args:
            if (reason := why_not_here(name)) is not None:
                pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Path:
    """A cache folder for this session, also of the commands that tests start: the user's own stays as it is."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["EDT_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory) -> None:
    """No settings of the user's: the packages that a test trusts are its own."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("settings"))
    os.environ.pop("EDT_TRUSTED_PACKAGES", None)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A random Llama over bytes, small enough for float64 and sharp enough that its entropy varies."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The random Llama in float64, where batch shape cannot move a draw."""
    from edt.models.language_model import LanguageModel
    from edt.models.spec import ModelSpec

    return LanguageModel.load(ModelSpec(path=str(tiny_folder), dtype="float64", device="cpu"))


@pytest.fixture
def real_data() -> Path:
    """The folder of real samples, named by EDT_REAL_DATA."""
    folder = os.environ.get("EDT_REAL_DATA")
    if folder is None:
        pytest.skip("EDT_REAL_DATA names no folder with the real samples")
    return Path(folder)


@pytest.fixture
def real_model() -> Path:
    """The folder of a real pretrained model, named by EDT_REAL_MODEL."""
    folder = os.environ.get("EDT_REAL_MODEL")
    if folder is None:
        pytest.skip("EDT_REAL_MODEL names no folder with a real model")
    return Path(folder)


@pytest.fixture(scope="session")
def prompts(tiny):
    """Four prompts of unequal length."""
    from tests.support.engine_rows import TEXTS, prompt

    return [prompt(tiny, number, text) for number, text in enumerate(TEXTS)]


@pytest.fixture
def local(tiny_folder, tmp_path) -> list[str]:
    """Words for a small real run on local files, with the random model."""
    (tmp_path / "news.eng").write_text("\n".join(f"Sentence {i}." for i in range(6)) + "\n")
    (tmp_path / "news.zho").write_text("\n".join(f"句子{i}。" for i in range(6)) + "\n")
    return [
        "model=hf",
        f"model.path={tiny_folder}",
        "model.device=cpu",
        "task=wmt19",
        f"task.path={tmp_path}",
        "task.limit=2",
        "sampling.samples=2",
        "sampling.max_new_tokens=4",
        f"paths.runs={tmp_path / 'runs'}",
    ]


@pytest.fixture(scope="session")
def news(tmp_path_factory) -> Path:
    """A dozen sentences with their translations, half of them dev and half test."""
    folder = tmp_path_factory.mktemp("news")
    lines = [f"Sentence number {i}, {'long ' * (i % 4)}indeed." for i in range(12)]
    (folder / "news.eng").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "news.zho").write_text("\n".join(f"第{i}句话,的确。" for i in range(12)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def ask(tiny_folder, news, tmp_path):
    """Makes requests for small runs of the random model on the news."""
    from edt.decoding.engine_specs import BatchedSpec
    from edt.decoding.sampling import Sampling
    from edt.generation.request import GenerationRequest, TaskRequest
    from edt.models.spec import ModelSpec
    from edt.tasks.base import Template
    from edt.tasks.wmt19 import WMT19
    from tests.support.small_runs import FIXED

    template = Template(head="Translate: ", source="{sentence}", tail=" =>")

    def make(strategies=FIXED, samples=2, splits=("test",), seed=0, max_rows=6, spec=BatchedSpec, runs=None, **task):
        return GenerationRequest(
            model=ModelSpec(path=str(tiny_folder), device="cpu"),
            engine=spec(max_rows=max_rows),
            tasks=(TaskRequest(task=WMT19(template=template, path=str(news), **task), splits=splits),),
            strategies=tuple(strategies),
            sampling=Sampling(samples=samples, seed=seed, max_new_tokens=6),
            runs=runs or tmp_path / "runs",
            config={},
        )

    return make


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """The mini tasks, decoded, scored and exported by `edt run tracking=wandb`; no test may change it."""
    from tests.support.wandb_machine import exporting_machine

    return exporting_machine(tmp_path_factory.mktemp("machine"))


@pytest.fixture
def again(machine, tmp_path):
    """The same machine afresh, without exports."""
    from tests.support.wandb_machine import Machine

    made = Machine(tmp_path)
    shutil.copytree(machine.runs, made.runs, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wandb"))
    return made
