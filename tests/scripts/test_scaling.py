"""The estimates of docs/concepts/scaling.md: the queue by hand, its invariants, and that the page has what is computed."""

import math
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import branch_sharing, scaling

CALM = scaling.Queue(start=10.0, spread=0.0, slow=0.0, hours_to_failure=1e12, write=0.0)
PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "scaling.md"


@pytest.mark.parametrize(
    ("chunks", "workers", "rounds"), [(12, 1, 12), (12, 4, 3), (13, 4, 4), (3, 8, 1)], ids=lambda value: str(value)
)
def test_without_faults_the_queue_is_a_division(chunks, workers, rounds):
    assert scaling.simulate(100.0, chunks, workers, CALM) == (pytest.approx(10 + 100 * rounds), 0)


def test_the_one_writer_bounds_the_queue():
    seconds, _ = scaling.simulate(1.0, 1000, 500, replace(CALM, write=2.0))
    assert seconds == pytest.approx(10 + 1 + 2 * 1000, rel=1e-3)


def test_failures_repeat_chunks_and_lose_none():
    """By hand: with a failure rate r, a chunk of t seconds is tried e^(rt) times on average."""
    often = replace(CALM, hours_to_failure=0.1, start=0.0)
    _, failures = scaling.simulate(100.0, 4000, 8, often)
    tries = math.exp(100.0 / 360.0)
    assert failures == pytest.approx(4000 * (tries - 1), rel=0.1)


def test_a_chunk_that_failed_is_not_taken_before_it_failed():
    """Two workers and one chunk that always fails late: the end is after the last failure."""
    often = replace(CALM, hours_to_failure=1 / 36, start=0.0)
    seconds, failures = scaling.simulate(200.0, 1, 2, often, seed=3)
    assert failures > 0
    assert seconds == pytest.approx(sum(_until_failures(often, 200.0, seed=3)) + 200.0)


def _until_failures(queue, chunk, seed):
    """The times of the failures before the chunk succeeds, from the same draws."""
    draw = random.Random(seed)
    while True:
        draw.lognormvariate(0, queue.spread)
        draw.random()
        until = draw.expovariate(1 / (3600 * queue.hours_to_failure))
        if until >= chunk:
            return
        yield until


def test_stragglers_and_failures_only_add_time():
    seconds, _ = scaling.simulate(60.0, 500, 64, replace(scaling.QUEUE, write=0.0))
    assert seconds > scaling.simulate(60.0, 500, 64, replace(CALM, start=scaling.QUEUE.start))[0]


def test_forward_rows_are_distinct_texts_so_far():
    """Three rows, two of which share two tokens: steps 1 and 2 of 3 have 2 + 2 forward rows for 3 + 3 row steps."""
    rows = [(1, 2, 3), (1, 2, 4), (5, 2, 3)]
    assert branch_sharing.forward_rows(rows, 3) == (6, 4)
    assert branch_sharing.factor([rows], 3) == 1.5
    # A row that has ended needs no forward row.
    assert branch_sharing.forward_rows([(1,), (1, 2)], 3) == (1, 1)


def test_more_sharing_is_less_time_and_generate_is_the_slowest():
    device = scaling.measured_device()
    few, many = (scaling.gpu_hours(scaling.WORK, scaling.LLAMA_13B, device, factor) for factor in (2.0, 8.0))
    assert many["engine=batched"] < few["engine=batched"]
    assert max(many, key=many.get) == "engine=hf_generate"
    # By hand: two floating-point operations per weight and forward row.
    in_model = 2 * 13.0e9 * (scaling.WORK.row_steps / 8.0 + 4000 * 550) / device.flops
    by_hand = (in_model + scaling.WORK.row_steps * device.overhead) / 3600
    assert many["engine=batched"] == pytest.approx(by_hand)


def test_the_page_has_what_the_script_computes(capsys):
    scaling.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(printed) > 20
    page = PAGE.read_text()
    missing = [line for line in printed if line not in page]
    assert not missing, "run `python -m scripts.scaling` and put its tables on the page"
    # Nothing else in the page's tables of numbers.
    numbers = [line for line in page.splitlines() if re.match(r"\| [\d,]+ \|", line)]
    assert set(numbers) <= set(printed)
