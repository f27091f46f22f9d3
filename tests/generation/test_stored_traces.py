"""sampling.trace: entropy and temperature of each token beside each output, and their figure."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from edt.cli import main
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.records import Prompt
from edt.report.steps import StepTraces, bands, figure_bytes, steps_figure
from edt.store.parts import TRACES, read_part
from edt.store.run import find_runs
from edt.strategies import EDT, KLD, Fixed
from tests.support.small_runs import as_an_older_version_wrote_it

STRATEGIES = [Fixed(t0=0.7), EDT(t0=1, theta=0.5), KLD(t0=1, sigma=2), EDT(t0=1, theta=0.5, granularity="instance")]


def decode(tiny, spec, trace):
    ids = tuple(tiny.tokenize("A source. And a question?"))
    prompt = Prompt(
        task="t",
        split="test",
        example_id="1",
        cluster_id="1",
        token_ids=ids,
        unconditional_ids=ids[9:],
        truncated_tokens=0,
    )
    limits = Limits(max_new_tokens=7, stop=())
    sampling = Sampling(samples=2, trace=trace)
    request = DecodeRequest.all_rows([prompt], STRATEGIES, sampling=sampling, limits=limits)
    return list(spec.build(tiny).generate(replace(request, rows_per_batch=3)))


@pytest.mark.parametrize("spec", [BatchedSpec(), ReferenceSpec()], ids=["batched", "reference"])
def test_traces_are_what_the_means_are_of(tiny, spec):
    for generation in decode(tiny, spec, trace=True):
        assert len(generation.trace_entropy) == len(generation.trace_temperature) == len(generation.token_ids)
        assert math.fsum(generation.trace_entropy) / len(generation.token_ids) == pytest.approx(generation.h_mean)
        assert math.fsum(generation.trace_temperature) / len(generation.token_ids) == pytest.approx(generation.t_mean)
        assert (min(generation.trace_temperature), max(generation.trace_temperature)) == (
            generation.t_min,
            generation.t_max,
        )
        if generation.family == "edt" and generation.granularity == "token":
            rule = [0.8 ** (0.5 / entropy) for entropy in generation.trace_entropy]
            assert generation.trace_temperature == pytest.approx(rule)
        if generation.granularity == "instance":
            assert len(set(generation.trace_temperature)) == 1


def test_tracing_changes_no_token(tiny):
    off, on = decode(tiny, BatchedSpec(), trace=False), decode(tiny, BatchedSpec(), trace=True)
    assert [g.token_ids for g in off] == [g.token_ids for g in on]
    assert all(g.trace_entropy is None and g.trace_temperature is None for g in off)


@pytest.fixture
def words(local):
    return [
        *local,
        "strategy.fixed.t0=[0.5,1]",
        "strategy.edt.t0=0.9",
        "strategy.edt.theta=0.5",
        "strategy.kld=null",
    ]


def parts_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("runs/tiny*/generations/*"))}


def test_a_run_without_traces_has_null_columns_and_no_figure(words, tmp_path, capsys):
    assert main(["run", *words]) == 0
    assert "steps:" not in capsys.readouterr().out
    assert not list(tmp_path.rglob("steps-*"))
    for part in tmp_path.rglob("part-*.parquet"):
        for name in TRACES:
            column = pq.read_table(part)[name]
            assert column.null_count == len(column) > 0


def test_run_and_report_draw_the_traces(words, tmp_path, capsys):
    assert main(["run", *words, "sampling.trace=true"]) == 0
    said = capsys.readouterr()
    assert "decoded without" not in said.err
    png, svg = sorted(tmp_path.rglob("steps-*"))
    assert f"steps: {png}" in said.out
    assert f"steps: {svg}" in said.out
    assert png.parent == next(tmp_path.rglob("table.md")).parent
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    ElementTree.fromstring(text)
    assert all(name in text for name in ("fixed(t0=0.5)", "fixed(t0=1)", "edt(t0=0.9,theta=0.5)"))
    assert "grammar" not in text
    drawn = png.read_bytes(), svg.read_bytes()
    png.unlink()
    svg.unlink()
    assert main(["report", f"runs={tmp_path / 'runs'}"]) == 0
    assert (png.read_bytes(), svg.read_bytes()) == drawn
    for part in tmp_path.rglob("part-*.parquet"):
        table = pq.read_table(part)
        for name, mean in zip(TRACES, ("h_mean", "t_mean"), strict=True):
            assert [np.mean(row) for row in table[name].to_pylist()] == pytest.approx(table[mean].to_pylist(), rel=1e-5)


def test_rows_from_before_tracing_stay_and_one_notice_says_so(words, tmp_path, capsys):
    assert main(["generate", *words]) == 0
    before = parts_of(tmp_path)
    capsys.readouterr()
    assert main(["generate", *words, "sampling.trace=true"]) == 0
    said = capsys.readouterr().err
    assert parts_of(tmp_path) == before
    assert said.count("without sampling.trace") == 1
    assert "12 of 12 rows" in said  # 2 examples × 3 settings × 2 samples
    assert "paths.runs=FOLDER" in said
    assert main(["generate", *words, "sampling.trace=true", "sampling.samples=3"]) == 0
    assert "12 of 18 rows" in capsys.readouterr().err
    assert parts_of(tmp_path).items() > before.items()


def test_parts_from_before_there_were_traces_still_count(words, tmp_path, capsys):
    assert main(["run", *words]) == 0
    table = capsys.readouterr().out
    (run,) = find_runs([next(tmp_path.rglob("manifest.json")).parent])
    run = as_an_older_version_wrote_it(run)
    for part in run.parts():
        old = pq.read_table(part).drop_columns(list(TRACES))
        pq.write_table(old, part)
        read = read_part(run, part)
        assert read.drop_columns(list(TRACES)).equals(old)
        assert all(read[name].null_count == len(old) for name in TRACES)
        assert read_part(run, part, ["sample", "trace_entropy"]).column_names == ["sample", "trace_entropy"]
    before = parts_of(tmp_path)
    assert main(["run", *words]) == 0
    assert capsys.readouterr().out == table
    assert main(["run", *words, "sampling.trace=true", "sampling.samples=3"]) == 0
    assert parts_of(tmp_path).items() > before.items()
    assert "12 of 18 rows" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("steps-*"))) == 2  # sample 2 is traced


def test_bands_by_hand():
    found = bands([[1.0, 10.0], [2.0], [3.0, 30.0], [6.0]])
    assert found.mean_S.tolist() == [3.0, 20.0]
    assert found.lower_S.tolist() == [1.75, 15.0]
    assert found.upper_S.tolist() == [3.75, 25.0]
    assert found.share_S.tolist() == [1.0, 0.5]


def test_steps_that_hardly_a_row_reaches_are_left_out():
    found = bands([[1.0, 1.0]] * 39 + [[1.0] * 9])
    assert len(found.mean_S) == 2


def test_a_large_grid_fits_its_figure():
    row = [[1.0, 0.5]]
    points = [StepTraces(strategy_id=f"edt(t0={i})", family="edt", entropy=row, temperature=row) for i in range(40)]
    text = figure_bytes(steps_figure("many", points), "svg").decode()
    assert "edt(t0=17)" in text
    assert "edt(t0=18)" not in text
    assert "and 22 more" in text
