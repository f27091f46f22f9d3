"""Run folders that version 0.1.0 wrote are read, resumed and scored to the same numbers (see README.md)."""

import json
import re
import shutil
from dataclasses import MISSING, fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from edt.api.runs import read_scores
from edt.cli import main
from edt.store.manifest import SCHEMA, Manifest
from edt.store.parts import read_generations
from edt.store.run import Run

WRITTEN = Path(__file__).parent / "runs_0_1_0"
XLSUM, WMT19 = "mini-mini_xlsum-ae9036f8de492162", "mini-mini_wmt19-925a09cdca11e485"
SEARCHED, SEARCH = "mini-mini_xlsum-f87c7ba926da57a7", "edt-grid-db08c348e93067b2"
RESAMPLES = "metrics.bootstrap.resamples=200"
SAMPLING = ["sampling.samples=2", "sampling.max_new_tokens=24"]
RUN = ["run", "task.limit=4", "task.dev_size=8", "task.test_size=8", "task.split=[dev,test]", "strategy=compare_three"]
RUN += [*SAMPLING, "sampling.trace=true", RESAMPLES]
TUNE = ["tune", "task=mini_xlsum", "task.limit=3", "task.dev_size=6", "task.test_size=6", "baseline.t0=[0,1]"]
TUNE += [
    "search.sampler=grid",
    "space.t0.points=2",
    "space.theta.points=2",
    "space.t0.low=0.5",
    "space.theta={low:0.05,high:5}",
    "search.batch=3",
]
TUNE += [*SAMPLING, RESAMPLES]
IDENTITY = ("task", "split", "model_name", "strategy_id", "family", "granularity", "metric")
NUMBERS = ("value", "lo", "hi", "confidence", "n_examples", "n_samples", "generation_id")


@pytest.fixture
def runs(tmp_path):
    """A copy of the folders, so that a test may write."""
    shutil.copytree(WRITTEN, tmp_path / "runs")
    return tmp_path / "runs"


def scores_of(folder):
    """The scores by what they are scores of, without their signatures, which name the version."""
    rows = pq.read_table(folder / "scores.parquet").to_pylist()
    # Of a note, its presence: a qualified value stays qualified, in whatever words.
    return {
        tuple(row[key] for key in IDENTITY): {**{key: row[key] for key in NUMBERS}, "noted": bool(row["note"])}
        for row in rows
    }


def check_scores(runs, name):
    expected, now = scores_of(WRITTEN / name), scores_of(runs / name)
    # Later versions score more; what 0.1.0 scored is there with its numbers.
    assert now.keys() >= expected.keys()
    for key, old in expected.items():
        # Version 0.1 gave a share without variation an interval of no width; it is Wilson's now.
        if key[IDENTITY.index("metric")] in ("empty_share", "factuality") and old["lo"] == old["hi"]:
            assert now[key]["lo"] <= now[key]["value"] <= now[key]["hi"]
            assert now[key]["lo"] < now[key]["hi"]
            old = {name: value for name, value in old.items() if name not in ("lo", "hi")}
        for name, value in old.items():
            exact = value is None or isinstance(value, str | int)
            assert now[key][name] == (value if exact else pytest.approx(value, rel=1e-12)), (key, name)


def signatures(folder):
    """The signatures without the version of edt, which moves by a rule of its own (CONTRIBUTING.md).

    Numbers in them to 12 digits: sums in float64 differ in the last one between processors.
    """

    def rounded(match):
        return f"{float(match.group()):.12g}"

    rows = pq.read_table(folder / "scores.parquet").to_pylist()
    texts = [(row["metric"], row["split"], row["signature"].partition("|edt:")[0]) for row in rows]
    return {(metric, split, re.sub(r"\d+\.\d{6,}", rounded, text)) for metric, split, text in texts}


def parts_of(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "generations").iterdir())}


def check_nothing_decoded(runs, name):
    assert parts_of(runs / name) == parts_of(WRITTEN / name)
    passes = [json.loads((folder / name / "manifest.json").read_text())["passes"] for folder in (runs, WRITTEN)]
    assert passes[0] == passes[1]


def test_a_manifest_without_the_newer_fields_is_read_with_their_defaults(runs):
    """0.1.0 wrote every field that has no default; what was added since must not be needed."""
    path = runs / XLSUM / "manifest.json"
    written = json.loads(path.read_text())
    needed = {"generation_id", "passes"}
    needed |= {f.name for f in fields(Manifest) if f.default is MISSING and f.default_factory is MISSING}
    assert needed <= written.keys()

    path.write_text(json.dumps({key: value for key, value in written.items() if key in needed}))
    run = Run.open(runs / XLSUM)
    assert run.generation_id == written["generation_id"]
    assert (dict(run.manifest.second_models), run.manifest.schema) == ({}, SCHEMA)
    assert all(planned.splits == 0 for planned in run.manifest.passes)
    assert read_generations(run).num_rows == sum(len(pq.read_table(part)) for part in run.parts())


@pytest.mark.parametrize(("task", "name"), [("mini_xlsum", XLSUM), ("mini_wmt19", WMT19)])
def test_a_run_resumes_in_its_folder_and_scores_to_the_same_numbers(runs, task, name):
    assert main([*RUN, f"task={task}", f"paths.runs={runs}"]) == 0
    assert sorted(path.name for path in runs.glob("mini-*")) == sorted(path.name for path in WRITTEN.glob("mini-*"))
    check_nothing_decoded(runs, name)
    check_scores(runs, name)
    assert signatures(runs / name) >= signatures(WRITTEN / name)


def test_edt_score_reads_all_folders(runs):
    assert main(["score", f"runs=[{runs / XLSUM},{runs / WMT19}]", RESAMPLES]) == 0
    check_scores(runs, XLSUM)
    check_scores(runs, WMT19)


@pytest.mark.parametrize("name", [XLSUM, WMT19, SEARCHED])
def test_old_scores_are_read_without_scoring_again(name):
    assert read_scores(WRITTEN / name)["value"].notna().any()


def test_a_part_that_is_gone_is_decoded_again_to_the_same_tokens(runs):
    part = runs / XLSUM / "generations" / "part-000-00000.parquet"
    old = pq.read_table(part)
    part.unlink()
    assert main([*RUN, "task=mini_xlsum", f"paths.runs={runs}"]) == 0
    new = pq.read_table(part)
    assert new.schema.names == old.schema.names
    floats = ("t_mean", "t_min", "t_max", "h_mean", "trace_entropy", "trace_temperature")
    for was, now in zip(old.to_pylist(), new.to_pylist(), strict=True):
        assert {k: v for k, v in now.items() if k not in floats} == {k: v for k, v in was.items() if k not in floats}
        for key in floats:  # float32 logits may move in their last digits from machine to machine
            assert now[key] == pytest.approx(was[key], abs=1e-4)


def _of_0_1(trial):
    """A trial without what 0.1.0 did not measure: the values of further metrics, which its trials do not have."""
    assert all(measures["values"] == {} for measures in trial["by_task"].values())
    by_task = {
        task: {k: v for k, v in measures.items() if k != "values"} for task, measures in trial["by_task"].items()
    }
    return {**trial, "by_task": by_task}


def test_a_search_resumes_without_a_trial_and_chooses_the_same(runs):
    assert main([*TUNE, f"paths.runs={runs}"]) == 0
    assert [path.name for path in (runs / "tune").iterdir()] == [SEARCH]
    check_nothing_decoded(runs, SEARCHED)
    old, new = (json.loads((folder / "tune" / SEARCH / "tune.json").read_text()) for folder in (WRITTEN, runs))
    assert _of_0_1(new["chosen"]) == old["chosen"]
    trials = [(folder / "tune" / SEARCH / "trials.csv").read_text() for folder in (WRITTEN, runs)]
    assert trials[0] == trials[1]
