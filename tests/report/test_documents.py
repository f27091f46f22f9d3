"""Markdown and LaTeX of the study's tables: warnings above them."""

from __future__ import annotations

from edt.report.documents import write_tables
from edt.report.page import PageTable


def test_warnings_stand_above_the_tables(tmp_path):
    tables = [PageTable(title=title, columns=["a"], rows=[["1"]]) for title in "TU"]
    write_tables(tmp_path, "table", tables)
    before = {ending: (tmp_path / f"table.{ending}").read_text() for ending in ("md", "tex")}
    assert before["md"].startswith("## T\n")
    assert before["tex"].startswith("% T\n")
    write_tables(tmp_path, "table", tables, ["The figures\nare exploratory.", "few trials"])
    shown = (tmp_path / "table.md").read_text()
    assert shown.startswith("> The figures")
    assert shown.endswith("> few trials\n\n" + before["md"])
    assert (tmp_path / "table.tex").read_text() == "% The figures are exploratory.\n% few trials\n" + before["tex"]
