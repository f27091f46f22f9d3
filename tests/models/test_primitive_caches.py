"""Memory does not grow with the number of shapes that are multiplied in half precision."""

import os
import subprocess
import sys

import pytest
import torch

from edt.models.language_model import LanguageModel
from edt.models.primitive_caches import CAPACITY, bound_primitive_caches
from edt.models.spec import ModelSpec

NAMES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
PRODUCTS = """
import sys, torch
from pathlib import Path
from edt.models.primitive_caches import bound_primitive_caches

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

if sys.argv[1] == "bounded":
    bound_primitive_caches()
torch.set_num_threads(1)
weights = [torch.randn(n, 640).bfloat16() for n in (256, 1024, 2048)]
with torch.inference_mode():
    for rows in range(1, 401):
        if rows == 41:
            before = resident()
        for weight in weights:
            torch.nn.functional.linear(torch.randn(rows, 640).bfloat16(), weight)
print(resident() - before)
"""


def grown(how):
    """The megabytes by which a process grew from the 41st to the 400th number of rows."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    command = [sys.executable, "-c", PRODUCTS, how]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_shapes():
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor multiplies bfloat16 without oneDNN")
    assert grown("bounded") < grown("as it is") / 3


def test_a_number_of_the_user_stays(monkeypatch):
    monkeypatch.setenv(NAMES[0], "7")
    monkeypatch.setenv(NAMES[1], "")
    monkeypatch.delenv(NAMES[1])
    bound_primitive_caches()
    assert [os.environ[name] for name in NAMES] == ["7", str(CAPACITY)]


def test_a_model_is_loaded_with_bounds(tiny_folder, monkeypatch):
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    LanguageModel.load(ModelSpec(path=str(tiny_folder)))
    assert [os.environ[name] for name in NAMES] == [str(CAPACITY)] * 2
