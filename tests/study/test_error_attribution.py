"""Where errors come from: departures by hand, admissible tokens by brute force, oracles that keep their word."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from edt.cli.build import generation_request
from edt.cli.composition import compose
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.metrics.admissible import START, Automaton
from edt.metrics.factuality import is_correct
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Generation
from edt.study.attribution.departures import bin_names, count_departures, first_departure
from edt.study.attribution.loss_by_entropy import EDGES, TEMPERATURES, _bins, loss_by_entropy
from edt.study.attribution.oracle import Oracle, decode_oracle
from edt.study.attribution.vocabulary import AdmissibleTokens, ByteVocabulary
from edt.study.experiments import error_attribution
from edt.study.experiments.error_attribution import ErrorAttribution
from edt.tasks.mini import MiniWMT19, MiniXLSum
from edt.tasks.prompts import encode
from tests.tasks.test_mini_grammar import task_of


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))


@pytest.fixture(scope="module")
def vocabulary(model):
    return ByteVocabulary.of(model)


def examples_of(kind, count):
    return task_of(kind, test_size=count).load("test").examples


def ids_of(model, text, *, space=True):
    return model.tokenizer((" " if space else "") + text, add_special_tokens=False)["input_ids"]


def generation(example, ids, entropy, text, reason="eos"):
    return Generation(
        task=example.task, split="test", example_id=example.example_id, cluster_id=example.example_id,
        strategy_id="fixed(t0=1)", family="fixed", params={"t0": 1.0}, granularity="token", sample=0,
        token_ids=tuple(ids), text=text, finish_reason=reason, t_mean=1.0, t_min=1.0, t_max=1.0, h_mean=0.0,
        floored_steps=0, prompt_tokens=1, truncated_tokens=0, trace_entropy=tuple(entropy),
        trace_temperature=tuple(1.0 for _ in entropy),
    )  # fmt: skip


def test_bytes_of_tokens_are_the_text(model, vocabulary):
    for text in (" Nova Steel will cut 340 jobs in Falport.", "据报道，新星钢铁周日宣布", " ½ € 😀"):
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert b"".join(vocabulary.token_bytes[i] for i in ids).decode() == text


def test_a_departure_is_found_at_its_token(model, vocabulary):
    (example,) = examples_of(MiniXLSum, 1)
    automaton, (end, *_) = Automaton(example.meta["grammar"]), sorted(model.eos_ids)
    right = ids_of(model, example.references[0])
    assert first_departure(vocabulary, automaton, [*right, end]) is None
    assert first_departure(vocabulary, automaton, right) is None, "cut by the limit, not wrong"
    assert first_departure(vocabulary, automaton, [*right[:-1], end]) == len(right) - 1, "an end that comes too early"
    assert first_departure(vocabulary, automaton, [*right, right[0], end]) == len(right), "no end where it is right"
    (foreign,) = ids_of(model, "flood")[:1]
    assert first_departure(vocabulary, automaton, [*right[:3], foreign, *right[3:], end]) == 3


def test_departures_are_counted_by_the_entropy_of_their_step(model, vocabulary):
    (example,) = examples_of(MiniXLSum, 1)
    (end, *_), right = sorted(model.eos_ids), ids_of(model, example.references[0])
    (foreign,) = ids_of(model, "flood")[:1]
    entropy = [0.05] * len(right) + [0.05]
    wrong = [right[0], foreign, *right[2:], end]
    made = [
        generation(example, [*right, end], entropy, example.references[0]),
        generation(example, wrong, [0.2, 1.5, *entropy[2:]], model.decode([wrong[:-1]])[0]),
        generation(example, wrong, [0.2, 0.02, *entropy[2:]], model.decode([wrong[:-1]])[0]),
        generation(example, right[:4], entropy[:4], model.decode([right[:4]])[0], "length"),
    ]
    automata = {example.example_id: Automaton(example.meta["grammar"])}
    found = count_departures(vocabulary, automata, [example], {example.example_id: made})

    assert (found.outputs, found.correct, found.cut, found.wrong) == (4, 1, 1, 2)
    assert dict(zip(bin_names(), found.departed, strict=True)) == {
        "< 0.1": 1, "0.1–0.3": 0, "0.3–0.7": 0, "0.7–2": 1, "≥ 2": 0,
    }  # fmt: skip
    # up to the departure: all of the right one, two of each wrong one, four of the cut one
    assert found.steps.sum() == len(right) + 1 + 2 + 2 + 4
    assert found.at_unsure == 0.5
    assert found.distinct == [1]


@pytest.mark.parametrize("kind", [MiniXLSum, MiniWMT19])
def test_admissible_tokens_are_those_of_a_trial_of_every_token(model, vocabulary, kind):
    (example,) = examples_of(kind, 1)
    automaton = Automaton(example.meta["grammar"])
    ids, state = ids_of(model, example.references[0], space=kind is MiniXLSum), START
    for step, token in enumerate(ids):
        if step % 4 == 0:
            tried = {
                i
                for i, content in enumerate(vocabulary.token_bytes)
                if (automaton.is_correct(state) if i in model.eos_ids else automaton.read(state, content) is not None)
            }
            assert {i for i, _ in vocabulary.admissible(automaton, state)} == tried
            assert token in tried
        state = automaton.read(state, vocabulary.token_bytes[token])


@pytest.mark.parametrize("kind", [MiniXLSum, MiniWMT19])
def test_weights_count_each_right_output_once(model, vocabulary, kind):
    (example,) = examples_of(kind, 1)
    automaton, state = Automaton(example.meta["grammar"]), START
    for token in ids_of(model, example.references[0], space=kind is MiniXLSum)[:6]:
        options = AdmissibleTokens(vocabulary, automaton).at(state)
        # An unfinished word is also counted at the state itself, so the sum is of what begins with a token.
        assert sum(options.weights.values()) == automaton.completions(state)
        assert all(weight >= 0 for weight in options.weights.values())
        assert options.weights[options.following[token]] > 0, "the tokenizer's own token has a weight"
        state = options.following[token]


@pytest.mark.parametrize(
    "oracle", [Oracle(temperature=1.5, truncates=True), Oracle(truncates=True), Oracle(care=30.0)], ids=str
)
def test_what_an_oracle_returns_is_correct(model, vocabulary, oracle):
    examples = examples_of(MiniXLSum, 3)
    prompts = [encode(example, model.tokenize, budget=400) for example in examples]
    tokens = {e.example_id: AdmissibleTokens(vocabulary, Automaton(e.meta["grammar"])) for e in examples}
    outputs = decode_oracle(
        model, prompts, tokens, oracle, sampling=Sampling(samples=4), limits=Limits(max_new_tokens=48, stop=("\n",))
    )
    for example in examples:
        made = outputs[example.example_id]
        texts = [model.decode([ids[:-1]])[0] for ids in made if ids is not None]
        assert all(is_correct(example, text) for text in texts)
        # with truncation nothing departs, and no output waits for its end until the limit
        assert len(made) == 4
        assert len(texts) >= (4 if oracle.truncates else 2)


def test_an_oracle_at_a_fixed_temperature_draws_what_the_engine_draws(model, vocabulary):
    """Truncation leaves a token alone that was right: where the engine's output is correct, it is the same."""
    from edt.decoding.engine_specs import BatchedSpec
    from edt.strategies import Fixed
    from edt.tracing.decode_in_memory import decode_traced

    examples = examples_of(MiniXLSum, 4)
    prompts = [encode(example, model.tokenize, budget=400) for example in examples]
    sampling, limits = Sampling(samples=4), Limits(max_new_tokens=48, stop=("\n",))
    tokens = {e.example_id: AdmissibleTokens(vocabulary, Automaton(e.meta["grammar"])) for e in examples}
    oracle = decode_oracle(
        model, prompts, tokens, Oracle(temperature=1.0, truncates=True), sampling=sampling, limits=limits
    )
    by_id = {example.example_id: example for example in examples}
    made = decode_traced(BatchedSpec().build(model), prompts, [Fixed(t0=1.0)], sampling, limits)
    right = [g for g in made if is_correct(by_id[g.example_id], g.text)]
    assert len(right) >= 8
    assert all(oracle[g.example_id][g.sample] == g.token_ids for g in right)


def test_best_temperature_of_a_bin_is_that_of_a_scaled_model():
    """A model whose logits are the truth's times two is right at T = 2: the loss has its minimum there."""
    generator = torch.Generator().manual_seed(1)
    truth_NV = torch.randn(20_000, 12, generator=generator, dtype=torch.float64)
    drawn_N1 = torch.multinomial(truth_NV.softmax(-1), 1, generator=generator)
    logits_NV = 2 * truth_NV
    loss_NT = torch.stack(
        [logits_NV.div(t).logsumexp(-1) - logits_NV.gather(-1, drawn_N1).squeeze(-1) / t for t in TEMPERATURES], dim=-1
    )
    columns = np.zeros((20_000, 6))
    columns[:, 0] = np.arange(20_000) // 100
    columns[:, 1] = 1.5
    (entry,) = (e for e in _bins(columns, loss_NT.numpy(), seed=0) if e.tokens)
    assert (entry.low, entry.high) == (1.2, 2.0)
    assert entry.best == pytest.approx(2.0, abs=0.1)
    assert entry.interval[0] <= entry.best <= entry.interval[1]
    assert entry.gain > 0.05


def test_loss_at_t_1_is_the_models_loss(model):
    ids, prompt = ids_of(model, "Nova Steel will cut 340 jobs."), model.tokenize("Article: Nova Steel.\nSummary:")
    bins = loss_by_entropy(model, [(prompt, ids)])
    assert sum(entry.tokens for entry in bins) == len(ids)
    assert len(bins) == len(EDGES) + 1
    # perplexity by transformers' own loss
    labels = torch.tensor([[-100] * len(prompt) + ids])
    with torch.inference_mode():
        expected = model.model(input_ids=torch.tensor([[*prompt, *ids]]), labels=labels).loss.item()
    from edt.study.attribution.loss_by_entropy import _reference_steps

    _, loss_ST = _reference_steps(model, prompt, ids)
    assert loss_ST[:, TEMPERATURES.index(1.0)].mean() == pytest.approx(expected, rel=1e-4)


def study_of(limit=4):
    words = ["task=mini_xlsum", "task.split=[dev,test]", f"task.limit={limit}", "model.device=cpu"]
    request = generation_request(OmegaConf.to_container(compose("run", words)))
    from edt.tracing.study_tracer import StudyTracer

    tasks = {task.task.name: SimpleNamespace(task=task.task) for task in request.tasks}
    return SimpleNamespace(request=request, tracer=StudyTracer(request), tasks=tasks)


def test_the_experiment_writes_its_files_and_finds_what_the_audit_found(tmp_path, monkeypatch):
    """93 to 97 % of the first departures at T = 1 are at steps of 0.1 nats or more (an audit of 30,000 tokens)."""
    few = {"fixed": (error_attribution.Fixed(t0=1.0), error_attribution.Fixed(t0=1.4))}
    monkeypatch.setattr(error_attribution, "RULES", few)
    monkeypatch.setattr(
        error_attribution, "ORACLES", {"oracle: truncation": (Oracle(temperature=1.4, truncates=True),)}
    )
    result = ErrorAttribution(examples=12, samples=8, references=6).write(study_of(12), tmp_path, {})

    assert {path.name for path in tmp_path.iterdir()} == {
        "departures.png", "departures.svg", "settings.csv", "temperature.csv",
    }  # fmt: skip
    table = result.section.tables[0]
    rows = {(row[1], row[2]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    at_one = rows["fixed", "fixed(t0=1)"]
    assert float(at_one["% at H ≥ 0.1"]) > 80
    assert 30 < float(at_one["% of steps at H < 0.1"]) < 75
    shares = [float(value) for name, value in at_one.items() if name.startswith("% first departures")]
    assert sum(shares) == pytest.approx(100, abs=3)
    assert float(rows["oracle: truncation", "t0=1.4"]["% wrong"]) < float(at_one["% wrong"])
    assert ("ideal sampler", "grammar") in rows


def test_a_tokenizer_without_bytes_is_refused(model):
    other = replace(model, tokenizer=SimpleNamespace(), spec=ModelSpec(path="other"))
    with pytest.raises(ConfigError, match="the tokenizer of other is not byte-level"):
        ByteVocabulary.of(other)


@pytest.mark.parametrize("name", ["examples", "samples", "references"])
def test_a_wrong_size_is_refused(name):
    with pytest.raises(ConfigError, match=rf"experiments.error_attribution.{name} is 0"):
        ErrorAttribution(**{name: 0})
