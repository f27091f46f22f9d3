"""Decoding and tracing from Python: the same tokens as the command line, frames of plain values, errors for people."""

import json
import shutil

import pandas as pd
import pytest

import edt
from edt.errors import ConfigError, DataError, ModelError
from edt.store.parts import read_examples, read_generations
from tests.support.small_runs import run_of

PROMPTS = ["The first prompt", "Another one, longer than the first"]
STRATEGIES = [edt.Fixed(t0=1), edt.EDT(t0=1, theta=0.5)]
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"


@pytest.fixture(scope="module")
def model(tiny_folder):
    return edt.load_model(tiny_folder, device="cpu")


@pytest.fixture(scope="module")
def samples(model):
    return edt.decode(model, PROMPTS, STRATEGIES, samples=2, max_new_tokens=6)


def test_a_row_per_prompt_strategy_and_sample(samples):
    keys = samples[["prompt", "strategy", "sample"]].values.tolist()
    names = [strategy.strategy_id for strategy in STRATEGIES]
    assert keys == [[text, name, k] for text in PROMPTS for name in names for k in range(2)]
    assert samples["theta"].isna().tolist() == [True, True, False, False] * 2
    assert "task" not in samples.columns
    assert "trace_entropy" not in samples.columns


def test_cells_are_plain_values(samples):
    row = samples.to_dict("records")[0]
    assert {name: type(row[name]) for name in ("text", "token_ids", "sample", "t_mean")} == {
        "text": str,
        "token_ids": list,
        "sample": int,
        "t_mean": float,
    }
    assert all(type(token) is int for token in row["token_ids"])
    json.dumps(row["token_ids"])


def test_a_row_depends_on_nothing_but_its_own_identity(model, samples):
    alone = edt.decode(model, PROMPTS[1], STRATEGIES[1], samples=2, max_new_tokens=6)
    rows = samples[(samples["prompt"] == PROMPTS[1]) & (samples["strategy"] == STRATEGIES[1].strategy_id)]
    assert alone["token_ids"].tolist() == rows["token_ids"].tolist()
    assert alone["prompt_id"].tolist() == rows["prompt_id"].tolist()


def test_names_and_seeds_change_the_noise(model, samples):
    def tokens(**given):
        return edt.decode(model, PROMPTS, STRATEGIES, samples=2, max_new_tokens=6, **given)["token_ids"].tolist()

    named = tokens(prompt_ids=["a", "b"])
    assert named == tokens(prompt_ids=["a", "b"])
    assert len({str(ids) for ids in (named, tokens(seed=1), samples["token_ids"].tolist())}) == 3


def test_traces_are_lists_with_a_value_per_token(model):
    (row,) = edt.decode(model, "A text", edt.EDT(t0=1, theta=0.5), max_new_tokens=5, trace=True).to_dict("records")
    assert len(row["trace_entropy"]) == len(row["trace_temperature"]) == len(row["token_ids"])
    assert row["h_mean"] == pytest.approx(sum(row["trace_entropy"]) / len(row["trace_entropy"]))


def test_examples_of_a_run_get_the_tokens_of_the_run(model, ask):
    request = ask(strategies=STRATEGIES)
    run = run_of(request)
    stored = {
        (row["example_id"], row["strategy_id"], row["sample"]): row["token_ids"]
        for row in read_generations(run).to_pylist()
    }
    stop = request.tasks[0].task.stops(chat_template=False)
    frame = edt.decode(model, read_examples(run), STRATEGIES, samples=2, max_new_tokens=6, stop=stop)
    decoded = {(row["prompt_id"], row["strategy"], row["sample"]): row["token_ids"] for row in frame.to_dict("records")}
    assert decoded == stored
    assert {"task", "split", "cluster_id", "references"} <= set(frame.columns)


def test_a_text_gets_the_tokens_of_edt_trace(model, tiny_folder, tmp_path, monkeypatch):
    from edt.cli import main

    monkeypatch.chdir(tmp_path)
    words = [f"model.path={tiny_folder}", "model.device=cpu", "sampling.max_new_tokens=6", "sampling.samples=2"]
    strategy = ["strategy=fixed", "strategy.t0=1"]
    assert main(["trace", "model=hf", *words, *strategy, "prompt=The first prompt", "paths.traces=traces"]) == 0
    (path,) = tmp_path.glob("traces/*/trace.parquet")
    traced = pd.read_parquet(path).groupby("sample")["token_id"].agg(list).tolist()
    frame = edt.decode(model, PROMPTS[0], edt.Fixed(t0=1), samples=2, max_new_tokens=6)
    assert frame["token_ids"].tolist() == traced


def test_kl_guided_temperature_needs_the_prompt_without_its_source(model):
    strategies = [edt.Fixed(t0=1), edt.KLD(t0=1, sigma=1)]
    frame = edt.decode(
        model, PROMPTS, strategies, max_new_tokens=4, unconditional_prompts=["The prompt", "Another one"]
    )
    guided = frame[frame["family"] == "kld"]
    assert (guided["t_mean"] < 1).all()
    with pytest.raises(ConfigError, match=r"kld\(t0=1,sigma=1\).*prompt 1 .*unconditional_prompts"):
        edt.decode(model, PROMPTS, strategies, unconditional_prompts=["The prompt", None])


def test_conversations_are_written_by_the_chat_template(model, tiny_folder, tmp_path):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    with pytest.raises(ModelError, match=r"has no chat template.*give the prompt as a text"):
        edt.decode(model, messages, edt.Fixed(t0=0))
    folder = shutil.copytree(tiny_folder, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text(CHAT)
    chat = edt.load_model(folder, device="cpu", chat_template=True)
    both = edt.decode(chat, [messages, "Hello"], edt.Fixed(t0=1), max_new_tokens=4)
    assert both["prompt"].tolist()[0] == "<system>Be brief.<user>Hello<bot>"
    one = edt.decode(chat, messages, edt.Fixed(t0=1), max_new_tokens=4)
    assert one["token_ids"].tolist() == both["token_ids"].tolist()[:1]
    only_user = edt.decode(chat, [messages[1:]], edt.Fixed(t0=0), max_new_tokens=4)
    as_text = both[both["prompt"] == "Hello"]
    assert only_user["prompt_tokens"].tolist() == as_text["prompt_tokens"].tolist()


def test_a_trace_shows_itself_and_agrees_with_decode(model, samples, tmp_path):
    view = edt.trace(model, PROMPTS[0], STRATEGIES, samples=2, max_new_tokens=6)
    assert [output.text for output in view.trace.outputs] == samples["text"].tolist()[:4]
    html = view._repr_html_()
    assert "http" not in html
    assert "<script" not in html
    assert "edt(t0=1,theta=0.5)" in html
    assert "fixed(t0=1)" in repr(view)
    tokens = view.to_frame()
    by_output = tokens.groupby(["strategy", "sample"], sort=False)["token_id"].agg(list)
    assert by_output.tolist() == samples["token_ids"].tolist()[:4]
    view.save(tmp_path / "trace.html")
    assert "<html" in (tmp_path / "trace.html").read_text()


def test_a_model_says_what_it_is(model, tiny_folder):
    assert repr(model) == f"<edt.Model '{tiny_folder}': {model.n_parameters / 1e6:.3g}M parameters, float32 on cpu>"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"prompts": []}, ConfigError, "prompts is empty"),
        ({"prompts": {"a": "b"}}, ConfigError, "prompts is a mapping.*prompt_ids"),
        ({"prompts": [7]}, ConfigError, "a prompt is 7; it must be a text"),
        ({"prompts": [""]}, DataError, "has no token"),
        ({"prompts": ["x", "x"]}, DataError, "two prompts have the id.*'x'.*prompt_ids"),
        ({"prompt_ids": ["a"]}, ConfigError, "prompt_ids has 1 entries for 2 prompts"),
        ({"prompt_ids": "ab"}, ConfigError, "prompt_ids is the text 'ab'"),
        ({"strategies": []}, ConfigError, "strategies is empty"),
        ({"strategies": [edt.EDT]}, ConfigError, r"strategies\[0\] is the class EDT"),
        ({"strategies": ["edt"]}, ConfigError, r"strategies\[0\] is 'edt'"),
        ({"strategies": [edt.Fixed(t0=1), edt.Fixed(t0=1.0)]}, ConfigError, r"fixed\(t0=1\).*twice"),
        ({"samples": 0}, ConfigError, "samples is 0; it must be 1 or more"),
        ({"samples": 2.5}, ConfigError, "samples is 2.5; it must be a whole number"),
        ({"max_new_tokens": True}, ConfigError, "max_new_tokens is True"),
        ({"stop": "x"}, ConfigError, "stop is 'x'; it must be a list"),
        ({"noise": "common"}, ConfigError, "noise is 'common'"),
    ],
)
def test_what_cannot_be_decoded_is_named(model, given, error, words):
    arguments = {"prompts": PROMPTS, "strategies": STRATEGIES, **given}
    with pytest.raises(error, match=words):
        edt.decode(model, **arguments)
