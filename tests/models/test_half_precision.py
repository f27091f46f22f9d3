"""bfloat16 is offered where it would help, and nowhere else."""

import dataclasses
import logging

import pytest
import torch

from edt.cli import main
from edt.models import half_precision
from edt.models.half_precision import bfloat16_note, processor_has_bfloat16
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec


@pytest.fixture
def capabilities(monkeypatch):
    """What the processor can do, in place of what this one can; any model is large enough."""
    found = {"avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    monkeypatch.setattr(half_precision, "SMALLEST_MODEL", 1)
    return found


@pytest.fixture
def auto(tiny_folder):
    return LanguageModel.load(ModelSpec(path=str(tiny_folder), device="cpu"))


def test_a_processor_with_the_instructions_is_offered_bfloat16(capabilities, auto):
    assert "model.dtype=bfloat16 would be 1.5 to 2.5 times as fast" in bfloat16_note(auto)
    capabilities.update(avx512_bf16=False, amx_bf16=True)
    assert bfloat16_note(auto) is not None


def test_a_processor_without_them_is_offered_nothing(capabilities, auto):
    capabilities.update(avx512_bf16=False)
    assert bfloat16_note(auto) is None
    capabilities.clear()
    assert bfloat16_note(auto) is None


def test_a_torch_that_cannot_say_offers_nothing(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not processor_has_bfloat16()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_whoever_has_chosen_a_dtype_is_offered_nothing(dtype, capabilities, tiny_folder):
    model = LanguageModel.load(ModelSpec(path=str(tiny_folder), device="cpu", dtype=dtype))
    assert bfloat16_note(model) is None


def test_a_small_model_is_offered_nothing(capabilities, auto, monkeypatch):
    monkeypatch.setattr(half_precision, "SMALLEST_MODEL", auto.parameters + 1)
    assert bfloat16_note(auto) is None


def test_half_the_bytes_for_keys_and_values_in_the_plan(auto):
    half = LanguageModel.load(dataclasses.replace(auto.spec, dtype="bfloat16"))
    assert half.cache_bytes_per_token * 2 == auto.cache_bytes_per_token
    assert (half.identity["dtype"], auto.identity["dtype"]) == ("bfloat16", "float32")


def test_the_line_stands_before_the_plan(capabilities, tmp_path, caplog):
    words = ["model=mini", "model.device=cpu", "task=mini_xlsum", "task.limit=1", "strategy=fixed", "dry_run=true"]
    with caplog.at_level(logging.INFO):
        assert main(["generate", *words, f"paths.runs={tmp_path}"]) == 0
    lines = [record.getMessage() for record in caplog.records]
    (at,) = [number for number, line in enumerate(lines) if "model.dtype=bfloat16" in line]
    assert any("1 prompt × 1 row" in line or "to decode" in line or "new tokens" in line for line in lines[at + 1 :])
