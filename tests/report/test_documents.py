"""Markdown and LaTeX of the study's tables: warnings above them."""

from __future__ import annotations

from edt.report.documents import put_warnings, write_tables
from edt.report.page import PageTable


def test_warnings_stand_above_the_tables(tmp_path):
    write_tables(tmp_path, "table", [PageTable(title="T", columns=["a"], rows=[["1"]])])
    before = (tmp_path / "table.md").read_text()
    put_warnings(tmp_path, "table", [])
    assert (tmp_path / "table.md").read_text() == before
    put_warnings(tmp_path, "table", ["The figures\nare exploratory.", "few trials"])
    assert (tmp_path / "table.md").read_text().endswith("few trials\n\n" + before)
    assert (tmp_path / "table.tex").read_text().startswith("% The figures are exploratory.\n% few trials\n% T\n")
    # an experiment that has no table
    put_warnings(tmp_path, "none", ["few trials"])
    assert not (tmp_path / "none.md").exists()
