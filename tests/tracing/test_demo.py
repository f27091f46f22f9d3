"""The demos: their figures, and that the embedded model shows what they are for."""

import io

import pytest
import torch
from rich.console import Console

from edt.cli import main
from edt.decoding.engine_specs import BatchedSpec
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import EDT, Fixed
from edt.tracing import demo as demos
from edt.tracing.demo import Distribution, compare_distributions
from edt.tracing.demo_results import PromptSamples, TemperatureSamples, summary
from edt.tracing.demo_terminal import print_demo


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """Run a demo and give what it printed from."""

    def run(*words):
        found = []
        monkeypatch.setattr(demos, "print_demo", lambda results, console: found.append(results))
        assert main(["trace", "model.device=cpu", f"paths.traces={tmp_path}", *words]) == 0
        return found[0]

    return run


def test_low_temperatures_repeat_and_high_ones_vary(shown):
    prompts = shown("demo=temperature").prompts
    assert [column.temperature for column in prompts[0].columns] == [0.1, 0.5, 1.0]
    distinct = [sum(prompt.columns[index].distinct for prompt in prompts) for index in range(3)]
    similarity = [sum(prompt.columns[index].self_bleu for prompt in prompts) / 3 for index in range(3)]
    assert distinct == sorted(distinct)
    assert distinct[0] <= 15 / 3
    assert distinct[-1] >= 15 * 2 / 3
    assert similarity == sorted(similarity, reverse=True)
    assert similarity[0] > 95


def test_heat_changes_a_story_more_than_an_explanation(shown):
    story, explanation = shown("demo=story").prompts
    assert (story.label, explanation.label) == ("free narrative", "fixed explanation")
    cold, warm, hot = zip(story.columns, explanation.columns, strict=True)
    assert cold[0].self_bleu - warm[0].self_bleu > 10
    assert cold[1].texts == warm[1].texts, "what is certain stays at T = 1"
    assert cold[1].distinct == 1
    assert hot[0].self_bleu < warm[0].self_bleu
    assert warm[0].entropy > 10 * warm[1].entropy


def test_demos_print_and_write_a_page(tmp_path, capsys):
    words = ["sampling.samples=2", "sampling.max_new_tokens=3", "model.device=cpu", f"paths.traces={tmp_path}"]
    assert main(["trace", "demo=temperature", *words]) == 0
    said = capsys.readouterr().out
    for text in ("What a temperature does", "top_p=0.9", "T = 0.1", "Self-BLEU", " of 6", "█"):
        assert text in said
    (page,) = tmp_path.rglob("demo.html")
    assert f"page: {page}" in said
    assert "Harbor Steel has a new" in page.read_text()


@pytest.mark.parametrize("name", ["temperature", "story"])
def test_the_variants_for_gpt2_run_on_any_model(name, shown, tiny_folder, capsys):
    words = [f"demo={name}_gpt2", "model=hf", f"model.path={tiny_folder}", "sampling.max_new_tokens=2"]
    assert main(["trace", *words, "--cfg", "job"]) == 0
    config = capsys.readouterr().out
    assert f"path: {tiny_folder}" in config
    assert "Once upon a time" in config
    prompts = ["Once upon a time", "Artificial intelligence is"]
    results = shown(*words, f"demo.prompts={prompts}", "sampling.samples=1")
    assert [block.prompt for block in results.prompts] == prompts
    assert results.prompts[0].columns[0].self_bleu is None, "one sample has nothing to be like"


def test_gpt2_has_the_prompts_of_its_tutorials(capsys):
    assert main(["trace", "demo=temperature_gpt2", "--cfg", "job"]) == 0
    config = capsys.readouterr().out
    assert "path: openai-community/gpt2" in config
    for text in ("The meaning of life is", "herd of unicorns", "Artificial intelligence is"):
        assert text in config


@pytest.fixture(scope="module")
def engine():
    return BatchedSpec().build(LanguageModel.load(ModelSpec(path="edt:mini_base", dtype="float64", device="cpu")))


def test_a_distribution_under_several_settings(engine):
    settings = {
        "plain": Fixed(t0=1),
        "cool": Fixed(t0=0.5),
        "k": Fixed(t0=1, top_k=5),
        "p": Fixed(t0=1, top_p=0.9),
        "greedy": Fixed(t0=0),
        "edt": EDT(t0=1, theta=0.5),
    }
    text = "Harbor Steel has a new"
    found = compare_distributions(Distribution(prompt=text, settings=settings, tokens=7), engine)
    model = engine.model
    logits = model.model(torch.tensor([model.tokenize(text)])).logits[0, -1]
    p = logits.softmax(-1).sort(descending=True).values
    by_name = {setting.name: setting for setting in found.settings}
    assert len(found.tokens) == 7
    assert found.tokens[0] == model.tokenizer.decode([int(logits.argmax())])
    assert by_name["plain"].probabilities == pytest.approx(p[:7].tolist())
    assert by_name["plain"].others == pytest.approx(float(p[7:].sum()))
    assert by_name["plain"].entropy == pytest.approx(float(torch.distributions.Categorical(p).entropy()))
    assert by_name["cool"].probabilities == pytest.approx((p[:7] ** 2 / (p**2).sum()).tolist())
    assert by_name["k"].probabilities == pytest.approx([*(p[:5] / p[:5].sum()).tolist(), 0, 0])
    assert (by_name["k"].kept_tokens, by_name["k"].others) == (5, 0.0)
    kept = by_name["p"].kept_tokens
    assert float(p[: kept - 1].sum()) < 0.9 <= float(p[:kept].sum())
    assert (by_name["greedy"].probabilities[0], by_name["greedy"].entropy) == (1, 0)
    wanted = 0.8 ** (0.5 / by_name["plain"].entropy)
    assert by_name["edt"].temperature == pytest.approx(wanted)


def test_the_summary_by_hand():
    def block(label, texts, self_bleu):
        return PromptSamples(
            label=label,
            prompt="p",
            columns=(TemperatureSamples(temperature=0.5, texts=texts, self_bleu=self_bleu, entropy=0.25),),
        )

    blocks = [block("", ("a", "a", "b"), 60.0), block("", ("c", "c", "c"), 100.0)]
    assert blocks[0].columns[0].repeats == [None, 0, None]
    assert summary(blocks) == [("all prompts", [("0.5", "3 of 6", "80.0", "0.25")])]
    assert summary([block("x", ("a",), None)]) == [("x", [("0.5", "1 of 1", "–", "0.25")])]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_demo_fits_its_terminal(shown, width):
    results = shown("demo=temperature", "sampling.samples=2", "sampling.max_new_tokens=3")
    console = Console(file=io.StringIO(), width=width)
    print_demo(results, console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (chief,) = [line for line in lines if line.startswith("  chief")]
    if width >= 80:
        assert "…" not in chief
