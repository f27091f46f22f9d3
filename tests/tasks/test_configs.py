"""The task configurations: all four compose, alone and as the paper's list, and tasks import lightly."""

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir

from tests.support.task_fixtures import CONFIGS, task

NAMES = ("xlsum", "msmarco", "quac", "wmt19")


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_built_from_its_configuration(name):
    built = task(name)
    assert built.name == name
    assert built.quality == ("sacrebleu" if name == "wmt19" else "rouge_l")
    assert (built.train_size, built.dev_size, built.test_size) == (10_000, 1_000, 1_000)
    assert built.stops(chat_template=False) == ("\n",)
    assert built.hub is not None


@pytest.mark.parametrize("name", NAMES)
def test_prompts_end_where_an_answer_on_the_same_line_begins(name):
    template = task(name).template
    assert template.tail.endswith(":")
    assert template.tail.startswith("\n")


def test_the_papers_list_has_the_four_and_what_applies_to_all():
    with initialize_config_dir(str(CONFIGS.parent), version_base="1.3"):
        config = compose(overrides=["+task=paper", "task.limit=3", "task.members.wmt19.direction=zh-en"])
    assert list(config.task.members) == list(NAMES)
    assert (config.task.split, config.task.limit, config.task.path) == ("test", 3, None)
    assert config.task.members.wmt19.direction == "zh-en"
    assert config.task.members.quac._target_ == "edt.tasks.quac.QuAC"
    assert all(member.split == "test" for member in config.task.members.values())


def test_tasks_import_without_the_heavy_libraries():
    code = (
        "import sys, edt.tasks.xlsum, edt.tasks.msmarco, edt.tasks.quac, edt.tasks.wmt19, edt.tasks.prompts;"
        "heavy = {'torch', 'datasets', 'huggingface_hub', 'pyarrow', 'transformers', 'fsspec'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
