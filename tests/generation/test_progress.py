"""What a person sees of decoding: the estimate before it, the speed and time left during it."""

import io
import logging
import re
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console

from edt.adapters.generate_spec import HFGenerateSpec
from edt.cli import main
from edt.cli.build import task_requests
from edt.cli.composition import compose
from edt.cli.schema import default_limit, node
from edt.decoding.batching import Cost, chunk_tokens, plan_chunks
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError
from edt.generation import chunk_decoder
from edt.generation import progress as progress_module
from edt.generation.progress import Progress, duration
from edt.generation.session import Session, generate_runs
from edt.records import Prompt
from edt.strategies import EDT, Fixed
from edt.tasks.xlsum import XLSum
from tests.support.small_runs import FIXED, bytes_of, run_of

WORDS = ["task=mini_xlsum", "task.limit=3", "strategy=fixed", "strategy.t0=[0,1]", "engine.compile=false"]

plain = partial(OmegaConf.to_container, resolve=True)


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    now = [0.0]
    monkeypatch.setattr(progress_module, "monotonic", lambda: now[0])
    return now


def test_lines_say_the_speed_and_the_time_left(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(Console(force_terminal=False)).task("xlsum", total=100, done=20, chunks=3) as advance:
        clock[0] = 10.0
        advance(10, 500)  # the first chunk: 10 of 80 rows in 10 s
        clock[0] = 20.0
        advance(10, 500)  # less than a minute after the last line
        clock[0] = 80.0
        advance(60, 3000)  # nothing is left
    assert caplog.messages == [
        "xlsum: decoding the first chunk of 3; the estimate of the time follows.",
        "xlsum: 30 of 100 rows, 50 tokens/s, about 70 s left",
        "xlsum: 100 rows, 20 of them from before, 80.0 s, 50 tokens/s",
    ]


def test_a_single_chunk_has_an_estimate_from_its_first_steps_and_a_line_every_minute(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(Console(force_terminal=False)).task("xlsum", total=20, done=0, chunks=1) as advance:
        advance.begin_chunk()
        clock[0] = 30.0  # the prompts are read: not counted as decoding
        for step in range(10):
            advance(0.2, 20)
            clock[0] += 2.0 if step < 9 else 70.0
        advance(0.2, 20)
        clock[0] += 1.0
        advance.end_chunk(20, 300)
    assert caplog.messages == [
        "xlsum: 0 of 20 rows, 1 tokens/s, about 2 min left",  # 0.4 rows in 2 s since the prompts were read, 19.6 to come
        "xlsum: 2 of 20 rows, 2 tokens/s, about 12 min left",
        "xlsum: 20 rows, 0 of them from before, 119.0 s, 3 tokens/s",
    ]


def test_a_chunk_that_failed_counts_for_nothing(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(Console(force_terminal=False)).task("xlsum", total=4, done=0, chunks=1) as advance:
        advance.begin_chunk()
        advance(1.5, 30)
        advance.end_chunk(0, 0)
        advance.begin_chunk()
        advance(0.5, 5)
        clock[0] = 2.0
        advance.end_chunk(4, 40)
    assert caplog.messages == ["xlsum: 4 rows, 0 of them from before, 2.0 s, 20 tokens/s"]


@pytest.mark.parametrize("spec", [BatchedSpec, ReferenceSpec, HFGenerateSpec])
def test_steps_add_up_to_the_rows_and_tokens_of_every_engine(spec, tiny, prompts):
    calls = []
    limits, sampling = Limits(max_new_tokens=12, stop=("e",)), Sampling(samples=3)
    request = DecodeRequest.all_rows(prompts, [Fixed(t0=0), Fixed(t0=1)], sampling=sampling, limits=limits)
    request = replace(request, rows_per_batch=5, on_step=lambda rows, tokens: calls.append((rows, tokens)))
    generations = list(spec().build(tiny).generate(request))
    rows, tokens = (sum(column) for column in zip(*calls, strict=True))
    assert rows == pytest.approx(len(generations))
    assert tokens == sum(len(g.token_ids) for g in generations)
    assert len(calls) > 3


def test_a_short_decoding_has_one_line(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(Console(force_terminal=False)).task("xlsum", total=4, done=0, chunks=1) as advance:
        clock[0] = 1.0
        advance(2, 10)
        clock[0] = 2.0
        advance(2, 10)
    assert caplog.messages == ["xlsum: 4 rows, 0 of them from before, 2.0 s, 10 tokens/s"]


def test_a_terminal_has_a_bar_with_the_same(clock):
    screen = io.StringIO()
    with Progress(Console(file=screen, force_terminal=True, width=120)).task(
        "xlsum", total=100, done=20, chunks=3
    ) as advance:
        clock[0] = 10.0
        advance(10, 500)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert re.search(r"xlsum +\S* +30/100 rows \d:\d\d:\d\d 50 tokens/s, about 70 s left", shown)


def test_an_interrupt_says_how_many_chunks_are_finished(ask, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    decode_chunk, calls = chunk_decoder.decode_chunk, []

    def interrupted_in_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return decode_chunk(*arguments)

    monkeypatch.setattr(chunk_decoder, "decode_chunk", interrupted_in_the_second)
    chunks = Session.open(ask()).estimate()[0].chunks
    with pytest.raises(KeyboardInterrupt):
        run_of(ask())
    assert chunks > 1
    assert caplog.messages[-1] == f"wmt19: 1 of {chunks} chunks are finished."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (120, "2 min"), (5340, "89 min"), (7800, "2 h 10 min")]
)
def test_a_time_is_one_to_plan_with(seconds, text):
    assert duration(seconds) == text


def test_the_estimate_counts_what_is_left(ask):
    (before,) = Session.open(ask()).estimate()
    run = run_of(ask())
    assert before.rows == before.rows_to_decode == before.prompts * len(FIXED) * 2
    assert before.new_tokens == before.rows * 6
    assert before.chunks == len(run.parts())
    assert before.peak_bytes > 0
    assert f"= {before.rows} rows in {before.chunks} chunks; {before.prompt_tokens:,} prompt tokens" in before.text()

    (nothing,) = Session.open(ask()).estimate()
    assert (nothing.rows, nothing.rows_to_decode, nothing.new_tokens) == (before.rows, 0, 0)
    assert nothing.text().endswith("all of them on disk")

    (more,) = Session.open(ask([*FIXED, EDT(t0=1, theta=1)])).estimate()
    assert (more.rows, more.rows_to_decode) == (before.rows * 3 // 2, before.rows // 2)
    assert f"{before.rows} of them on disk; to decode: {before.rows // 2}" in more.text()


def test_a_dry_run_writes_nothing(ask, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert generate_runs(replace(ask(), dry_run=True)) == []
    assert not (tmp_path / "runs").exists()
    assert "nothing was written" in caplog.text

    run = run_of(ask())
    files = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    kept = bytes_of(run)
    assert generate_runs(replace(ask([*FIXED, Fixed(t0=0.5)]), dry_run=True)) == []
    assert bytes_of(run) == kept
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == files


@pytest.mark.parametrize("command", ["run", "generate"])
def test_the_command_stops_after_the_estimate(command, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert main([command, *WORDS, f"paths.runs={runs}", "sampling.samples=2", "dry_run=true"]) == 0
    shown = capsys.readouterr()
    assert "mini_xlsum: 3 prompts × 4 rows = 12 rows in 1 chunk; " in shown.err
    assert "(3 of 400 examples; task.limit=null takes all)" in shown.err
    assert re.search(r"mini_xlsum, the first prompt of \d+ tokens: '.*Article: .*\\nSummary:'", shown.err)
    assert "dry_run=true: nothing was decoded, and nothing was written." in shown.err
    assert shown.out == ""
    assert not runs.exists()


@pytest.mark.parametrize("samples", [10_000_000, 1_000_000_000])
def test_too_many_rows_are_an_error_with_their_number_at_once(samples, tmp_path, capsys):
    assert main(["run", *WORDS, f"paths.runs={tmp_path / 'runs'}", f"sampling.samples={samples}"]) == 2
    shown = capsys.readouterr().err
    assert f"this would decode {2 * samples:,} rows of every example" in shown
    assert "lower sampling.samples" in shown


def test_too_many_rows_over_all_examples_are_an_error_too(ask, monkeypatch):
    monkeypatch.setattr("edt.generation.request.MOST_ROWS", 10)
    with pytest.raises(ConfigError, match=r"24 rows of task 'wmt19', with 6 examples .* takes 10 of a task at most"):
        Session.open(ask()).estimate()


def test_a_split_too_large_to_generate_is_an_error(tmp_path, capsys):
    words = ["task=mini_xlsum", "task.test_size=1000000000000", "sampling.samples=1", f"paths.runs={tmp_path}"]
    assert main(["run", *words]) == 2
    assert "task.test_size is 1,000,000,000,000; task 'mini_xlsum' generates 1,000,000" in capsys.readouterr().err


def test_chunks_of_a_large_model_are_small_and_the_same_on_every_machine():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    cost = Cost(per_token=1, per_row=1, shared_prompt=True)
    few = [
        Prompt(task="t", split="test", example_id=f"e{n}", cluster_id="c", token_ids=(5,) * 100,
               unconditional_ids=(), truncated_tokens=0)
        for n in range(6)
    ]  # fmt: skip

    def sizes(parameters, device):
        plan = plan_chunks(
            few, rows_per_prompt=64, new_tokens=64, cost=cost, budget=10**12, max_rows=1024,
            max_tokens=chunk_tokens(parameters, device),
        )  # fmt: skip
        return [len(chunk) for chunk in plan.chunks]

    # 4,196 tokens per prompt, at 2 operations per weight and token: 1e13 are two prompts of a model of 500 million
    assert sizes(2_000_000, cpu) == [6]
    assert sizes(500_000_000, cpu) == [2, 2, 2]
    assert sizes(7_000_000_000, cpu) == [1] * 6
    assert sizes(7_000_000_000, gpu) == [6]


@pytest.mark.parametrize("command", ["run", "generate", "tune"])
@pytest.mark.parametrize("task", ["mini_quac", "mini", "paper", "wmt19"])
def test_a_command_takes_as_many_examples_however_the_task_is_named(command, task):
    def limits(*words):
        return [request.task.limit for request in task_requests(plain(compose(command, [f"task={task}", *words]).task))]

    assert set(limits()) == {100}
    assert set(limits("task.limit=null")) == {None}
    assert set(limits("task.limit=7")) == {7}


def test_a_study_takes_all_examples_of_a_single_task_and_of_a_list():
    for task in ("mini_quac", "mini"):
        config = compose("study", [f"task={task}"]).task
        assert {request.task.limit for request in task_requests(plain(config))} == {None}


def test_a_class_that_sets_its_own_limit_keeps_it():
    assert default_limit(XLSum) == 100
    assert default_limit(type("Few", (XLSum,), {"__annotations__": {}})) == 100

    @dataclass(frozen=True, kw_only=True)
    class Few(XLSum):
        limit: int | None = 5

    assert default_limit(Few) == 5
    assert node(Few)["limit"] == 5


def test_a_slow_model_has_no_estimate_before_a_token_and_no_speed_of_0(clock, caplog):
    caplog.set_level(logging.INFO)
    with Progress(Console(force_terminal=False)).task("xlsum", total=4, done=0, chunks=1) as advance:
        advance.begin_chunk()
        advance(0.05, 0)
        clock[0] = 11.0
        advance(0.05, 0)
        assert not caplog.messages
        clock[0] = 20.0
        advance(0.1, 8)
    assert caplog.messages[0].startswith("xlsum: 0 of 4 rows, 0.40 tokens/s, about ")
