"""`edt tune` from the command line: what it decodes, what its choice hangs on, and what it leaves."""

import csv
import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rouge_score.rouge_scorer import RougeScorer

from edt.cli import main
from edt.scoring.eda_constants import FrozenConstants
from edt.store.parts import read_examples, read_generations, read_scores
from edt.store.run import Run
from tests.support.small_runs import rewrite
from tests.support.small_search import GRID, SMALL, words


def folder_of(runs):
    (folder,) = (runs / "tune").iterdir()
    return folder


def trials_of(runs):
    return [csv_rows(folder_of(runs) / name) for name in ("trials.csv", "baseline.csv")]


def csv_rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def run_of(runs, task="mini_xlsum"):
    (path,) = runs.glob(f"mini-{task}-*")
    return Run.open(path)


def rows_of(runs):
    return read_generations(run_of(runs)).to_pylist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The small grid, searched to its end."""
    runs = tmp_path_factory.mktemp("whole")
    assert main(words(runs, *GRID)) == 0
    return runs


def test_each_trial_is_decoded_on_dev_and_only_the_judged_on_test(whole):
    tried, fixed = trials_of(whole)
    assert len(tried) == 4
    found = {split: {r["strategy_id"] for r in rows_of(whole) if r["split"] == split} for split in ("dev", "test")}
    assert found["dev"] == {row["strategy_id"] for row in [*tried, *fixed]}
    lowest = [min(rows, key=lambda row: float(row["eda"]))["strategy_id"] for rows in (tried, fixed)]
    assert found["test"] == set(lowest)
    told = json.loads((folder_of(whole) / "tune.json").read_text())
    assert [told["chosen"]["strategy_id"], told["best_fixed"]["strategy_id"]] == lowest


def test_a_trials_values_by_another_program(whole):
    """Quality by rouge_score from the generations on disk, EDA by hand from the frozen constants."""
    run = run_of(whole)
    references = {e.example_id: e.references for e in read_examples(run) if e.split == "dev"}
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    tried, fixed = trials_of(whole)
    quality = {}
    for strategy_id in (row["strategy_id"] for row in [*tried, *fixed]):
        of = [r for r in rows_of(whole) if (r["split"], r["strategy_id"]) == ("dev", strategy_id)]
        assert len(of) == 6
        values = [
            max(scorer.score(ref, r["text"])["rougeL"].fmeasure for ref in references[r["example_id"]]) for r in of
        ]
        quality[strategy_id] = 100 * sum(values) / len(values)
    (constants,) = FrozenConstants.read(run).by_scale.values()
    assert constants.source == "dev"
    assert constants.q_star == pytest.approx(max(quality[row["strategy_id"]] for row in fixed), abs=1e-8)
    assert constants.s_star == max(float(row["mini_xlsum self_bleu"]) for row in fixed)
    for row in [*tried, *fixed]:
        q, s = quality[row["strategy_id"]], float(row["mini_xlsum self_bleu"])
        assert float(row["mini_xlsum quality"]) == pytest.approx(q, abs=1e-8)
        by_hand = 100 * ((max(0, 1 - q / constants.q_star) ** 2 + (s / constants.s_star) ** 2) / 2) ** 0.5
        assert float(row["eda"]) == pytest.approx(by_hand, abs=1e-8)


def test_the_searchs_values_are_those_of_the_scores(whole):
    run = run_of(whole)
    scores = {(s.strategy_id, s.metric): s.value for s in read_scores(run) if s.split == "dev"}
    for row in trials_of(whole)[0]:
        assert float(row["eda"]) == pytest.approx(scores[row["strategy_id"], "eda"], abs=1e-9)
        assert float(row["mini_xlsum self_bleu"]) == pytest.approx(scores[row["strategy_id"], "self_bleu"], abs=1e-9)


def plant(run, strategy_id):
    """Make a setting near the ideal on test: the reference and every second word of it, which share no pair of words."""
    references = {e.example_id: e.references[0].split() for e in read_examples(run) if e.split == "test"}
    for path in run.parts():
        table = pq.read_table(path)
        rows = table.to_pylist()
        for row in rows:
            if (row["split"], row["strategy_id"]) == ("test", strategy_id):
                row["text"] = " ".join(references[row["example_id"]][:: row["sample"] + 1])
        rewrite(run, path, pa.Table.from_pylist(rows, schema=table.schema))


def test_selection_never_sees_test(whole, tmp_path):
    """A setting that test would choose by far, planted there beforehand, changes nothing."""
    tried, _ = trials_of(whole)
    worst = max(tried, key=lambda row: float(row["eda"]))
    single = [f"strategy.t0={worst['t0']}", f"strategy.theta={worst['theta']}"]
    small = [*SMALL[:-1], "task.split=[dev,test]", "strategy=edt", *single]
    assert main(["run", *small, f"paths.runs={tmp_path}"]) == 0
    plant(run_of(tmp_path), worst["strategy_id"])
    assert main(words(tmp_path, *GRID)) == 0
    assert (folder_of(tmp_path) / "trials.csv").read_text() == (folder_of(whole) / "trials.csv").read_text()
    run = run_of(tmp_path)
    on_test = {s.strategy_id: s.value for s in read_scores(run) if (s.split, s.metric) == ("test", "eda")}
    assert min(set(on_test) - {"grammar"}, key=on_test.__getitem__) == worst["strategy_id"]
    chosen = json.loads((folder_of(tmp_path) / "tune.json").read_text())["chosen"]["strategy_id"]
    assert chosen != worst["strategy_id"]


def test_when_the_choice_is_made_test_is_not_decoded(tmp_path, monkeypatch):
    from edt.tuning import run as tune

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "_evaluate_on_test", stop)
    assert main(words(tmp_path, *GRID)) == 130
    assert {row["split"] for row in rows_of(tmp_path)} == {"dev"}


@pytest.mark.parametrize("search", [GRID, ["search.trials=8", "search.batch=3"]], ids=["grid", "tpe"])
def test_a_killed_tune_resumes_with_its_trials(tmp_path, monkeypatch, capsys, search):
    from edt.generation import generate

    whole = tmp_path / "whole"
    assert main(words(whole, *search)) == 0
    honest, written = generate.write_part, []

    def dying(run, number, chunk, *what):
        written.append((number, chunk))
        if len(written) == 3:  # the baseline, a pass, and then within the second pass
            raise KeyboardInterrupt
        honest(run, number, chunk, *what)

    monkeypatch.setattr(generate, "write_part", dying)
    killed = tmp_path / "killed"
    assert main(words(killed, *search)) == 130
    assert not (folder_of(killed) / "trials.csv").exists()
    monkeypatch.undo()
    capsys.readouterr()
    assert main(words(killed, *search)) == 0
    assert "\n3 of " in capsys.readouterr().err
    assert (folder_of(killed) / "trials.csv").read_text() == (folder_of(whole) / "trials.csv").read_text()
    keys = [(r["split"], r["example_id"], r["strategy_id"], r["sample"]) for r in rows_of(killed)]
    assert len(keys) == len(set(keys)) == len(rows_of(whole))


def test_the_same_command_again_decodes_nothing_and_says_the_same(whole, monkeypatch, capsys):
    from edt.decoding.engine import Engine

    before = {path: path.read_bytes() for path in folder_of(whole).glob("*[vdl]") if path.suffix != ".json"}
    assert len(before) == 5
    monkeypatch.setattr(Engine, "generate", None)
    assert main(words(whole, *GRID)) == 0
    said = capsys.readouterr()
    assert {path: path.read_bytes() for path in before} == before
    assert re.search(r"4 of 4 trials, best so far edt\(.+\), EDA on dev \d", said.err)
    assert "trial 0:" not in said.err  # the earlier command has printed them
    assert "all 4 points of the grid were tried before; nothing more was tried." in said.err
    assert "on dev (mini_xlsum) among 4 trials of grid: edt(" in said.out


def lose(parts):
    for path in parts:
        path.unlink()


def damage_the_last(parts):
    content = bytearray(parts[-1].read_bytes())
    content[len(content) // 2] ^= 1
    parts[-1].write_bytes(content)


def swap_two(parts):
    first, second = parts[-2].read_bytes(), parts[-1].read_bytes()
    parts[-2].write_bytes(second)
    parts[-1].write_bytes(first)


@pytest.mark.parametrize("harm", [lose, damage_the_last, swap_two])
def test_lost_outputs_of_trials_are_decoded_again_by_the_same_command(harm, whole, tmp_path, caplog):
    """The search itself has their measurements, and once left their rows out of the scores for good."""
    runs = tmp_path / "runs"
    shutil.copytree(whole, runs)
    run, scores = run_of(runs), read_scores(run_of(runs))
    before = {path: path.read_bytes() for path in run.parts()}
    harm([path for path in before if "part-000" not in path.name])
    assert {path: path.read_bytes() for path in before if path.is_file()} != before
    assert main(words(runs, *GRID)) == 0
    assert {path: path.read_bytes() for path in run_of(runs).parts()} == before
    assert read_scores(run_of(runs)) == scores
    assert "is scored without what it lacks" not in caplog.text


def test_more_trials_go_on_and_another_space_starts_anew(tmp_path, capsys):
    search = ["search.sampler=random", "search.batch=2"]
    assert main(words(tmp_path, *search, "search.trials=2")) == 0
    assert "a new search" not in capsys.readouterr().err
    first, _ = trials_of(tmp_path)
    assert main(words(tmp_path, *search, "search.trials=4", "space.t0.points=3")) == 0
    assert trials_of(tmp_path)[0][:2] == first
    assert [row["trial"] for row in trials_of(tmp_path)[0]] == ["0", "1", "2", "3"]
    assert main(words(tmp_path, *search, "search.trials=3")) == 0
    said = capsys.readouterr()
    assert "4 of 4 trials" in said.err
    assert "4 trials are there and 3 are set; nothing more was tried" in said.err
    assert "a new search" not in said.err
    older = folder_of(tmp_path).name
    assert main(words(tmp_path, *search, "search.trials=2", "space.t0.high=2")) == 0
    said = capsys.readouterr().err
    assert len(list((tmp_path / "tune").iterdir())) == 2
    assert (
        f"1 of its kind are in the same folder. It differs from the most similar one, {older}, in space.t0.high."
        in said
    )
    assert main(words(tmp_path, *search[1:], "search.trials=2", "search.sampler=grid")) == 0
    assert "a new search" not in capsys.readouterr().err


def test_of_a_grid_that_is_tried_in_part_its_size_is_told(tmp_path, capsys):
    assert main(words(tmp_path, *GRID, "search.trials=3")) == 0
    said = capsys.readouterr()
    # The plan stands before anything that is decoded.
    assert said.err.index(" rows at most, ") < said.err.index("trial 0:")
    assert "among 3 trials of grid, of 4 points of the grid," in said.out
    assert main(words(tmp_path, *GRID, "search.trials=3")) == 0
    assert "3 trials are there and 3 are set; nothing more was tried" in capsys.readouterr().err


def test_a_choice_on_an_end_is_told_everywhere(tmp_path, capsys):
    """Of two points of t0 and two of theta every choice lies on an end of each."""
    assert main(words(tmp_path, *GRID)) == 0
    said = " ".join(capsys.readouterr().out.split())
    told = json.loads((folder_of(tmp_path) / "tune.json").read_text())
    params = told["chosen"]["params"]
    wanted = [
        {"parameter": n, "side": "upper" if params[n] == high else "lower", "value": params[n]}
        for n, high in (("t0", 3.0), ("theta", 5.0))
    ]
    assert [{k: v for k, v in end.items() if k != "note"} for end in told["chosen_at_boundary"]] == wanted
    page = (folder_of(tmp_path) / "tune.html").read_text()
    table = (folder_of(tmp_path) / "table.md").read_text()
    for end in told["chosen_at_boundary"]:
        assert f"{end['parameter']}={end['value']:g} is at the {end['side']} boundary of its range" in end["note"]
        assert end["note"] in said
        assert end["note"] in table
        assert end["note"] in page


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_a_list_of_values_is_searched(tmp_path, sampler):
    lists = ["space.t0=[0.5,0.9]", "space.theta=[0.1,1]", f"search.sampler={sampler}", "search.trials=4"]
    assert main(words(tmp_path, *lists)) == 0
    tried, _ = trials_of(tmp_path)
    assert len(tried) == 4
    assert {row["t0"] for row in tried} <= {"0.5", "0.9"}
    assert {row["theta"] for row in tried} <= {"0.1", "1"}


def test_another_objective_has_its_paired_difference_on_test(tmp_path, capsys):
    assert main(words(tmp_path, *GRID, "search.objective=best_of")) == 0
    said = capsys.readouterr()
    assert "best best" not in said.out + said.err
    told = json.loads((folder_of(tmp_path) / "tune.json").read_text())
    chosen, fixed = (told[name]["strategy_id"] for name in ("chosen", "best_fixed"))
    value = {
        row.strategy_id: row.value for row in read_scores(run_of(tmp_path)) if (row.split, row.metric) == ("test", "best_of")
    }  # fmt: skip
    difference = f"{value[chosen] - value[fixed]:+.1f}".replace("-", "−")
    (text,) = [line for line in said.out.splitlines() if line.startswith("mini_xlsum, test: ")]
    assert f"(Δ best of K {difference} [" in text
    table = (folder_of(tmp_path) / "table.md").read_text()
    assert "| Δ best of K ↑ |" in table
    # What has no column is where the legend sends the reader.
    assert "table.csv has also: distinct-n, Vendi" in table
    in_csv = {(row["strategy_id"], row["metric"]): row for row in csv_rows(folder_of(tmp_path) / "table.csv")}
    assert float(in_csv[chosen, "best_of"]["difference"]) == pytest.approx(value[chosen] - value[fixed])
    assert in_csv[chosen, "vendi"]["value"]
    assert text in table


def test_two_objectives_end_with_the_front_judged_on_test(tmp_path, capsys):
    assert main(words(tmp_path, "search.objective=multi", "search.trials=6", "search.batch=6")) == 0
    tried, fixed = trials_of(tmp_path)

    def beaten(row):
        q, s = float(row["quality_share"]), float(row["self_bleu_share"])
        others = [(float(o["quality_share"]), float(o["self_bleu_share"])) for o in tried]
        return any(a >= q and b <= s and (a, b) != (q, s) for a, b in others)

    wanted = {row["strategy_id"] for row in tried if not beaten(row)}
    assert set(json.loads((folder_of(tmp_path) / "tune.json").read_text())["front"]) == wanted
    lowest_fixed = min(fixed, key=lambda row: float(row["eda"]))["strategy_id"]
    assert {r["strategy_id"] for r in rows_of(tmp_path) if r["split"] == "test"} == {*wanted, lowest_fixed}
    assert f"of a front of {len(wanted)}" in capsys.readouterr().out
    assert folder_of(tmp_path).name.startswith("edt-tpe-multi-")


def test_one_setting_for_all_tasks_or_one_for_each(tmp_path):
    both = ["task=mini", "task.limit=2", "~task.members.mini_msmarco", "~task.members.mini_wmt19", *GRID]
    words = ["tune", *SMALL[4:], *both]
    assert main([*words, f"paths.runs={tmp_path / 'joint'}"]) == 0
    tried, _ = trials_of(tmp_path / "joint")
    for row in tried:
        apart = [float(row["mini_xlsum eda"]), float(row["mini_quac eda"])]
        assert float(row["eda"]) == pytest.approx(sum(apart) / 2, abs=1e-9)
    shutil.copytree(tmp_path / "joint", tmp_path / "apart", ignore=shutil.ignore_patterns("tune"))
    assert main([*words, f"paths.runs={tmp_path / 'apart'}", "search.per_task=true"]) == 0
    found = {}
    for folder in (tmp_path / "apart" / "tune").iterdir():
        rows = [*csv_rows(folder / "trials.csv"), *csv_rows(folder / "baseline.csv")]
        (task,) = (name.split()[0] for name in rows[0] if name.endswith(" eda"))
        found[task] = {row["strategy_id"]: float(row["eda"]) for row in rows}
    assert set(found) == {"mini_xlsum", "mini_quac"}
    for task, edas in found.items():
        assert {r["strategy_id"]: float(r[f"{task} eda"]) for r in tried}.items() <= edas.items()


def test_a_model_without_any_quality_gives_no_scale(capsys, tmp_path):
    assert main(words(tmp_path, "model=mini_base", "sampling.max_new_tokens=1")) == 2
    assert "give EDA no scale on dev" in capsys.readouterr().err


def test_constants_that_are_given_are_used(tmp_path):
    assert main(words(tmp_path, *GRID, "metrics.eda.q_star=50", "metrics.eda.s_star=80")) == 0
    for row in trials_of(tmp_path)[0]:
        q, s = float(row["mini_xlsum quality"]), float(row["mini_xlsum self_bleu"])
        assert float(row["eda"]) == pytest.approx(
            100 * ((max(0, 1 - q / 50) ** 2 + (s / 80) ** 2) / 2) ** 0.5, abs=1e-9
        )
