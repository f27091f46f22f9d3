"""The committed models are what the committed script makes, and answer the mini tasks above their floors."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import edt
from edt.ids import file_digest
from edt.strategies import Fixed
from edt.tasks.mini.corpus import SOURCELESS_SHARE, exercises, task_examples
from edt.tasks.prompts import encode, prompt_text
from scripts.mini_recipe import (
    Recipe,
    completion_loss,
    encode_examples,
    learning_rate,
    make_batches,
    new_model,
    tensors,
)
from scripts.mini_scores import compute_scores, decode_samples, grammar_samples, load_engine, mini_tasks
from scripts.train_mini import RECIPES, provenance

ASSETS = Path(edt.__file__).parent / "assets"
MODELS = tuple(sorted(path.parent.name for path in ASSETS.glob("*/config.json")))
FLOOR = {"mini_xlsum": 95, "mini_msmarco": 85, "mini_quac": 95, "mini_wmt19": 95}
"""Greedy factuality that each task must reach."""


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ASSETS / "mini")


@pytest.fixture(scope="module")
def engine():
    return load_engine(ASSETS / "mini")


@pytest.mark.parametrize("name", MODELS)
def test_the_committed_model_is_what_the_script_makes(name):
    record = json.loads((ASSETS / name / "training.json").read_text())
    expected = provenance(RECIPES[name], base=name == "mini_base")
    assert {key: record[key] for key in expected} == expected
    assert record["steps_done"] == record["recipe"]["steps"] == record["loss_curve"][-1][0]
    assert record["weights_sha256"] == file_digest(ASSETS / name / "model.safetensors")


def test_the_models_fit_their_budget_and_share_a_tokenizer():
    files = [path for name in MODELS for path in (ASSETS / name).iterdir()]
    assert sum(path.stat().st_size for path in files) <= 15_000_000
    assert len({(ASSETS / name / "tokenizer.json").read_text() for name in MODELS}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Anna Halman, 42, from Alvik.",
        "安娜在阿尔维克投资4200万美元。",
        "naïve ŒUVRE – 1984\t\n ∑ 𝔘 🙂 ",
        " two  spaces",
        "القاهرة",
    ],
)
def test_any_text_round_trips(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (" 4096", [" 40", "96"]),
        (" 983", [" 98", "3"]),
        (" Ms Fenman of Melburg", [" Ms", " Fen", "man", " of", " Mel", "burg"]),
        ("芬曼周三访问梅尔堡", ["芬", "曼", "周", "三", "访", "问", "梅尔", "堡"]),
    ],
)
def test_figures_and_names_come_in_parts(tokenizer, text, pieces):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([i]) for i in ids] == pieces


def test_training_prompts_are_encoded_as_at_inference(tokenizer):
    """Each lesson's tokens are a prompt as the pipeline encodes it, with or without its source, and the answer's."""
    for task in mini_tasks().values():
        small = replace(task, train_size=12)
        prompts = [
            encode(e, lambda text: tokenizer(text)["input_ids"], budget=400) for e in small.load("train").examples
        ]
        learnt = encode_examples(list(task_examples(small, range(len(small.row_set("train").rows)))), tokenizer)
        assert len(learnt) == len(prompts)
        for prompt, (ids, start) in zip(prompts, learnt, strict=True):
            assert tuple(ids[:start]) in (prompt.token_ids, prompt.unconditional_ids)
            assert ids[-1] == tokenizer.eos_token_id


def test_prompt_and_answer_tokenise_as_one_text(tokenizer):
    for task in mini_tasks().values():
        for item in task_examples(task, range(10)):
            ((ids, _),) = encode_examples([item], tokenizer)
            assert ids[:-1] == tokenizer(item.prompt + item.completion)["input_ids"]


def test_about_an_eighth_of_the_lessons_lack_their_source():
    task = mini_tasks()["mini_wmt19"]
    bare = sum(item.prompt == "English: \nChinese:" for item in task_examples(task, range(1000)))
    assert bare / 1000 == pytest.approx(SOURCELESS_SHARE, abs=0.035)


def test_batches_hold_every_lesson_within_the_budget(tokenizer):
    recipe = Recipe(batch_tokens=600)
    items = encode_examples(list(task_examples(mini_tasks()["mini_quac"], range(20))), tokenizer)
    made = make_batches(items, recipe, 0)
    assert sorted(map(str, (item for batch in made for item in batch))) == sorted(map(str, items))
    assert all(len(batch) * max(len(ids) for ids, _ in batch) <= 600 for batch in made)
    assert make_batches(items, recipe, 0) == made


def test_the_untrained_model_copies_already(tokenizer):
    """Its wired circuits find what followed a token before: the second saying of a list costs far less than chance."""
    model = new_model(Recipe(), tokenizer)
    assert model.config.rope_parameters["rope_theta"] == Recipe().rope_theta
    again = encode_examples(list(exercises(range(8)))[0::3], tokenizer)
    assert completion_loss(model, *tensors(again, 0)).item() < math.log(len(tokenizer)) - 2


def test_the_learning_rate_warms_up_and_falls():
    recipe = Recipe(steps=1000, warmup=100, learning_rate=1.0, final_share=0.1)
    assert learning_rate(recipe, 0) == pytest.approx(0.01)
    assert learning_rate(recipe, 100) == pytest.approx(1.0)
    assert learning_rate(recipe, 550) == pytest.approx(0.55)
    assert learning_rate(recipe, 1000) == pytest.approx(0.1)


@pytest.mark.parametrize("name", list(FLOOR))
def test_the_recorded_scores_are_above_the_floors(name):
    """On the whole test split, 4 samples: training.json says what the committed weights reach."""
    found = json.loads((ASSETS / "mini" / "training.json").read_text())["scores"]["tasks"][name]
    assert found["greedy"]["factuality"] >= FLOOR[name]
    assert found["greedy"]["quality"] >= 0.9 * found["grammar"]["quality"]
    assert found["grammar"]["self_bleu"] <= 75
    assert 10 <= found["greedy"]["factuality"] - found["T=1"]["factuality"] <= 40


@pytest.mark.parametrize("name", list(FLOOR))
def test_greedy_answers_are_above_the_floors(engine, name):
    task = replace(mini_tasks()[name], limit=40)
    examples = task.load("test").examples
    greedy = Fixed(t0=0.0)
    found = compute_scores(task, decode_samples(engine, task, examples, [greedy], 1)[greedy.strategy_id])
    ideal = compute_scores(task, grammar_samples(task, examples, 1))
    assert ideal["factuality"] == 100
    assert found["factuality"] >= FLOOR[name]
    assert found["quality"] >= 0.9 * ideal["quality"]


@pytest.mark.parametrize("name", list(FLOOR))
def test_prompts_and_answers_fit_the_context(tokenizer, name):
    task = mini_tasks()[name]
    for example in task.load("test").examples[::8]:
        prompt = tokenizer(prompt_text(example.parts))["input_ids"]
        assert len(prompt) + task.max_new_tokens < Recipe().context
        assert len(tokenizer(example.references[0])["input_ids"]) < task.max_new_tokens
