"""A list of tasks or strategies on the command line is several of them side by side, not one merged from all."""

from __future__ import annotations

from pathlib import Path

import pytest

from edt.cli import main
from edt.cli.argv import rewrite
from edt.strategies import Switch
from tests.support.command_line import refused


def _config(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["run", "--cfg", "job", *words]) == 0
    return capsys.readouterr().out


def test_listed_tasks_are_members(capsys: pytest.CaptureFixture[str]) -> None:
    """Hydra alone would merge the two files into one task, with the class of the last."""
    text = _config(capsys, "task=[mini_quac, mini_xlsum]", "task.limit=3", "task.members.mini_xlsum.limit=2")
    assert "edt.tasks.mini.MiniQuAC" in text
    assert "edt.tasks.mini.MiniXLSum" in text
    assert "limit: 3" in text
    assert "limit: 2" in text


def test_listed_strategies_are_families(capsys: pytest.CaptureFixture[str]) -> None:
    text = _config(
        capsys, "strategy=[kld,fixed]", "strategy.kld.sigma=0.25", "strategy.fixed.t0=[0,1]", "eda_scale=null"
    )
    assert "edt.strategies.KLD" in text
    assert "edt.strategies.Fixed" in text
    assert "sigma: 0.25" in text


def test_listed_tasks_are_decoded_each(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["task=[mini_quac,mini_xlsum]", "task.limit=1", "strategy=fixed", "sampling.samples=1"]
    assert main(["generate", *words, "sampling.max_new_tokens=2", f"paths.runs={tmp_path}"]) == 0
    folders = capsys.readouterr().out.split()
    assert len(folders) == 2
    assert "mini_quac" in folders[0]
    assert "mini_xlsum" in folders[1]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("task=[xlsum,xlsm]", "did you mean 'xlsum'?"),
        ("task=[quac,quac]", "'task=[quac,quac]' must list different names, as in task=[xlsum,quac]."),
        ("strategy=[]", "'strategy=[]' must list different names, as in strategy=[fixed,edt]."),
        ("task=[mini,xlsum]", "task mini is a list of tasks itself; list its tasks: mini_xlsum, mini_msmarco"),
        (
            "strategy=[fixed,paper_grid]",
            "strategy.paper_grid is several strategies itself; list its strategies: fixed, kld",
        ),
    ],
)
def test_a_list_that_cannot_be_meant_is_an_error(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "dry_run=true", word]) == 2
    assert message in capsys.readouterr().err


def test_other_words_with_brackets_stay() -> None:
    words = ["strategy.t0=[0,1]", "task.split=[dev,test]", "task=mini"]
    assert rewrite("run", words) == words


def test_a_switch_that_is_hot_where_the_model_is_sure_is_refused_where_a_person_chose_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["run", "strategy=switch", "strategy.t_low=[0.2,0.9]", "strategy.t_high=0.5", "dry_run=true"]
    message = refused(capsys, *words, f"paths.runs={tmp_path}")
    assert "strategy 'switch': t_low is 0.9; it must be at most t_high, which is 0.5" in message
    assert "Exchange the two; a rule that is hot where the model is sure is strategy=inverted_edt" in message
    message = refused(capsys, "run", "strategy=[edt,switch]", "strategy.switch.t_low=1.5", f"paths.runs={tmp_path}")
    assert "t_low is 1.5; it must be at most t_high, which is 1" in message
    # The space of a search is a box, which holds such points; equal temperatures are a fixed one.
    Switch(t_high=0.5, t_low=0.9, h=1)
    Switch(t_high=0.5, t_low=0.5, h=1).check_chosen()
