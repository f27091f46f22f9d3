"""EDA needs fixed temperatures: they are decoded along, and where they are not, the footnote says what gives an EDA."""

import re

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from edt.cli import argv, build, main
from edt.cli.composition import compose
from edt.scoring.reference_settings import with_reference_settings
from edt.store.run import find_runs
from tests.support.command_line import refused


def plain_config(command, words):
    return OmegaConf.to_container(compose(command, argv.rewrite(command, words)), resolve=True)


def eda_of(runs, strategy_id):
    (run,) = find_runs([runs])
    (row,) = [
        row
        for row in pq.read_table(run.scores_path).to_pylist()
        if (row["strategy_id"], row["metric"], row["split"]) == (strategy_id, "eda", "test")
    ]
    return row


WORDS = ["task=mini_xlsum", "task.limit=3", "sampling.samples=2", "model.device=cpu", "engine.compile=false"]
WORDS += ["metrics.bootstrap.resamples=10", "strategy=edt", "strategy.t0=0.7", "strategy.theta=0.5"]
SETTING = "edt(t0=0.7,theta=0.5)"


def test_the_footnote_of_a_missing_eda_leads_to_one(tmp_path):
    words = [*WORDS, f"paths.runs={tmp_path}"]
    assert main(["run", *words, "eda_scale=null"]) == 0
    missing = eda_of(tmp_path, SETTING)
    assert missing["value"] is None
    (advised,) = re.findall(r"(strategy=\w+),", missing["note"])
    assert main(["run", *words[:-3], advised, words[-1]]) == 0
    assert main(["run", *words, "eda_scale=null"]) == 0
    assert 0 < eda_of(tmp_path, SETTING)["value"] < 100


def test_the_footnote_of_a_single_fixed_temperature_leads_to_a_scale(tmp_path):
    words = [*WORDS[:-3], f"paths.runs={tmp_path}"]
    own = ["strategy=fixed", "strategy.t0=0.6"]
    assert main(["run", *words, *own]) == 0
    note = eda_of(tmp_path, "fixed(t0=0.6)")["note"]
    (advised,) = re.findall(r"(strategy=fixed strategy\.t0=\S+)\)", note)
    assert main(["run", *words, *advised.split()]) == 0
    assert main(["run", *words, *own]) == 0
    assert "single" not in eda_of(tmp_path, "fixed(t0=0.6)")["note"]


def test_the_temperatures_of_the_scale_are_decoded_along(tmp_path, capsys):
    words = [*WORDS, f"paths.runs={tmp_path}"]
    assert main(["run", *words, "dry_run=true"]) == 0
    assert "3 prompts × 10 rows" in (planned := capsys.readouterr().err)
    assert "among them 4 fixed temperatures for EDA's scale (eda_scale=null: without)" in planned
    assert main(["run", *words]) == 0
    shown = capsys.readouterr().out
    assert all(f"fixed(t0={t0})" in shown for t0 in ("0", "0.4", "0.7", "1"))
    assert 0 < eda_of(tmp_path, SETTING)["value"] < 100


@pytest.mark.parametrize(
    ("more", "strategies"),
    [
        (["eda_scale.t0=[0,2]"], {"fixed(t0=0)", "fixed(t0=2)", SETTING}),
        (["eda_scale=null"], {SETTING}),
        (["sampling.samples=1"], {SETTING}),
        (["metrics.eda.q_star=50", "metrics.eda.s_star=90"], {SETTING}),
        (["strategy=fixed", "~strategy.theta"], {"fixed(t0=0.7)"}),
        (["sampling.samples=1", "baseline=fixed(t0=0.3)"], {"fixed(t0=0.3)", SETTING}),
        (["eda_scale.t0=[0,2]", "baseline=fixed(t0=2)"], {"fixed(t0=0)", "fixed(t0=2)", SETTING}),
    ],
)
def test_nothing_is_decoded_that_the_scores_do_not_need(more, strategies):
    words = [word for word in WORDS if not ("~strategy.theta" in more and word.startswith("strategy"))]
    more = [word for word in more if word != "~strategy.theta"]
    config = plain_config("run", [*words, *more])
    requested = build.generation_request(config)
    metrics = build.construct(config["metrics"], "metrics")
    request = with_reference_settings(requested, build.eda_scale(config["eda_scale"]), metrics, config["baseline"])
    assert {strategy.strategy_id for strategy in request.strategies} == strategies


def test_edt_generate_decodes_what_was_requested_alone():
    assert "eda_scale" not in plain_config("generate", ["strategy=edt"])


def test_a_scale_of_other_strategies_is_refused(capsys, tmp_path):
    said = refused(capsys, "run", *WORDS, "strategy@eda_scale=edt", f"paths.runs={tmp_path}")
    assert "eda_scale is EDT" in said
    assert "eda_scale.t0=[0,…]" in said
