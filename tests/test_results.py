"""What the pages say was found is in the committed tables, and these in the committed scores."""

import csv
import re

import pyarrow.parquet as pq
import pytest

from tests.support.documents import ROOT

PAGES = ("docs/results.md", "README.md")
NUMBER = r"[+−]?\d+(?:\.\d+)?"
FIGURE = re.compile(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]")
STUDIES = sorted(path.parent for path in ROOT.glob("results/*/*/scores.parquet"))


def section(page):
    """The text of a page that says what was found: of the README one section, else all of it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text if page != "README.md" else text.partition("## What it found")[2].partition("\n## ")[0]


def printed(row):
    """A value of a table of scores with its interval, with two decimals."""
    value, lo, hi = (f"{float(row[name]):.2f}".replace("-", "−") for name in ("value", "lo", "hi"))
    return f"{value} [{lo}, {hi}]"


def figures(text):
    """Each value with its interval, on one line whatever the page's line breaks are."""
    return [match.group() for match in FIGURE.finditer(" ".join(text.split()))]


@pytest.fixture(scope="module")
def tables():
    """Every figure of every committed table."""
    pages = [*ROOT.glob("results/**/table.md"), ROOT / "results" / "temperature_by_entropy" / "README.md"]
    pages += ROOT.glob("results/*/confirm/README.md")
    found = {figure for path in pages for figure in figures(path.read_text(encoding="utf-8"))}
    for path in ROOT.glob("results/**/main_table/*.csv"):
        with path.open() as file:
            rows = [row for row in csv.DictReader(file) if row.get("value") and row["lo"]]
        found |= {printed(row) for row in rows}
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_a_page_is_in_a_table(page, tables):
    shown = figures(section(page))
    assert shown
    assert [figure for figure in shown if figure not in tables] == []


def test_another_figure_would_be_noticed(tables):
    assert "−0.01 [−0.10, +0.08]" in tables
    assert "−0.01 [−0.10, +0.09]" not in tables


def test_there_are_studies_of_real_models():
    assert {path.parent.name for path in STUDIES} >= {"smollm2"}


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_values_of_a_table_are_rows_of_the_scores(study):
    """chosen.csv is what the main table prints; each of its values is the score of that setting, split and metric."""
    rows = pq.read_table(study / "scores.parquet").to_pylist()
    scores = {(row["split"], row["strategy_id"], row["metric"]): row for row in rows}
    with (study / "main_table" / "chosen.csv").open() as file:
        chosen = list(csv.DictReader(file))
    assert len(chosen) > 20
    table = (study / "main_table" / "table.md").read_text(encoding="utf-8")
    for row in chosen:
        score = scores[row["split"], row["strategy_id"], row["metric"]]
        assert [row[name] for name in ("value", "lo", "hi")] == [
            "" if score[name] is None else repr(score[name]) for name in ("value", "lo", "hi")
        ]
        assert f"| {row['strategy_id']}" in table


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_shows_a_text(study):
    """Results on data that may not be passed on: nothing of the study's pages that show outputs is there."""
    names = {path.name for path in study.rglob("*")}
    assert not {"report.html", "case.html", "tokens.svg", "examples.parquet"} & names
    assert "experiments.case_study.texts=false" in (study / "manifest.json").read_text()
