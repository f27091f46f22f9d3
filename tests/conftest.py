"""Fixtures that several test files share."""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import absl.logging
import pytest
import torch

CONTEXT = 256

# rouge_score brings absl's log handler, which keeps the stderr of its import: here pytest's captured one. Hydra closes all
# handlers when it sets up logging, and absl then closes that stream, unless it is the process's own.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A random Llama over bytes, small enough for float64 and sharp enough that its entropy varies."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<bos>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(25.0)
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """The random Llama in float64, where batch shape cannot move a draw."""
    from edt.decoding.model import LanguageModel, ModelSpec

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
