"""Texts of others: on the terminal, in CSV for a spreadsheet, in Markdown and LaTeX."""

import csv
import io
import logging

import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table

from edt.console import SafeConsole
from edt.generation.export import export_samples
from edt.generation.progress import Progress
from edt.logs import log_to_stderr
from edt.records import ScoreRow
from edt.report.documents import csv_from_rows, write_tables
from edt.report.page import PageTable
from edt.report.table import csv_text, markdown_row
from edt.terminal_text import csv_cell, visible, visible_lines
from tests.support.command_line import refused

# Set the window's title, move the cursor, clear the screen, hide text, C1 controls, a new line, right to left, tags.
HOSTILE = "a\x1b]0;title\x07b\x1b[2J\x1b[8mhidden\x9b31m\rc\x08\u202edrow\u2066\u061c\u2028e\U000e0041f\x00"
STEERING = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029)} | set(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\U000e0041"
)


def steering(text):
    """The characters of a text that can steer a terminal, but line breaks."""
    return STEERING.intersection(text) - {"\n"}


def test_no_character_that_steers_a_terminal_is_left():
    assert steering(HOSTILE)
    assert not steering(visible(HOSTILE))
    assert "\n" not in visible("a\nb")
    assert visible_lines("a\nb") == "a\nb"
    assert visible("Größe 温度 θ = 0.5 – ok 🙂") == "Größe 温度 θ = 0.5 – ok 🙂"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_prints_no_control_character_of_a_text(terminal):
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=terminal, width=100, color_system=None)
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    console.print(HOSTILE, markup=False)
    console.print(table)
    assert not steering(out.getvalue())
    assert out.getvalue().count("a␛]0;title") == 3


def test_colors_of_our_own_still_reach_the_terminal():
    out = io.StringIO()
    SafeConsole(file=out, force_terminal=True, color_system="standard").print("warm", style="red")
    # rich's own console, which strips nothing, is what it is compared with
    plain = io.StringIO()
    Console(file=plain, force_terminal=True, color_system="standard").print("warm", style="red")
    assert out.getvalue() == plain.getvalue() != "warm\n"


def test_progress_shows_signs_in_its_bar_and_its_lines(capsys):
    out = io.StringIO()
    bar = Progress(SafeConsole(file=out, force_terminal=True, color_system=None, width=100))
    with bar.task("[red]a\x1b]0;title\x07", total=1, done=0, chunks=1) as advance:
        advance(1, 1)
    # Its own sequences move the cursor; that of the label, which sets the title, is a text.
    assert "\x1b]0" not in out.getvalue()
    assert "[red]a␛]0;t" in out.getvalue()


def test_log_lines_show_signs(capsys):
    log_to_stderr()
    logging.getLogger("edt.models").warning("model of type %s", HOSTILE)
    assert not steering(capsys.readouterr().err)


@pytest.mark.parametrize(
    "words",
    [
        ["run", f"model=hf model.path=./{HOSTILE[:-1]}"],
        ["run", f"strategy={HOSTILE[:-1]}"],
        ["run", "task=jsonl", f"task.path=./{HOSTILE[:-1]}.jsonl"],
        ["report", f"runs=./{HOSTILE[:-1]}"],
        ["run", f"{HOSTILE[:-1]}=1"],
        ["fetch", HOSTILE[:-1]],
    ],
)
def test_errors_show_signs(words, capsys):
    assert not steering(refused(capsys, *words).strip())


FORMULAS = [
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1+1",
    "'=1",
    "''@x",
    '=HYPERLINK("http://x","y")',
]
HARMLESS = [
    "a=1",
    "",
    "0.5",
    "−1.5",
    "-1.5",
    "+3",
    "-1e-05",
    "fixed(t0=0.7)",
    "'quoted'",
    3,
    -2.5,
    None,
    float("nan"),
    "–",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_has_an_apostrophe_in_front_and_can_be_read_back(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", HARMLESS)
def test_other_values_and_numbers_stay(value):
    assert csv_cell(value) is value


def score(**values):
    fields = {
        "task": "=task", "split": "test", "model_name": "@model", "strategy_id": "-id()", "family": "fixed",
        "params": {"t0": -0.5}, "granularity": "token", "metric": "rouge_l", "value": -1.5, "lo": None, "hi": None,
        "confidence": 0.95, "n_examples": 1, "n_samples": 1, "signature": "s", "generation_id": "g", "note": "+note",
    }  # fmt: skip
    return ScoreRow(**{**fields, **values})


def test_tables_as_csv_hold_no_formula_and_numbers_stay_numbers():
    (row,) = csv.DictReader(io.StringIO(csv_text([score()], {"g": "=run"})))
    assert [row[name] for name in ("task", "model_name", "strategy_id", "note", "run")] == [
        "'=task", "'@model", "'-id()", "'+note", "'=run",
    ]  # fmt: skip
    frame = pd.read_csv(io.StringIO(csv_text([score()])))
    assert (frame["value"][0], frame["t0"][0]) == (-1.5, -0.5)

    header, row = csv.reader(io.StringIO(csv_from_rows([{"=name": "@x", "difference": -0.5}])))
    assert header == ["'=name", "difference"]
    assert row == ["'@x", "-0.5"]


def test_exported_samples_hold_no_formula_unless_they_are_to_stay(tmp_path, hostile_run, caplog):
    caplog.set_level(logging.INFO, "edt")
    safe, raw = tmp_path / "safe.csv", tmp_path / "raw.csv"
    export_samples([hostile_run], "csv", safe)
    assert "texts begin with =" in caplog.text
    export_samples([hostile_run], "csv", raw, escape_formulas=False)
    frames = [pd.read_csv(path, keep_default_na=False) for path in (safe, raw)]
    assert list(frames[0]["example_id"]) == [f"'{text}" for text in frames[1]["example_id"]]
    assert set(frames[1]["example_id"]) == {"=1", "@2"}
    assert list(frames[0].columns) == list(frames[1].columns)
    assert frames[0]["t_mean"].dtype == float


@pytest.fixture
def hostile_run(tmp_path):
    """A run on two examples whose ids are formulas."""
    from edt.cli import main
    from edt.store.run import find_runs

    data = tmp_path / "data.jsonl"
    data.write_text('{"id": "=1", "source": "a", "reference": "b"}\n{"id": "@2", "source": "c", "reference": "d"}\n')
    words = [
        "task=jsonl",
        f"task.path={data}",
        "task.split=all",
        "strategy=fixed",
        "sampling.samples=1",
        "sampling.max_new_tokens=2",
    ]
    assert main(["generate", *words, f"paths.runs={tmp_path / 'runs'}"]) == 0
    return find_runs([tmp_path / "runs"])[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        # Without the first step, the second backslash would be escaped and the pipe end the cell.
        ("a\\|b", r"a\\\|b"),
        ("a\nb", "a⏎b"),
        ("<script>x</script>", "&lt;script>x&lt;/script>"),
        ("![x](http://tracker)", r"![x]\(http://tracker)"),
        ("39.6 [37.9, 41.4]", "39.6 [37.9, 41.4]"),
        ("\x1b[2J", "␛[2J"),
    ],
)
def test_a_cell_of_markdown_is_one_cell_of_text(text, shown):
    assert markdown_row([text, "x"]) == f"| {shown} | x |"


def test_a_document_is_text_whatever_its_tables_hold(tmp_path):
    table = PageTable(
        title="a\n\\input{/etc/passwd}", columns=["x_1", "y"], rows=[["50 % & \\x", "a|b\nc"]], note="n\n\\x"
    )
    write_tables(tmp_path, "t", [table])
    tex = (tmp_path / "t.tex").read_text()
    assert all(line.startswith("%") or "input{" not in line for line in tex.splitlines())
    assert tex.splitlines()[1].startswith("% n")
    assert r"50 \% \& \textbackslash x" in tex
    (row,) = [line for line in (tmp_path / "t.md").read_text().splitlines() if "50 %" in line]
    assert row == r"| 50 % & \\x | a\|b⏎c |"
