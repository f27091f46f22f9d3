"""The end of a study: its main table, the verdicts, and where its page is."""

import io
from pathlib import Path

from rich.console import Console

from edt.report.page import PageTable, Section
from edt.study.ending import print_results
from edt.study.experiment import ExperimentResult

CHOSEN = PageTable(
    title="Chosen on dev by each objective, measured on test",
    columns=[
        "task",
        "quality is",
        "chosen by",
        "family",
        "setting chosen on dev",
        "settings tried",
        "quality ↑",
        "mean T",
        "p",
    ],
    rows=[
        ["mini_quac", "ROUGE-L", "distinct", "fixed", "t0=0.7", "9", "41.2 [40, 43]", "0.70", "–"],
        ["mini_quac", "ROUGE-L", "EDA", "fixed", "t0=1.3", "9", "39.9 [38, 41]", "1.30", "–"],
        ["mini_quac", "ROUGE-L", "(ideal)", "the grammar itself", "–", "–", "55.5 [54, 57]", "–", "–"],
    ],
    note="Values with intervals.",
)


VERDICTS = PageTable(
    title="Verdicts over all tasks", columns=["comparison", "verdict"], rows=[["edt − fixed", "no gain"]]
)


def shown(**sections):
    results = {
        name: ExperimentResult(section=Section(name=name, title="T", **parts), evidence={})
        for name, parts in sections.items()
    }
    console = Console(file=io.StringIO(), width=100)
    print_results(results, Path("results/mini/report.html"), console)
    return console.file.getvalue()


def test_the_table_the_verdicts_and_the_page_are_printed():
    text = shown(main_table={"tables": [VERDICTS, CHOSEN]}, claims={"text": ["Supported: 1 of 10. EDT is better (1)."]})
    for part in ("edt − fixed", "Chosen on dev by", "mini_quac", "t0=0.7", "41.2", "[40, 43]", "55.5", "Values with"):
        assert part in text, part
    assert text.index("edt − fixed") < text.index("Chosen on dev")
    # the page has the rest, and the choices by the other objectives
    assert "ROUGE-L" not in text
    assert "t0=1.3" not in text
    assert text.endswith(
        "Supported: 1 of 10. EDT is better (1).\nall tables, figures and outputs: results/mini/report.html\n"
    )


def test_a_study_of_other_experiments_names_its_page():
    assert shown(frontier={"text": ["?"]}) == "all tables, figures and outputs: results/mini/report.html\n"
