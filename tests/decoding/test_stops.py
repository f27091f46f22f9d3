"""Where texts end: stop strings on the tokens of real kinds of tokenizers, special tokens, and all named end tokens."""

import json
import logging
import random
import shutil

import pytest
import torch

from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.sampling import Limits
from edt.decoding.stops import StopWatch, cut_at_stop
from edt.errors import ConfigError
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import Fixed
from tests.support.engine_rows import generate, plan

STOPS = [(". ",), ("\n",), ("。",), (" the", "!"), ("é",), ("\n\n", "e "), ("a",), ("  ",), ("\t", "…"), ("<end>",)]


def sentencepiece_like():
    """A tokenizer that writes a space with the next word and spells other characters byte by byte, as Llama's does."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += ["▁", "▁▁", "▁the", "▁a", "the", "a", ".", "!", "é", "▁é", "e", "▁e", "。", "<", "end", ">", "\n\n"]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def suffix_of_words():
    """A tokenizer that ends a word with a mark, whose space shows only before the next word, as GPT's first one did."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", ".</w>", "the</w>", "a", "a</w>", "!", "!</w>", "e", "e</w>", "é", "\n</w>"]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.fixture(scope="module")
def tokenizers(tiny):
    mini = LanguageModel.load(ModelSpec(path="edt:mini"))
    return {
        "bytes": tiny.tokenizer,
        "mini": mini.tokenizer,
        "sentencepiece": sentencepiece_like(),
        "suffix": suffix_of_words(),
    }


def decoder(tokenizer):
    return lambda rows: tokenizer.batch_decode(
        [list(row) for row in rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


def check_stream(tokenizer, limits, tokens):
    """The watch fires where the definition says: at the first step whose whole text holds a stop after some text."""
    decode = decoder(tokenizer)
    watch = StopWatch(limits, decode, vocabulary=len(tokenizer), tokens=len(tokenizer), special={})
    for step in range(1, len(tokens) + 1):
        (text,) = decode([tokens[:step]])
        # By hand, in words of the definition: some stop has a visible character somewhere before it.
        ends = [
            at
            for stop in limits.stop
            for at in range(len(text))
            if text.startswith(stop, at) and (limits.stops_before_text or text[:at].strip())
        ]
        fired = bool(watch.stopped(torch.tensor([tokens[:step]]))[0])
        assert fired == bool(ends), (limits.stop, text)
        if fired:
            assert cut_at_stop(text, limits) == text[: min(ends)]
            return True
    return False


@pytest.mark.parametrize("before_text", [False, True])
@pytest.mark.parametrize("name", ["bytes", "mini", "sentencepiece", "suffix"])
def test_a_stop_ends_a_text_where_the_definition_says(tokenizers, name, before_text):
    tokenizer, draw = tokenizers[name], random.Random(0)
    fired = 0
    for number in range(60):
        limits = Limits(max_new_tokens=9, stop=STOPS[number % len(STOPS)], stops_before_text=before_text)
        # Tokens of the stop among others, in any order: half of a character, spaces at the beginning, a stop across
        # three tokens.
        own = [token for text in limits.stop for token in tokenizer(text).input_ids]
        pool = [*own * 2, *draw.choices(range(len(tokenizer)), k=max(3, len(own)))]
        fired += check_stream(tokenizer, limits, [draw.choice(pool) for _ in range(12)])
    assert fired > 15


def test_stops_of_a_real_sentencepiece_model(real_model):
    model = LanguageModel.load(ModelSpec(path=str(real_model)))
    tokens = model.tokenize("Once upon a time, there was a girl. She saw a big dog.\nThe end.")[1:]
    for stop in [(". ",), (". She",), ("\n",), (" big",)]:
        assert check_stream(model.tokenizer, Limits(max_new_tokens=9, stop=stop), tokens)


@pytest.mark.parametrize(
    ("text", "stop", "kept"),
    [
        ("\n\nThe answer.\nMore", ("\n",), "\n\nThe answer."),
        ("\n \n", ("\n",), "\n \n"),
        ("### One ### Two", ("###",), "### One "),
        ("One two", ("three",), "One two"),
        ("a, b. c", (". ", ","), "a"),
    ],
)
def test_a_stop_counts_only_after_text(text, stop, kept):
    assert cut_at_stop(text, Limits(max_new_tokens=1, stop=stop)) == kept


def test_both_rules_are_two_identities_and_without_stops_one():
    after, before = (Limits(max_new_tokens=5, stop=("\n",), stops_before_text=rule) for rule in (False, True))
    assert after.identity() != before.identity() == {"max_new_tokens": 5, "stop": ["\n"]}
    free = Limits(max_new_tokens=5, stop=())
    assert free.identity() == {"max_new_tokens": 5, "stop": []}


@pytest.fixture(scope="module")
def with_marker(tiny_folder, tmp_path_factory):
    """The random model, with one of its tokens as a chat marker that no text shows."""
    folder = tmp_path_factory.mktemp("marked") / "model"
    shutil.copytree(tiny_folder, folder)
    marker = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["e"]
    for file in ("tokenizer.json", "tokenizer_config.json"):
        content = json.loads((folder / file).read_text())
        if file == "tokenizer.json":
            content["model"]["vocab"]["<|turn|>"] = content["model"]["vocab"].pop("e")
            content["added_tokens"].append(
                {"id": marker, "content": "<|turn|>", "special": True, "normalized": False}
                | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
            )
        (folder / file).write_text(json.dumps(content))
    return LanguageModel.load(ModelSpec(path=str(folder), dtype="float64", device="cpu")), marker


@pytest.mark.parametrize("spec", [BatchedSpec(), ReferenceSpec()])
def test_a_special_token_as_a_stop_ends_a_text_at_its_id(with_marker, prompts, spec):
    model, marker = with_marker
    rows = generate(model, prompts[:2], [Fixed(t0=1.5)], samples=12, tokens=24, stop=("<|turn|>",), spec=spec).values()
    stopped = [row for row in rows if row.finish_reason == "stop"]
    assert stopped
    assert all(row.token_ids[-1] == marker and marker not in row.token_ids[:-1] for row in stopped)
    assert not any(marker in row.token_ids for row in rows if row.finish_reason != "stop")


def test_a_special_token_with_text_around_it_is_refused_before_decoding(with_marker, prompts):
    model, _ = with_marker
    with pytest.raises(ConfigError, match=r"holds the special token '<\|turn\|>'.*give the token alone"):
        plan(BatchedSpec().build(model), prompts, [Fixed(t0=1)], [], Limits(max_new_tokens=3, stop=("<|turn|>\n",)))


def changed(tiny_folder, folder, **files):
    """A copy of the random model with other end tokens in its files."""
    shutil.copytree(tiny_folder, folder)
    for name, eos in files.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": eos}))
    return LanguageModel.load(ModelSpec(path=str(folder), dtype="float64", device="cpu"))


def test_all_end_tokens_that_the_files_name_end_a_text(tiny_folder, prompts, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="edt")
    model = changed(tiny_folder, tmp_path / "m", generation_config=[71, 72], config=73)
    assert model.eos_ids == {2, 71, 72, 73}  # 2 is the tokenizer's
    assert sum("name different end tokens" in line and "tokenizer: 2 '<eos>'" in line for line in caplog.messages) == 1

    rows = generate(model, prompts, [Fixed(t0=1.5)], samples=30, tokens=30).values()
    assert {row.token_ids[-1] for row in rows if row.finish_reason == "eos"} == {2, 71, 72, 73}
    for row in rows:
        ended = row.finish_reason == "eos"
        # An end token of an ordinary kind has a text, which is no part of the output.
        assert row.text == model.decode([row.token_ids[: len(row.token_ids) - ended]])[0].strip()
        assert not model.eos_ids & set(row.token_ids[: len(row.token_ids) - ended])


def test_files_that_agree_or_name_fewer_are_not_mentioned(tiny_folder, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="edt")
    # As in many chat models: the generation config lists more ends than the others.
    assert changed(tiny_folder, tmp_path / "m", generation_config=[2, 71]).eos_ids == {2, 71}
    assert not caplog.messages


def test_a_config_without_an_end_token_adds_none_of_its_class(tiny_folder, tmp_path):
    """Llama's config class has 2 where the file says nothing, which may be an ordinary token."""
    folder = tmp_path / "m"
    shutil.copytree(tiny_folder, folder)
    for name, end in (("config", None), ("generation_config", 71)):
        content = json.loads((folder / f"{name}.json").read_text())
        content.pop("eos_token_id")
        (folder / f"{name}.json").write_text(json.dumps(content | ({} if end is None else {"eos_token_id": end})))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "eos_token": None}))
    assert LanguageModel.load(ModelSpec(path=str(folder), device="cpu")).eos_ids == {71}
