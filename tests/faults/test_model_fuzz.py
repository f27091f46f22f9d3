"""A damaged model folder is refused in one sentence, or reads and continues texts: never a traceback, never random weights."""

import random
import warnings

import pytest
import torch
from safetensors.torch import load_file

from edt.errors import EdtError
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from tests.faults.config_fuzz import SECONDS, TooLong, bound
from tests.faults.model_fuzz import cases, copy, spoil

SEED = 18


def complaint(tiny, folder, case):
    """What is wrong with how loading ends; empty where nothing is."""
    spoil(copy(tiny, folder), *case)
    try:
        with bound(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LanguageModel.load(ModelSpec(path=str(folder), device="cpu"))
            ids = model.tokenize("A sentence.")
            _ = (model.eos_ids, model.identity, model.special_tokens, model.pad_id, model.context)
            _ = model.cache_bytes_per_token, model.decode([ids])
    except EdtError as error:
        said = str(error)
        return "" if folder.name in said and "\n" not in said else f"without the folder, or several lines: {said:.200}"
    except TooLong:
        return f"no end within {SECONDS} s"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.200}"
    # What is loaded has the weights of the files, each of them.
    weights, loaded = load_file(folder / "model.safetensors"), model.model.state_dict()
    if not all(name in loaded and torch.equal(loaded[name], value) for name, value in weights.items()):
        return "it is loaded without a weight of its files, or with another"
    return ""


def complaints(tiny, folder, some):
    return {case: said for case in some if (said := complaint(tiny, folder, case))}


def test_a_sample_of_damaged_model_folders(tiny_folder, tmp_path):
    some = random.Random(SEED).sample(list(cases(tiny_folder)), 40)
    assert not complaints(tiny_folder, tmp_path / "spoilt", some)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_damaged_model_folder(tiny_folder, tmp_path):
    assert not complaints(tiny_folder, tmp_path / "spoilt", cases(tiny_folder))
