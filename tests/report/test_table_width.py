"""A table on a narrow terminal leaves out the columns that matter least, and names them."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from edt.records import ScoreRow
from edt.report.frame import table_rows
from edt.report.table import print_table

VALUES = {
    "rouge_l": 41.2,
    "self_bleu": 53.0,
    "eda": 39.6,
    "factuality": 70.1,
    "distinct_correct": 2.5,
    "empty_share": 0.0,
    "cut_share": 0.0,
    "tokens": 31.4,
    "temperature": 0.7,
}


def rows_of(**changed):
    return [
        ScoreRow(
            task="mini_xlsum", split="test", model_name="mini", strategy_id=f"fixed(t0={t0})", family="fixed",
            params={"t0": t0}, granularity="token", metric=metric, value=value, lo=value - 1, hi=value + 1,
            confidence=0.95, n_examples=9, n_samples=4, signature="", generation_id="0",
        )
        for t0 in (0.5, 1.0)
        for metric, value in (VALUES | changed).items()
    ]  # fmt: skip


def printed(width, terminal=True, scores=None, labels=None, **changed):
    file = io.StringIO()
    print_table(
        table_rows(scores or rows_of(**changed), labels),
        Console(file=file, width=width, force_terminal=terminal, color_system=None),
    )
    return file.getvalue()


def test_all_columns_are_shown_where_they_fit():
    text = printed(200)
    assert "fit" not in text
    assert all(name in text for name in ("cut %", "tokens", "mean T"))


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_what_is_left_out_is_named_and_is_never_what_settings_are_compared_by(width):
    text = printed(width, empty_share=62.5)
    head, line = text.split("strategy")[1].split("\n")[0], next(row for row in text.split("\n") if "not fit" in row)
    names = line.split("fit: ")[1].split(";")[0].split(", ")
    assert line.endswith(("table.md has them.", "table.md has it."))
    assert names
    assert not {"quality", "Self-BLEU", "EDA", "empty %"} & set(names)
    assert ("tokens" in names, "cut %" in names) == ("tokens" not in head, "cut %" not in head)
    # No cell of what is shown is cut off.
    assert "…" not in text
    assert "62.5" in text


def test_the_least_important_column_goes_first():
    narrow = next(line for width in range(199, 40, -1) for line in printed(width).split("\n") if "not fit" in line)
    assert narrow == "1 column does not fit: tokens; table.md has it."


def test_a_share_of_cut_outputs_stays():
    assert "cut %" in printed(80, cut_share=50.0).split("not fit")[0]
    assert "cut %" in printed(80, cut_share=0.01).split("not fit")[1]


def test_a_pipe_widens_instead_of_leaving_out():
    text = printed(80, terminal=False)
    assert "fit" not in text
    assert all(name in text for name in ("cut %", "tokens", "mean T"))


def test_long_labels_are_a_line_of_their_own_on_a_narrow_terminal():
    labels = {"0": "a template of forty or so characters, seed 0", "1": "hf_generate"}
    scores = [replace(score, generation_id=run) for run in labels for score in rows_of()]
    text = printed(80, scores=scores, labels=labels)
    for label in labels.values():
        heading = f"mini_xlsum · test · mini · {label.replace(', ', ' · ')} · 9 × 4 samples · ROUGE-L"
        assert heading in " ".join(text.split())
    lines = text.splitlines()
    # The columns of both tables stand below each other.
    heads = [line.rstrip() for line in lines if line.strip().startswith("strategy")]
    assert len(heads) == 2
    assert heads[0] == heads[1]
    wide = printed(300, scores=scores, labels=labels)
    assert "mini_xlsum · test" not in wide
