"""engine=openai against a server of this machine: what is asked, what becomes of the answers, and of faults."""

import json
import logging
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from edt.adapters.answer_journal import AnswerJournal
from edt.adapters.openai_servers import KINDS, Answer, LlamaServer, VLLMServer
from edt.adapters.openai_spec import OpenAISpec
from edt.adapters.vllm_processor import EDTProcessor
from edt.errors import ConfigError, ServerError
from edt.generation.session import generate_runs
from edt.store.parts import read_generations
from edt.strategies import EDT, KLD, Dynatemp, Fixed, Schedule, Switch
from tests.support.fake_model_server import MODEL, FakeServer, serving

pytest.importorskip("httpx")


HALF = (Fixed(t0=0.5),)


@pytest.fixture
def serve(ask, monkeypatch):
    """Makes a request for a small run, answered by a fake server."""
    monkeypatch.setattr("edt.adapters.openai_client._FIRST_WAIT", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    opened = []

    def make(server, strategies=HALF, **options):
        context = serving(server)
        base_url = context.__enter__()
        opened.append(context)
        settings = {"retries": 3, "concurrency": 2, "timeout": 20.0, **options}
        return replace(ask(strategies), engine=OpenAISpec(base_url=base_url, **settings))

    yield make
    for context in opened:
        context.__exit__(None, None, None)


def rows(run):
    names = ("example_id", "strategy_id", "sample", "token_ids")
    table = read_generations(run, names).sort_by([(name, "ascending") for name in names[:3]])
    return table.to_pylist()


def test_rows_are_asked_once_each_with_their_seed_and_recorded(serve):
    server = FakeServer()
    (run,) = generate_runs(serve(server, [Fixed(t0=0.5, top_k=9), EDT(t0=0.8, theta=0.5)]))
    assert len(server.asked) == 24  # 6 examples × 2 strategies × 2 samples
    fixed, edt = ([body for body in server.asked if ("vllm_xargs" in body) is is_edt] for is_edt in (False, True))
    assert {(b["temperature"], b["top_k"], b["top_p"], b["min_p"]) for b in fixed} == {(0.5, 9, 1.0, 0.0)}
    rules = {(b["temperature"], b["vllm_xargs"]["edt"]) for b in edt}
    ((temperature, rule),) = rules
    assert temperature == 1.0
    assert json.loads(rule) == {"t0": 0.8, "theta": 0.5, "n": 0.8, "granularity": "token"}
    # A row's seed is that of its example and sample: settings share it, samples do not.
    assert len({b["seed"] for b in fixed}) == 12
    assert {b["seed"] for b in fixed} == {b["seed"] for b in edt}
    assert all(isinstance(b["prompt"], list) and b["model"] == MODEL for b in server.asked)

    table = read_generations(run).to_pylist()
    for row in table:
        assert row["h_mean"] is None
        if row["family"] == "edt":
            assert (row["t_mean"], row["floored_steps"]) == (None, None)
        else:
            assert (row["t_mean"], row["t_min"], row["t_max"], row["floored_steps"]) == (0.5, 0.5, 0.5, 0)
        assert row["finish_reason"] == "length"
        assert len(row["token_ids"]) == 6
    assert run.manifest.identity["coupling"] == "engine"
    assert run.manifest.identity["model"]["served_model"] == MODEL
    assert run.manifest.identity["model"]["weights"] == ""
    assert not any((run.folder / "unfinished").glob("*"))


@pytest.mark.parametrize(
    "fault",
    [
        (429, {"error": {"message": "slow down"}}, ("Retry-After", "0.01")),
        (500, {"error": {"message": "broken"}}),
        (503, b"<html>busy</html>"),
        ("cut", None),
        (200, b"no JSON {"),
        (200, {"choices": []}),
        (200, {"choices": [{"finish_reason": "stop"}]}),
        (200, {"choices": [{"text": "", "finish_reason": "abort"}]}),
        (200, ["a list"]),
    ],
    ids=["429", "500", "503", "cut", "no-json", "empty-choice", "no-text", "aborted", "a-list"],
)
def test_a_passing_fault_leaves_no_trace(serve, fault):
    calm, hit = FakeServer(), FakeServer()
    (expected,) = generate_runs(serve(calm))
    hit.faults.extend([fault, fault])
    request = serve(hit)
    (run,) = generate_runs(replace(request, runs=request.runs / "hit"))
    assert rows(run) == rows(expected)
    assert len(hit.asked) == len(calm.asked) + 2


def test_a_lasting_fault_ends_the_command_and_the_next_one_asks_for_the_rest_alone(serve):
    server = FakeServer()
    request = serve(server, concurrency=1, retries=1)
    server.faults.extend([None] * 7 + [(500, {"error": {"message": "the engine is dead"}})] * 2)
    with pytest.raises(
        ServerError, match=r"no usable answer for example '.*', fixed\(t0=0.5\): 500 the engine is dead \(2 attempts\)"
    ):
        generate_runs(request)
    answered = len(server.asked) - 2
    assert answered == 7
    (run,) = generate_runs(request)
    # Seven were kept: five of the twelve rows were still to ask for.
    assert len(server.asked) == 9 + 5
    plain = FakeServer()
    other = serve(plain)
    (whole,) = generate_runs(replace(other, runs=other.runs / "whole"))
    assert rows(run) == rows(whole)


def test_a_request_that_is_repeated_after_a_wait_is_reported_once_a_minute(serve, caplog):
    caplog.set_level(logging.INFO, "edt")
    server = FakeServer()
    busy = (429, {"error": {"message": "slow down."}}, ("Retry-After", "1"))
    server.faults.extend([busy, busy, (500, {"error": "broken"})])
    generate_runs(serve(server, concurrency=1))
    (line,) = [message for message in caplog.messages if "asked again" in message]
    assert ": 429 slow down for example '" in line
    assert line.endswith("asked again in 1 s (repetition 1 of engine.retries=3).")


def test_an_address_without_a_server_is_what_the_error_names(serve):
    request = serve(FakeServer(), retries=1)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    nowhere = replace(request, engine=replace(request.engine, base_url=address))
    with pytest.raises(ServerError, match=r"its list of models: ConnectError.* Check that the server runs") as error:
        generate_runs(nowhere)
    # Nothing was asked yet that could be kept.
    assert "Answers of before" not in str(error.value)


@pytest.mark.parametrize(("owner", "warned"), [("me", True), ("vllm", False), ("llamacpp", False)])
def test_defaults_that_no_request_turns_off_are_warned_of(serve, caplog, owner, warned):
    from edt.generation.session import Session

    Session.open(serve(FakeServer(owner=owner))).close()
    assert ("where it truncates or penalizes by default" in caplog.text) == warned


def test_a_refusal_is_not_repeated_and_says_why(serve):
    server = FakeServer()
    server.faults.append((400, {"error": {"message": "max_tokens is too large."}}))
    with pytest.raises(ServerError, match=r"refuses a request: 400 max_tokens is too large\. .*engine\.server"):
        generate_runs(serve(server, concurrency=1))
    assert len(server.asked) == 1


def test_the_key_comes_from_the_environment_and_is_stored_and_logged_nowhere(serve, monkeypatch, caplog):
    server = FakeServer(key="the-key-1234567890")
    request = serve(server, api_key_variable="MY_SERVER")
    with pytest.raises(ServerError, match=r"401 .*environment variable MY_SERVER, which is not set"):
        generate_runs(request)
    monkeypatch.setenv("MY_SERVER", "another-key-99")
    with pytest.raises(ServerError, match=r"Incorrect API key: Bearer \*\*\*.*which is set") as error:
        generate_runs(request)
    assert "another-key-99" not in str(error.value)
    monkeypatch.setenv("MY_SERVER", server.key)
    with caplog.at_level(logging.DEBUG):
        (run,) = generate_runs(request)
    assert server.headers[-1]["Authorization"] == f"Bearer {server.key}"
    assert server.key not in caplog.text
    assert not [file for file in run.folder.rglob("*") if file.is_file() and server.key.encode() in file.read_bytes()]


def test_a_stop_counts_only_after_the_first_visible_character(serve, tiny):
    # Token ids whose texts are the stop at once, then a word, then the stop again.
    stop = tiny.decode([[40]])[0]
    word = next(token for token in range(5, 60) if stop not in (text := tiny.decode([[token]])[0]) and text.strip())

    def answer(body):
        ids = [40, word, 40, word, word, word]
        if body["stop"]:
            assert body["include_stop_str_in_output"]
            return ids[:1], "stop"
        return ids, "length"

    server = FakeServer(answer=answer)
    request = serve(server)
    task = replace(request.tasks[0].task, stop=(stop,))
    (run,) = generate_runs(replace(request, tasks=(replace(request.tasks[0], task=task),)))
    assert len(server.asked) == 2 * 12
    row = read_generations(run).to_pylist()[0]
    assert row["finish_reason"] == "stop"
    assert row["token_ids"] == [40, word, 40]
    assert row["text"] == tiny.decode([[40, word]])[0].strip()


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answer_that_the_end_token_ended_is_asked_for_once(serve, tiny, with_ids):
    (end,) = sorted(tiny.eos_ids)[:1]
    server = FakeServer(owner="vllm" if with_ids else "somebody", answer=lambda body: ([9, 10, end], "stop"))
    (run,) = generate_runs(serve(server))
    assert len(server.asked) == 12
    row = read_generations(run).to_pylist()[0]
    if with_ids:
        assert (row["finish_reason"], row["token_ids"]) == ("eos", [9, 10, end])
        assert row["text"] == tiny.decode([[9, 10]])[0].strip()


def test_other_servers_get_text_and_give_no_ids(serve, tiny):
    server = FakeServer(owner="somebody")
    (run,) = generate_runs(serve(server, [Fixed(t0=0.5, top_p=0.9)]))
    assert all(isinstance(body["prompt"], str) and body["prompt"].startswith("Translate: ") for body in server.asked)
    assert {tuple(sorted(body)) for body in server.asked} == {
        ("max_tokens", "model", "prompt", "seed", "stop", "temperature", "top_p")
    }
    row = read_generations(run).to_pylist()[0]
    assert row["token_ids"] == tiny.tokenizer(row["text"], add_special_tokens=False)["input_ids"]


def test_llama_cpp_takes_dynatemp_and_the_order_of_truncation(serve):
    server = FakeServer(owner="llamacpp")
    strategies = [
        Dynatemp(t_min=0.2, t_max=1.4, exponent=2.0, min_p=0.1, order="truncate_first"),
        Fixed(t0=0.7, top_k=5, top_p=0.9),
    ]
    (run,) = generate_runs(serve(server, strategies))
    dynamic = next(body for body in server.asked if body["dynatemp_range"])
    assert (dynamic["temperature"], dynamic["dynatemp_range"]) == pytest.approx((0.8, 0.6))
    assert (dynamic["dynatemp_exponent"], dynamic["min_p"]) == (2.0, 0.1)
    assert dynamic["samplers"] == ["min_p", "temperature"]
    fixed = next(body for body in server.asked if not body["dynatemp_range"])
    assert fixed["samplers"] == ["temperature", "top_k", "top_p"]
    assert all(0 <= body["seed"] < 2**31 for body in server.asked)
    assert len(read_generations(run)) == 24


def test_a_vllm_with_our_processor_decodes_its_other_families(serve):
    server = FakeServer()
    switch, schedule = Switch(t_high=1.2, t_low=0.4, h=1.0), Schedule(t_high=1.3, t_low=0.2, decay=50)
    generate_runs(serve(server, [switch, schedule]))
    rules = {body["vllm_xargs"]["edt"] for body in server.asked}
    assert sorted(map(json.loads, rules), key=lambda rule: rule["family"]) == [
        {"family": "schedule", "t_high": 1.3, "t_low": 0.2, "decay": 50.0, "template_tokens": 0},
        {"family": "switch", "t_high": 1.2, "t_low": 0.4, "h": 1.0, "granularity": "token"},
    ]
    for rule in rules:
        EDTProcessor.validate_params(SimpleNamespace(temperature=1.0, extra_args={"edt": rule}))


@pytest.mark.parametrize(
    ("server", "strategy", "why"),
    [
        ("vllm", KLD(t0=1.0, sigma=1.0), "no rule like 'kld'"),
        ("vllm", Switch(t_high=1.2, t_low=0.4, h=1.0), "install edt in its environment, or start it with"),
        ("llamacpp", Switch(t_high=1.2, t_low=0.4, h=1.0), "no rule like 'switch'"),
        ("vllm", EDT(t0=1.0, theta=0.5), "--logits-processors edt.adapters.vllm_processor:EDTProcessor"),
        ("vllm", Fixed(t0=1.0, min_p=0.1, top_p=0.9), "min_p before top_p"),
        ("vllm", Fixed(t0=1.0, top_p=0.9, order="truncate_first"), "truncates after the temperature"),
        ("vllm", Fixed(t0=1.0, typical_p=0.9), r"no typical_p \(it has: top_k, top_p, min_p\)"),
        ("openai", Fixed(t0=1.0, top_k=5), r"no top_k \(it has: top_p\)"),
        ("openai", EDT(t0=1.0, theta=0.5), "no rule like 'edt'"),
        ("llamacpp", Dynatemp(t_min=0.2, t_max=1.0, granularity="instance"), "computed at each token"),
        ("llamacpp", EDT(t0=1.0, theta=0.5), "no rule like 'edt'"),
    ],
)
def test_what_a_server_cannot_do_is_refused_with_a_remedy(serve, server, strategy, why):
    with pytest.raises(
        ConfigError, match=rf"cannot be decoded by a server of the kind '{server}': .*{why}.*engine=batched"
    ):
        generate_runs(serve(FakeServer(owner=server, has_edt=False), [strategy]))


def test_no_more_requests_at_once_and_in_a_minute_than_allowed(serve):
    server = FakeServer()
    generate_runs(serve(server, concurrency=3, requests_per_minute=1200))
    assert server.most_at_once <= 3
    times = sorted(server.times)
    # Twelve rows at a pace of one in 50 ms; a bound from below, whatever else the machine does.
    assert times[-1] - times[0] >= 11 * 0.05 * 0.9


def test_the_model_is_chosen_from_the_servers_list(serve):
    several = FakeServer(models=("a", "b"))
    with pytest.raises(ConfigError, match=r"lists 2 models \(a, b\); choose one by engine\.served_model"):
        generate_runs(serve(several))
    with pytest.raises(ConfigError, match=r"engine\.served_model is 'c', which the server does not list; it has: a, b"):
        generate_runs(serve(several, served_model="c"))
    (run,) = generate_runs(serve(several, served_model="b"))
    assert run.manifest.identity["model"]["served_model"] == "b"


def test_the_context_is_the_smaller_one(serve):
    from edt.generation.session import Session

    assert Session.open(serve(FakeServer())).engine.model.context == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, r"engine\.base_url must be an address"),
        ({"base_url": "http://me:secret@host/v1"}, r"engine\.base_url holds a login"),
        ({"base_url": "http://host/v1?key=secret"}, r"engine\.base_url holds a login, a key or a query"),
        ({"server": "vlm"}, r"engine\.server is 'vlm' \(did you mean 'vllm'\?\)"),
        ({"api_key_variable": "sk-secret"}, r"engine\.api_key_variable must be the name"),
        ({"concurrency": 0}, r"engine\.concurrency is 0; it must be 1 or more"),
        ({"requests_per_minute": 0}, r"engine\.requests_per_minute is 0; it must be a number above 0"),
    ],
)
def test_settings_are_checked_and_secrets_not_repeated(options, message):
    with pytest.raises(ConfigError, match=message) as error:
        OpenAISpec(**options)
    assert "secret" not in str(error.value)


def test_a_journal_drops_torn_and_changed_lines(tmp_path):
    journal = AnswerJournal(tmp_path / "rows.jsonl")
    one, two = Answer(text="a b", token_ids=(1, 2), by_length=True), Answer(text="ü", token_ids=None, by_length=False)
    with journal.writing():
        journal.add(("e", "fixed(t0=1)", 0), one)
        journal.add(("e", "fixed(t0=1)", 1), two)
    lines = journal.path.read_text().splitlines()
    journal.path.write_text("\n".join([lines[0], lines[1].replace("ü", "u"), lines[1][:20]]))
    again = AnswerJournal(journal.path)
    assert again.answers == {("e", "fixed(t0=1)", 0): one}
    # What is added after a torn line is whole.
    with again.writing():
        again.add(("e", "fixed(t0=1)", 1), two)
    assert AnswerJournal(journal.path).answers == {("e", "fixed(t0=1)", 0): one, ("e", "fixed(t0=1)", 1): two}


def test_the_kinds_are_those_of_the_setting():
    from edt.adapters.openai_spec import SERVERS

    assert {"auto", *KINDS} == set(SERVERS)
    assert {VLLMServer.kind, LlamaServer.kind} < set(SERVERS)
