"""The study from the command line on a small part of the embedded benchmark: every experiment, traced to its scores."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from edt.cli import main
from edt.cli.app import config_folder
from edt.errors import ConfigError
from edt.store.parts import read_examples, read_generations
from edt.store.run import find_runs
from edt.store.seal import json_bytes
from edt.strategies import Fixed
from edt.study import protocol
from edt.study.experiments import error_attribution
from edt.study.manifest import check_not_larger, read_study_manifest
from tests.support.small_study import EXPERIMENTS, QUICK, SMALL, few

FAMILIES = ("fixed", "kld", "kld_instance", "edt", "edt_instance", "dynatemp", "random_t")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    words = [few(folder / "configs"), *SMALL, f"paths.runs={folder / 'runs'}", f"paths.results={folder / 'results'}"]
    assert main(["study", "task=mini_xlsum", "task.limit=6", *words, *QUICK]) == 0
    return folder, words


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_written(study, name):
    folder = study[0] / "results" / "mini" / name
    for file in EXPERIMENTS[name]:
        assert (folder / file).stat().st_size > 100, file


def test_the_page_begins_with_the_verdicts(study):
    page = (study[0] / "results" / "mini" / "report.html").read_text()
    sections = re.findall(r'<section id="([^"]+)">', page)
    assert sections[:2] == ["claims", "main_table"]
    assert "<dt>EDA&#39;s scale</dt><dd>mini_xlsum: Q* = " in page
    assert len(page.encode()) < 1_500_000


def test_the_manifest_tells_the_choices_and_the_command(study):
    told = json.loads((study[0] / "results" / "mini" / "manifest.json").read_text())
    task = told["tasks"]["mini_xlsum"]
    assert told["command"].startswith("edt study")
    assert "task.limit=6" in told["command"]
    assert task["constants"] == "dev"
    assert told["search"] == {"trials": 4, "batch": 2, "seed": 0}
    assert told["margins"] == {
        "eda": 1.0, "best_of": 0.5, "distinct_correct": 0.1, "quality": 0.5, "factuality": 1.0,
    }  # fmt: skip
    assert told["exploratory"] == ""
    # of dynatemp there are only three settings
    assert task["trials"] == dict.fromkeys(FAMILIES, 4) | {"dynatemp": 3}
    assert task["examples"] == {"dev": 6, "test": 6}
    assert set(task["objectives"]) >= {"distinct_correct", "eda"}
    assert set(task["chosen"]) == set(task["objectives"])
    assert all(set(by_family) == set(FAMILIES) for by_family in task["chosen"].values())


def test_test_is_read_at_the_choices_and_the_curves_alone(study):
    folder = study[0]
    (run,) = find_runs([folder / "runs"])
    frozen = json.loads((folder / "results" / "mini" / "protocol.json").read_text())
    chosen = {
        entry["setting"]
        for of_objective in frozen["tasks"]["mini_xlsum"]["choices"].values()
        for entry in of_objective.values()
    }
    curves = {f"fixed(t0={t0:g})" for t0 in (0.3, 0.6, 0.9, 1.1, 1.3, 1.5)}
    curves |= {f"edt(t0={t0:g},theta=0.5)" for t0 in (0.3, 0.6, 0.9, 1.2, 1.5, 1.8)}
    decoded = {(g["split"], g["strategy_id"]) for g in read_generations(run).to_pylist()}
    assert {name for split, name in decoded if split == "test"} == chosen | curves
    assert curves <= {name for split, name in decoded if split == "dev"}
    assert json.loads((run.folder / "test_reads.json").read_text())["protocols"] == [frozen["digest"]]


def test_another_protocol_may_not_read_test_again(study, capsys, tmp_path):
    folder, words = study
    again = ["study", "experiment=main_table", "task=mini_xlsum", "task.limit=6", *words, "engine.compile=false"]
    for changed, shown in (
        ("margins.eda=2", "(margins.eda: 1.0 → 2.0)"),
        ("search.trials=5", "(search.trials: 4 → 5)"),
        ("objectives=[eda]", '["eda"]'),
        ("curves.range=[40,95]", "curves."),
    ):
        assert main([*again, changed]) == 2
        said = capsys.readouterr().err
        assert "protocol.json is of a study with another protocol" in said
        assert shown in said
        assert all(remedy in said for remedy in ("task.seed=1", "paths.results", "exploratory=true"))
    # from another folder of results it is noticed, and the figures say so
    elsewhere = [word for word in again if not word.startswith("paths.results")]
    few_trials = ["search.trials=2", f"paths.results={tmp_path / 'results'}"]
    assert main([*elsewhere, *few_trials]) == 0
    said = "The figures on test are exploratory: the test rows of mini_xlsum were read before under another protocol."
    assert said in capsys.readouterr().err
    home = tmp_path / "results" / "mini" / "main_table"
    assert json.loads((home / "manifest.json").read_text())["exploratory"] == said
    assert said in (home / "report.html").read_text()
    # a table is copied without its page
    for ending in ("md", "tex"):
        assert said in (home / f"table.{ending}").read_text()
    assert "fewer than 16" in (home / "table.md").read_text()
    assert json.loads((tmp_path / "results" / "mini" / "protocol.json").read_text())["exploratory"] is True
    # the record is of the run: taken back, so that the other tests see the first study's alone
    (run,) = find_runs([folder / "runs"])
    (run.folder / "test_reads.json").unlink()
    assert main([*again]) == 0


def test_choices_are_confirmed_on_unseen_rows_without_a_search(study, capsys, tmp_path):
    folder, words = study
    words = [*(word for word in words if not word.startswith("paths.runs")), f"paths.runs={tmp_path / 'runs'}"]
    confirmed = folder / "results" / "mini"
    frozen = json.loads((confirmed / "protocol.json").read_text())["tasks"]["mini_xlsum"]
    capsys.readouterr()
    for seed in (1, 2):
        more = [f"task.seed={seed}", f"confirm={confirmed}", "engine.compile=false"]
        assert main(["study", "experiment=main_table", "task=mini_xlsum", "task.limit=6", *words, *more]) == 0
        told = json.loads((confirmed / "confirm" / f"seed-{seed}" / "main_table" / "manifest.json").read_text())
        task = told["tasks"]["mini_xlsum"]
        assert task["chosen"] == {
            objective: {name: entry["setting"] for name, entry in of_objective.items()}
            for objective, of_objective in frozen["choices"].items()
        }
        assert (task["q_star"], task["s_star"]) == (frozen["constants"]["q_star"], frozen["constants"]["s_star"])
        assert task["run"] != frozen["run"]
        assert told["confirms"]
        # Of nested families too: θ free, and the best θ > 0.
        tables = [
            folder / "main_table" / "comparisons.csv" for folder in (confirmed, confirmed / "confirm" / f"seed-{seed}")
        ]
        compared, again = (
            [(r["task"], r["which_setting"], r["objective"], r["setting"], r["against"]) for r in rows_of(t)]
            for t in tables
        )
        assert again == [row for row in compared if row[0] == "mini_xlsum"] != []
    assert "trials, round" not in capsys.readouterr().err
    more[0] = "task.seed=3"
    for changed, shown in (
        (["sampling.samples=6"], "samples: 4 → 6"),
        (["margins.eda=3"], "margins.eda: 1.0 → 3.0"),
        (["metrics.rouge_l.stem=true"], "metrics.rouge_l.stem: false → true"),
        (["model=mini_base"], "model.weights: "),
    ):
        assert main(["study", "experiment=main_table", "task=mini_xlsum", "task.limit=6", *words, *more, *changed]) == 2
        assert shown in capsys.readouterr().err
    assert not (confirmed / "confirm" / "seed-3" / "main_table").exists()
    spread = rows_of(confirmed / "confirm" / "spread.csv")
    assert {row["seeds"] for row in spread} == {"2"}
    (edt,) = [row for row in spread if (row["family"], row["objective"]) == ("edt", "eda")]
    each = [
        next(
            r
            for r in rows_of(confirmed / "confirm" / f"seed-{seed}" / "values.csv")
            if r["family"] == "edt" and r["objective"] == "eda"
        )
        for seed in (1, 2)
    ]
    first, second = (float(row["difference"]) for row in each)
    assert float(edt["difference"]) == pytest.approx((first + second) / 2)
    assert float(edt["between_seeds"]) == pytest.approx(abs(first - second) / 2**0.5)


def test_a_folder_without_a_frozen_protocol_cannot_be_confirmed(tmp_path, capsys):
    assert main(["study", f"confirm={tmp_path}", "task.seed=1"]) == 2
    assert "which has no protocol.json" in capsys.readouterr().err


def test_each_value_of_the_table_is_a_row_of_the_scores(study):
    (run,) = find_runs([study[0] / "runs"])
    scores = {
        (row["split"], row["strategy_id"], row["metric"]): row for row in pq.read_table(run.scores_path).to_pylist()
    }
    chosen = rows_of(study[0] / "results" / "mini" / "main_table" / "chosen.csv")
    assert {row["split"] for row in chosen} == {"test"}
    for row in chosen:
        score = scores[row["split"], row["strategy_id"], row["metric"]]
        assert float(row["value"]) == score["value"]
        assert row["signature"] == score["signature"]
        assert row["generation_id"] == score["generation_id"]
    folder = study[0] / "results" / "mini"
    objectives = json.loads((folder / "manifest.json").read_text())["tasks"]["mini_xlsum"]["objectives"]
    table = (folder / "main_table" / "table.md").read_text().split("## Chosen on dev")[1].split("## ")[0]
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("| mini_xlsum")]
    assert len(lines) == 7 * len(objectives) + 1  # seven families by each objective, and the grammar
    names = ("distinct_correct", "best_of", "rouge_l", "factuality", "self_bleu", "eda")
    for line in lines[:-1]:
        strategy_id = line[4].split(", at the boundary")[0]
        for column, metric in enumerate(names, start=6):
            score = scores["test", strategy_id, metric]
            digits = 2 if metric == "distinct_correct" else 1
            expected = f"{score['value']:.{digits}f} [{score['lo']:.{digits}f}, {score['hi']:.{digits}f}]"
            assert line[column] == expected, (strategy_id, metric)
        assert line[12] == f"{scores['test', strategy_id, 'temperature']['value']:.2f}"
    assert {line[3] for line in lines if "control" in line[3]} == {"random t (control)"}


def test_each_comparison_is_of_the_frozen_choices_and_its_verdict_follows(study):
    folder = study[0] / "results" / "mini"
    told = json.loads((folder / "manifest.json").read_text())
    chosen = told["tasks"]["mini_xlsum"]["chosen"]
    assert told["comparisons"] == [
        {"family": "edt", "baseline": "fixed", "nested": True},
        {"family": "edt", "baseline": "kld", "nested": False},
    ]
    rows = rows_of(folder / "main_table" / "comparisons.csv")
    # both questions of the nested pair, one of the other, by each objective
    assert len(rows) == 3 * len(chosen)
    grid = {(r["strategy_id"], r["split"]): r for r in rows_of(folder / "main_table" / "grid.csv")}
    for row in rows:
        by = chosen[row["objective"]]
        assert row["against"] == by[row["baseline"]]
        assert row["setting"] in ([by["edt"], by["fixed"]] if row["which_setting"] == "θ free" else [by["edt"]])
        own, other = (float(grid[row[name], "test"][row["objective"]]) for name in ("setting", "against"))
        assert float(row["difference"]) == pytest.approx(own - other)
        assert float(row["margin"]) == told["margins"][row["objective"]]
        # six examples and 100 resamples decide nothing
        assert row["verdict"] == "cannot tell"
        assert "6 clusters on test, fewer than 30" in row["verdict_text"]


def test_the_grid_holds_what_the_libraries_compute(study):
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import sentence_bleu

    (run,) = find_runs([study[0] / "runs"])
    references = {e.example_id: e.references[0] for e in read_examples(run) if e.split == "test"}
    generations = read_generations(run).to_pylist()
    scorer = RougeScorer(["rougeL"])
    for row in rows_of(study[0] / "results" / "mini" / "main_table" / "grid.csv"):
        if row["split"] != "test" or row["strategy_id"] not in ("fixed(t0=1)", "edt(t0=1.2,theta=0.5)"):
            continue
        texts = {}
        for g in generations:
            if g["split"] == "test" and g["strategy_id"] == row["strategy_id"]:
                texts.setdefault(g["example_id"], []).append(g["text"])
        rouge = [scorer.score(references[e], t)["rougeL"].fmeasure for e, found in texts.items() for t in found]
        alike = [
            sentence_bleu(t, found[:n] + found[n + 1 :], use_effective_order=True).score
            for found in texts.values()
            for n, t in enumerate(found)
        ]
        assert float(row["rouge_l"]) == pytest.approx(100 * sum(rouge) / len(rouge))
        assert float(row["self_bleu"]) == pytest.approx(sum(alike) / len(alike))


def test_the_claims_follow_from_the_comparisons(study):
    folder = study[0] / "results" / "mini"
    claims = [r for r in rows_of(folder / "claims" / "claims.csv") if r["claim"].startswith("EDT beats")]
    comparisons = rows_of(folder / "main_table" / "comparisons.csv")
    assert len(claims) == 6  # two baselines, three figures
    for claim in claims:
        baseline = "fixed" if "fixed" in claim["claim"] else "kld"
        (found,) = [
            r
            for r in comparisons
            if (r["baseline"], r["which_setting"]) == (baseline, "θ free" if baseline == "fixed" else "")
            and r["difference"] == claim["difference"]
            and r["lo"] == claim["lo"]
            and {"distinct_correct": "distinct", "best_of": "best of K", "eda": "EDA"}[r["objective"]] in claim["claim"]
        ]
        assert claim["margin"] == found["verdict_text"].split(": dev chose")[0]
        assert claim["verdict"] == "undetermined at this scale"


def test_the_page_holds_the_sections_and_outputs(study):
    page = (study[0] / "results" / "mini" / "report.html").read_text()
    assert all(f'id="{name}"' in page or f"#{name}" in page for name in EXPERIMENTS)
    assert "edt(t0=1.2,theta=0.5)" in page


def test_a_second_call_decodes_nothing_and_one_experiment_alone_is_the_same(study, capsys):
    folder, words = study
    before = (folder / "results" / "mini" / "granularity" / "table.md").read_text()
    whole = (folder / "results" / "mini" / "manifest.json").read_text()
    capsys.readouterr()
    again = ["study", "experiment=granularity", "task=mini_xlsum", "task.limit=6", *words, "engine.compile=false"]
    assert main(again) == 0
    told = capsys.readouterr().err
    lines = re.findall(r"([\d,]+) rows, ([\d,]+) of them from before", told)
    assert lines
    assert all(rows == before for rows, before in lines)
    assert (folder / "results" / "mini" / "granularity" / "table.md").read_text() == before
    assert (folder / "results" / "mini" / "granularity" / "report.html").is_file()
    assert (folder / "results" / "mini" / "manifest.json").read_text() == whole


def test_an_experiment_that_needs_no_family_searches_none(study, capsys, tmp_path, monkeypatch):
    """Its settings are constants: the fixed temperatures were searched for nothing, some minutes on each task."""
    monkeypatch.setattr(error_attribution, "RULES", {"fixed": (error_attribution.Fixed(t0=1.0),)})
    monkeypatch.setattr(error_attribution, "ORACLES", {})
    folder, words = study
    alone = ["study", "task=mini_xlsum", "task.limit=6", *words, "experiment=[error_attribution]", "search.trials=6"]
    alone += [f"experiments.error_attribution.{key}=2" for key in ("examples", "samples", "references")]
    capsys.readouterr()
    assert main([*alone, f"paths.runs={tmp_path}", "dry_run=true"]) == 0
    assert "mini_xlsum: no setting to search" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    # Where nothing is decoded yet.
    assert main([*alone, f"paths.runs={tmp_path}", f"paths.results={tmp_path / 'results'}"]) == 0
    (run,) = find_runs([tmp_path])
    assert (run.parts(), run.scores_path.exists()) == ([], False)
    written = tmp_path / "results" / "mini"
    assert {path.name for path in written.iterdir()} == {"error_attribution"}
    assert "Where errors come from" in (written / "error_attribution" / "report.html").read_text()
    manifest = read_study_manifest(written / "error_attribution")
    assert (manifest["tasks"]["mini_xlsum"]["trials"], manifest["tasks"]["mini_xlsum"]["quality"]) == ({}, "rouge_l")

    # Next to a finished study of another protocol: its outputs, scores and protocol stay.
    kept = [*(folder / "results" / "mini").glob("protocol.json"), *(folder / "runs").glob("*/*.parquet")]
    kept += [*(folder / "runs").glob("*/test_reads.json"), *(folder / "runs").glob("*/generations/*")]
    before = {path: path.read_bytes() for path in kept}
    assert len(before) > 4
    assert main(alone) == 0
    assert {path: path.read_bytes() for path in kept} == before
    assert [*(folder / "runs").glob("*/generations/*")] == [path for path in kept if path.parent.name == "generations"]


def test_constants_hang_on_the_study_alone(study, tmp_path):
    """A run folder with settings and a frozen scale from before gives the same constants and choices."""
    mine = [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}", "engine.compile=false"]
    shared = ["task=mini_xlsum", "task.limit=6", "model.device=cpu"]
    before = ["strategy=fixed", "strategy.t0=[0,2.5]", "task.split=[dev,test]", "sampling.samples=4"]
    assert main(["run", *before, *shared, mine[0], mine[2], "metrics.bootstrap.resamples=10"]) == 0
    (run,) = find_runs([tmp_path / "runs"])
    frozen = json.loads(run.constants_path.read_text())
    del frozen["seal"]
    frozen = {key: known | {"q_star": 99.0} for key, known in frozen.items()}
    run.constants_path.write_bytes(json_bytes(frozen, run.owner(run.constants_path)))
    words = [word for word in study[1] if not word.startswith("paths.")]
    assert main(["study", "experiment=main_table", *shared, *words, *mine]) == 0
    whole, own = (
        json.loads(path.read_text())["tasks"]["mini_xlsum"]
        for path in (
            study[0] / "results" / "mini" / "manifest.json",
            tmp_path / "results" / "mini" / "main_table" / "manifest.json",
        )
    )
    assert (own["q_star"], own["s_star"], own["chosen"]) == (whole["q_star"], whole["s_star"], whole["chosen"])
    assert own["q_star"] != 99.0
    kept = json.loads(run.constants_path.read_text())
    assert {key: known for key, known in kept.items() if key != "seal"} == frozen


def test_a_smaller_study_does_not_write_over_a_larger_one(study, capsys):
    folder, words = study
    before = (folder / "results" / "mini" / "main_table" / "table.md").read_text()
    for smaller, told in (
        (["task=mini_xlsum", "task.limit=5"], "has 6 examples of a split, here task.limit=5"),
        (["task=mini_quac", "task.limit=6"], "it has the task mini_xlsum"),
        (["task=mini_xlsum", "task.limit=6", "metrics.bootstrap.resamples=50"], "it has 100 resamples, this one 50"),
        (["task=mini_xlsum", "task.limit=6", "model=mini_base"], ""),
    ):
        if not told:  # another model has a folder of its own, unless it has the same name
            renamed = folder / "results" / "mini_base"
            renamed.mkdir()
            (renamed / "manifest.json").write_bytes((folder / "results" / "mini" / "manifest.json").read_bytes())
            told = "it is of the model edt:mini"
        assert main(["study", "experiment=main_table", *words, *smaller]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert "paths.results=" in error
    assert (folder / "results" / "mini" / "main_table" / "table.md").read_text() == before
    assert main(["study", "experiment=[main_table,claims]", "task=mini_xlsum", "task.limit=6", *words]) == 2
    assert re.search("it has .*best_temperature, .*confidence, .*granularity", capsys.readouterr().err)


def test_the_committed_study_can_be_made_again_in_its_place():
    folder = Path(config_folder()).parent / "results" / "mini"
    present = read_study_manifest(folder)
    check_not_larger(folder, present["size"], present["experiments"])


def test_a_manifest_of_version_0_1_is_read_with_the_names_of_today(tmp_path):
    """Written by 0.1.0: experiments were artefacts there, and the settings that dev added finer, wider and between."""
    size = {"model": "edt:mini", "tasks": {"mini_xlsum": None}, "samples": 8, "resamples": 10000}
    added = {"finer": ["fixed(t0=1.35)"], "between": [], "wider": ["fixed(t0=2.4)"]}
    task = {"run": "ce555a1a6ed442c5", "placed_by_dev": {"fixed": added}, "edges": {"fixed": {"t0": "high"}}}
    old = {"size": size, "artefacts": ["main_table"], "growth": {"refinements": 2, "slices": 1}, "tasks": {"a": task}}
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    read = read_study_manifest(tmp_path)
    assert read["experiments"] == ["main_table"]
    assert read["budget"] == {"refinements": 2, "slices": 1}
    assert read["tasks"]["a"]["added_on_dev"]["fixed"] == {
        "refined": ["fixed(t0=1.35)"],
        "interpolated": [],
        "extended": ["fixed(t0=2.4)"],
    }
    assert read["tasks"]["a"]["at_boundary"] == {"fixed": {"t0": "high"}}
    check_not_larger(tmp_path, size, ["main_table"])
    with pytest.raises(ConfigError, match="main_table too"):
        check_not_larger(tmp_path, size, ["claims"])


def test_an_experiment_whose_tasks_are_not_in_the_study_takes_another(tmp_path):
    """Of task=mini_quac: the case study takes the task that there is."""
    words = [few(tmp_path / "c"), *SMALL, f"paths.runs={tmp_path / 'r'}", f"paths.results={tmp_path / 'o'}"]
    wanted = "experiment=[main_table,case_study]"
    assert main(["study", "task=mini_quac", "task.limit=2", wanted, "engine.compile=false", *words]) == 0
    assert "mini_quac" in (tmp_path / "o" / "mini" / "case_study" / "case.html").read_text()


def test_the_case_study_does_without_kl_guided_temperature(tmp_path):
    """Of families.kld=null, with an experiment that takes whatever families there are."""
    words = [few(tmp_path / "c"), *SMALL, f"paths.runs={tmp_path / 'r'}", f"paths.results={tmp_path / 'o'}"]
    wanted = ["task=mini_quac", "task.limit=3", "experiment=[main_table,case_study]", "engine.compile=false"]
    assert main(["study", *wanted, *words, "families.kld=null", "browser.examples=0"]) == 0
    table = (tmp_path / "o" / "mini" / "case_study" / "table.md").read_text()
    assert "| edt | " in table
    assert "kld" not in table


@pytest.mark.parametrize("experiments", ["confidence", "[main_table,confidence]", "[main_table,case_study]"])
def test_a_family_that_an_experiment_needs_is_missed_before_anything_is_decoded(experiments, tmp_path, capsys):
    words = [few(tmp_path / "c"), *SMALL, f"paths.runs={tmp_path / 'r'}", f"paths.results={tmp_path / 'o'}"]
    assert main(["study", f"experiment={experiments}", "task=mini_quac", *words, "families.edt=null"]) == 2
    assert "family 'edt' is not in the configuration" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_without_texts_no_prompt_reference_or_output_is_written(tmp_path):
    """Of every file of the results: none has five words in a row of a source, a reference or an output."""
    words = [few(tmp_path / "c"), *SMALL, f"paths.runs={tmp_path / 'r'}", f"paths.results={tmp_path / 'o'}"]
    wanted = [
        "task=mini_quac",
        "task.limit=3",
        "experiment=[main_table,matched_diversity,case_study]",
        "engine.compile=false",
    ]
    hidden = ["browser.examples=0", "experiments.case_study.texts=false"]
    # An earlier run with texts is not left beside it.
    case = tmp_path / "o" / "mini" / "case_study"
    case.mkdir(parents=True)
    for name in ("case.html", "tokens.svg", "tokens.png"):
        (case / name).write_text("of an earlier run")
    assert main(["study", *wanted, *words, *hidden]) == 0
    (run,) = find_runs([tmp_path / "r"])
    examples = read_examples(run)
    texts = [
        *(text for e in examples for text in (e.parts.source, *e.references)),
        *read_generations(run)["text"].to_pylist(),
    ]
    parts = {" ".join(text.split()[i : i + 5]) for text in texts for i in range(len(text.split()) - 4)}
    assert len(parts) > 100
    written = {
        path for path in (tmp_path / "o").rglob("*") if path.suffix in {".md", ".html", ".tex", ".csv", ".json", ".svg"}
    }
    assert {"report.html", "table.md", "manifest.json"} <= {path.name for path in written}
    assert {path.name for path in case.iterdir()} == {"table.md", "table.tex"}
    for path in written:
        content = " ".join(path.read_text().split())
        assert [part for part in parts if part in content] == [], path


def test_what_is_to_be_decoded_is_told_ahead(study, capsys):
    assert main(["study", "task=mini_xlsum", "task.limit=6", *study[1], *QUICK]) == 0
    # 4 trials of 7 families but dynatemp, which has 3 settings; two curves of 6 settings
    told = (
        "3 fixed temperatures for EDA's scale, 27 trials of 7 families and 12 settings of curves × 6 dev examples; then "
        "the choices of each family by"
    )
    shown = capsys.readouterr()
    assert told in shown.err
    assert re.search(r"4 samples each: [\d,]+ rows at most", shown.err)
    assert re.search(r"mini_xlsum, dev, trials, round 1: \d+ settings: \d+ rows", shown.err)
    assert re.search(r"mini_xlsum, test: \d+ settings: \d+ rows", shown.err)


def test_the_time_is_estimated_before_the_first_pass_and_after_it(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(protocol, "_FEWEST_FOR_PILOT", 6)
    # How long it takes on a busy machine is no matter here: the least that is ever said.
    monkeypatch.setattr(protocol, "monotonic", lambda: 0.0)
    quick = [word for word in QUICK if not word.startswith("experiments.")]
    words = ["study", "task=mini_xlsum", "task.limit=6", *study[1], *quick, "experiment=[best_temperature]"]
    words += [f"paths.runs={tmp_path / 'runs'}", f"paths.results={tmp_path / 'results'}"]
    assert main(words) == 0
    lines = capsys.readouterr().err.splitlines()
    at = [
        next(number for number, line in enumerate(lines) if re.search(pattern, line))
        for pattern in (
            r"rows at most$",
            r"mini_xlsum: at most about 1 minutes, by 4 examples that were decoded",
            r"mini_xlsum, dev, fixed temperatures: 3 settings: \d+ rows",
            r"mini_xlsum: at most about 1 minutes more",
        )
    ]
    assert at == sorted(at)

    # What is on disk says nothing of the speed.
    assert main(words) == 0
    assert "minutes" not in capsys.readouterr().err


def test_the_estimated_minutes_are_those_of_the_rows_that_are_left():
    """3 fixed temperatures × 2 examples in 6 seconds: 1 second a setting and example."""
    session = SimpleNamespace(
        request=SimpleNamespace(tasks=[SimpleNamespace(task=SimpleNamespace(name="mini_xlsum"))]),
        prepared=lambda index: SimpleNamespace(
            manifest=SimpleNamespace(splits={"dev": {"examples": 60}, "test": {"examples": 120}})
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        # 13 settings on dev and 5 on test: 13 × 60 + 5 × 120 = 1,380 seconds, 180 of them for those that are done
        patch.setattr(protocol, "planned_settings", lambda *_: (13, 5))
        of = SimpleNamespace(baseline=[Fixed(t0=t0) for t0 in (0, 0.7, 1.2)])
        assert protocol._minutes(session, 0, of, 6.0, examples=2, decoded=0) == 23
        assert protocol._minutes(session, 0, of, 6.0, examples=2, decoded=3) == 20


def test_bleu_is_that_of_sacrebleu(tmp_path):
    from sacrebleu import corpus_bleu

    words = [
        few(tmp_path / "configs"),
        *SMALL,
        f"paths.runs={tmp_path / 'runs'}",
        f"paths.results={tmp_path / 'results'}",
    ]
    assert (
        main(["study", "experiment=main_table", "task=mini_wmt19", "task.limit=4", *words, "engine.compile=false"]) == 0
    )
    (run,) = find_runs([tmp_path / "runs"])
    references = {e.example_id: e.references[0] for e in read_examples(run) if e.split == "test"}
    generations = read_generations(run).to_pylist()
    (row,) = [
        r
        for r in rows_of(tmp_path / "results" / "mini" / "main_table" / "grid.csv")
        if r["split"] == "test" and r["strategy_id"] == "fixed(t0=0.6)"
    ]
    scores = []
    for sample in range(4):
        texts = {
            g["example_id"]: g["text"]
            for g in generations
            if (g["split"], g["strategy_id"], g["sample"]) == ("test", "fixed(t0=0.6)", sample)
        }
        ordered = [[references[e] for e in texts]]
        scores.append(corpus_bleu(list(texts.values()), ordered, tokenize="zh").score)
    assert float(row["sacrebleu"]) == pytest.approx(sum(scores) / 4)


def test_the_study_on_real_samples_and_a_real_model(real_data, real_model, tmp_path, capsys):
    words = [
        few(tmp_path / "configs"),
        *SMALL,
        f"paths.runs={tmp_path / 'runs'}",
        f"paths.results={tmp_path / 'results'}",
    ]
    real = ["model=hf", f"model.path={real_model}", "task=paper", f"task.path={real_data}", "task.limit=3"]
    short = ["sampling.max_new_tokens=12", "task.members.msmarco.train_size=20", "experiment=[main_table,claims]"]
    assert main(["study", *real, *short, *words, "engine.compile=false"]) == 0
    (folder,) = (tmp_path / "results").glob("*")
    table = (folder / "main_table" / "table.md").read_text()
    assert all(f"| {name} |" in table for name in ("xlsum", "msmarco", "quac"))
    # The model writes no Chinese: without a scale nothing can be chosen, which is said and leaves the others alone.
    told = json.loads((folder / "manifest.json").read_text())
    assert set(told["left_out"]) == {"wmt19"}
    assert "wmt19 is left out: EDA is missing on dev" in capsys.readouterr().err
    assert "not measured" in (folder / "claims" / "table.md").read_text()
