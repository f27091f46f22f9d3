"""The page of faults is what the commands say, and the tests that its other rows name are there."""

import ast
from pathlib import Path

import pytest

from tests.faults.page import PAGE, row_text
from tests.faults.table import Place, faults

ROOT = Path(__file__).parents[2]
ROWS = faults()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.*:FutureWarning")  # peft's own use of transformers
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what[:60])
def test_the_page_says_what_the_user_sees(row, tiny_folder, tmp_path):
    shown = row_text(row, Place(tmp_path, tiny_folder))
    line = f"| {row.what} | {shown} |"
    assert line in PAGE.read_text(encoding="utf-8"), f"run `python -m tests.faults.page`; the page lacks:\n{line}"


def test_the_page_has_no_other_rows():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) - sum(line == "| fault | what the user sees |" for line in lines) == len(ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row.by], ids=lambda row: row.by)
def test_the_test_that_holds_a_row_is_there(row):
    file, _, name = row.by.partition("::")
    names = {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in names
