"""Metrics that the printed tables leave out: the CSV and the page have them, and a line says so."""

from __future__ import annotations

import io

from rich.console import Console

from edt.records import ScoreRow
from edt.report.frame import columns_in, table_rows
from edt.report.page_data import setting_columns
from edt.report.run_report import scores_page
from edt.report.table import csv_text, markdown, print_table


def scores(*metrics: str) -> list[ScoreRow]:
    return [
        ScoreRow(
            task="t", split="test", model_name="m", strategy_id="fixed(t0=1)", family="fixed", params={"t0": 1.0},
            granularity="token", metric=metric, value=12.3456, lo=1.0, hi=20.0, confidence=0.95, n_examples=30,
            n_samples=4, group_size=4, signature="", generation_id="0", is_quality=metric == "rouge_l",
        )
        for metric in metrics
    ]  # fmt: skip


ALL = scores("rouge_l", "self_bleu", "best_of", "distinct_n", "vendi", "rep_4", "entity_precision")


def test_the_tables_leave_them_out_and_name_them() -> None:
    sections = table_rows(ALL)
    console = Console(file=io.StringIO(), width=200)
    print_table(sections, console)
    for shown in (markdown(sections), console.file.getvalue()):
        heading = next(line for line in shown.splitlines() if "Self-BLEU" in line)
        assert "best of K" in heading
        assert "names in source" in heading
        assert "Vendi" not in heading
        assert "table.csv has also: distinct-n, Vendi, rep-4 %." in " ".join(shown.split())


def test_the_csv_and_the_page_have_them() -> None:
    assert ",vendi,12.3456," in csv_text(ALL)
    sections = table_rows(ALL)
    assert "vendi" in columns_in(sections)
    columns = {column["metric"] for column in setting_columns(scores_page(sections, []).points)}
    assert {"distinct_n", "vendi", "rep_4"} <= columns


def test_without_such_metrics_there_is_no_line() -> None:
    assert "has also" not in markdown(table_rows(scores("rouge_l", "self_bleu")))
