"""A run without fixed temperatures has no EDA; what its footnote advises gives it one."""

import re

import pyarrow.parquet as pq

from edt.cli import main
from edt.store.run import find_runs


def eda_of(runs, strategy_id):
    (run,) = find_runs([runs])
    (row,) = [
        row
        for row in pq.read_table(run.scores_path).to_pylist()
        if (row["strategy_id"], row["metric"], row["split"]) == (strategy_id, "eda", "test")
    ]
    return row


def test_the_footnote_of_a_missing_eda_leads_to_one(tmp_path):
    words = ["task=mini_xlsum", "task.limit=3", "sampling.samples=2", "model.device=cpu", "engine.compile=false"]
    words += [f"paths.runs={tmp_path}", "metrics.bootstrap.resamples=10"]
    alone = ["strategy=edt", "strategy.t0=0.7", "strategy.theta=0.5"]
    assert main(["run", *words, *alone]) == 0
    missing = eda_of(tmp_path, "edt(t0=0.7,theta=0.5)")
    assert missing["value"] is None
    advised = re.findall(r"strategy\S*=\S+", missing["note"])
    assert advised[0] == "strategy=fixed"
    assert main(["run", *words, *advised]) == 0
    assert main(["run", *words, *alone]) == 0
    assert 0 < eda_of(tmp_path, "edt(t0=0.7,theta=0.5)")["value"] < 100
