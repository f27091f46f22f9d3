"""Samples of runs as files for other tools, read back by pandas."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from edt.errors import ConfigError, StoreError
from edt.generation.export import export_samples
from edt.store.parts import read_examples, read_generations
from edt.strategies import EDT, Fixed
from tests.support.small_runs import rewrite, run_of

AWKWARD = ['=1+1, "quoted"\nand a line\r', "", "ünïcode 漢字 🙂 \u2028", "-5", "null", "\ttab;semicolon"]


@pytest.fixture
def run(ask):
    """A run whose texts are hard for a file of text."""
    run = run_of(ask([Fixed(t0=0.5), EDT(t0=1, theta=0.5, top_p=0.9)]))
    for path in run.parts():
        table = pq.read_table(path)
        texts = [AWKWARD[i % len(AWKWARD)] for i in range(len(table))]
        index = table.column_names.index("text")
        rewrite(run, path, table.set_column(index, "text", [texts]))
    return run


def read(path):
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        return frame.assign(token_ids=frame["token_ids"].map(list), references=frame["references"].map(list))
    if path.suffix == ".csv":
        empty = {name: [""] for name in ("t0", "theta", "top_p")}
        frame = pd.read_csv(path, keep_default_na=False, na_values=empty)
        return frame.assign(
            token_ids=frame["token_ids"].map(json.loads), references=frame["references"].map(json.loads)
        )
    return pd.read_json(path, lines=True, dtype=False, precise_float=True)


@pytest.mark.parametrize("to", ["jsonl", "csv", "parquet"])
def test_each_format_gives_back_every_sample(run, to):
    (path,) = export_samples([run], to, None, escape_formulas=False)
    assert path == run.folder / f"samples.{to}"
    frame = read(path)
    stored = read_generations(run).to_pylist()
    assert len(frame) == len(stored) == 6 * 2 * 2
    references = {example.example_id: list(example.references) for example in read_examples(run)}
    for row, kept in zip(frame.to_dict("records"), stored, strict=True):
        assert row["text"] == kept["text"]
        assert row["token_ids"] == kept["token_ids"]
        assert row["references"] == references[kept["example_id"]]
        same = ["task", "split", "example_id", "strategy_id", "family", "sample", "finish_reason", "prompt_tokens"]
        assert {name: row[name] for name in same} == {name: kept[name] for name in same}
        for name in ("t0", "theta", "top_p", "t_mean", "h_mean"):
            assert row[name] == pytest.approx(kept[name], rel=1e-15) if kept[name] is not None else pd.isna(row[name])
    assert set(frame["run"]) == {run.folder.name}
    assert set(frame["dtype"]) == {"float32"}
    assert "prompt" not in frame


def test_runs_go_into_one_file_with_prompts_where_they_are_wanted(ask, tmp_path):
    runs = [run_of(ask([Fixed(t0=0.5)])), run_of(ask([EDT(t0=1, theta=0.5)], seed=1))]
    assert export_samples(runs, "csv", tmp_path) == [tmp_path / "samples.csv"]
    assert export_samples(runs, "parquet", tmp_path / "all.parquet", prompts=True) == [tmp_path / "all.parquet"]
    frame = read(tmp_path / "all.parquet")
    assert list(dict.fromkeys(frame["run"])) == [run.folder.name for run in runs]
    assert frame["theta"].isna().sum() == len(frame) / 2
    assert frame["prompt"].str.len().min() > 0
    assert len(read(tmp_path / "samples.csv")) == len(frame)


def test_a_failed_export_leaves_the_file_of_before(run, tmp_path):
    out = tmp_path / "samples.jsonl"
    export_samples([run], "jsonl", out)
    before = out.read_bytes()
    run.parts()[-1].write_bytes(b"damaged")
    with pytest.raises(StoreError, match="is damaged"):
        export_samples([run], "jsonl", out)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.glob("samples*")] == ["samples.jsonl"]


def test_an_unknown_format_and_an_unwritable_place_are_errors(run, tmp_path):
    with pytest.raises(ConfigError, match=r"to is 'json'.*did you mean 'jsonl'.*jsonl, csv, parquet"):
        export_samples([run], "json", None)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write .*out=FOLDER"):
        export_samples([run], "csv", tmp_path / "file" / "samples.csv")


def test_an_unfinished_run_is_exported_with_a_line_that_says_what_is_missing(ask, tmp_path, caplog):
    run = run_of(ask([Fixed(t0=0.5)]))
    whole = run.folder / "samples.csv"
    export_samples([run], "csv")
    assert "unfinished" not in caplog.text
    rows = len(read(whole))
    run.parts()[-1].unlink()
    export_samples([run], "csv")
    (line,) = [line for line in caplog.messages if "unfinished" in line]
    left = len(read(whole))
    assert f"({left} of {rows} rows; to finish it: " in line
