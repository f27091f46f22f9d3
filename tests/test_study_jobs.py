"""Tasks decoded side by side: the same study as one after the other, and errors that come through."""

import csv
from concurrent.futures import ThreadPoolExecutor
from time import sleep

from small_study import SMALL, few

from edt.cli import main
from edt.pipeline import jobs

TASKS = ["task=mini", "task.limit=2", "experiment=main_table", "engine.compile=false"]
TWO = ["~task.members.mini_msmarco", "~task.members.mini_wmt19"]


def reproduced(folder, *words):
    paths = [few(folder / "configs"), f"paths.runs={folder / 'runs'}", f"paths.results={folder / 'results'}"]
    return main(["reproduce", *TASKS, *TWO, *SMALL, *words, *paths])


def scores(folder):
    with (folder / "results" / "mini" / "main_table" / "grid.csv").open() as file:
        return list(csv.DictReader(file))


def test_side_by_side_is_one_after_the_other(tmp_path, capfd):
    assert reproduced(tmp_path / "one", "jobs=1") == 0
    capfd.readouterr()
    assert reproduced(tmp_path / "two", "jobs=2") == 0
    told = capfd.readouterr().err
    assert "mini_xlsum: 25 settings × 2 dev examples" in told
    assert "mini_quac: 25 settings × 2 dev examples" in told
    assert scores(tmp_path / "two") == scores(tmp_path / "one")
    assert {row["task"] for row in scores(tmp_path / "one")} == {"mini_xlsum", "mini_quac"}


def test_dev_goes_first_then_the_longest_test(monkeypatch):
    begun = []

    def dev(place):
        begun.append(f"dev {place}")
        sleep(0.05)
        return f"chosen {place}"

    def test(place, decoded):
        begun.append(f"test {place}")
        sleep(0.05)
        return f"{decoded}, tested"

    monkeypatch.setattr(jobs, "_dev", dev)
    monkeypatch.setattr(jobs, "_test", test)
    with ThreadPoolExecutor(1) as pool:
        found = jobs.side_by_side(pool, 1, [2, 0, 3, 1])
    assert found == [f"chosen {place}, tested" for place in range(4)]
    assert begun == [f"{split} {place}" for split in ("dev", "test") for place in (2, 0, 3, 1)]


def test_an_error_of_a_process_is_told_like_any_other(tmp_path, capfd):
    assert reproduced(tmp_path, "jobs=2", "model=hf", f"model.path={tmp_path / 'nothing'}") == 2
    assert "nothing" in capfd.readouterr().err
