"""Write docs/reference/faults.md from the table of faults: `python -m tests.faults.page`."""

import tempfile
from pathlib import Path

from tests.faults.table import SECTIONS, Place, cache_in, faults
from tests.support.tiny_model import write_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"

_HEAD = """# Faults and bad input

What `edt` says when a configuration, a data file, a model, a stored file or the machine is not as it should be. Each row is a
case of the test suite: the messages were printed by the commands themselves (`python -m tests.faults.page` writes this page,
and a test holds that it is current), or the named test holds what the row says.

A command that refuses its input prints one sentence on stderr (the thing, its value, what is allowed, the remedy) and exits
with 2. Nothing is decoded or written before the configuration, the data and the model have been checked. With
`HYDRA_FULL_ERROR=1` the traceback of an error is shown as well.

Faults at random moments and in random files are what `python -m scripts.soak` injects, with a seed: SIGKILL, SIGTERM, SIGINT and
SIGHUP, a killed worker process, a full disk, a read-only folder, a clock that jumps, moved and symlinked folders, the same command
several times at once; in files a flipped bit, and files that are cut, emptied, removed or swapped. It repeats the command, or does
what the message says, and compares what is on disk with an undisturbed run. It exits with 1 where something is lost, wrong without
a word, or a traceback. `results/reliability` has the counts; what a killed command and a damaged file lead to is in
[Files](files.md).
"""

_INTRODUCTIONS = {
    "Configuration": "Every value is typed and ranged where it is read. A fuzzer puts each of about 40 wrong or extreme values "
    "in the place of every key of every command (`tests/faults/test_config_fuzz.py`).",
    "Data": "Errors name the file and the line. `edt data check` reads all rows of a file without a model's weights. A fuzzer "
    "changes rows and bytes of JSON, JSON lines, CSV, TSV and parquet files (`tests/faults/test_data_fuzz.py`).",
    "Models": "Weights that are not all in the files are never made up at random.",
    "Damaged files": "Every file of a run carries a digest, which is checked whenever it is read. Nothing is scored from a "
    "damaged file; the command that the message names makes this file again, and no other.",
    "Other circumstances": "What changes the numbers without changing the run's id is recorded and reported.",
    "Killed and interrupted": "The same command continues, and ends as if it had not been stopped.",
    "Security": "What a data set, a model, a configuration or a run folder from elsewhere can do. See also SECURITY.md.",
    "Self-test": "`edt selftest` checks the machine: its noise, the draws of every strategy, and its engine.",
}


def cell(text):
    """A message inside a table of Markdown, as it stands: a code span, in which only the table's own sign is escaped."""
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def row_text(row, place):
    """The cell of what a user sees."""
    if row.by:
        return f"{row.shown} (`{row.by}`)"
    return cell(row.run(place).text())


def page(tiny, folder):
    """The text of the page. tiny: the folder of the random model. folder: where the cases run."""
    parts = [_HEAD]
    rows = faults()
    for section in SECTIONS:
        here = [row for row in rows if row.section == section]
        if not here:
            continue
        parts.append(f"\n## {section}\n")
        if section in _INTRODUCTIONS:
            parts.append(f"\n{_INTRODUCTIONS[section]}\n")
        parts.append("\n| fault | what the user sees |\n|---|---|\n")
        for number, row in enumerate(here):
            own = folder / f"{SECTIONS.index(section)}-{number}"
            own.mkdir()
            parts.append(f"| {row.what} | {row_text(row, Place(own, tiny))} |\n")
    return "".join(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, cache_in(Path(name)):
        tiny = write_tiny_model(Path(name) / "tiny")
        PAGE.write_text(page(tiny, Path(name)), encoding="utf-8")
