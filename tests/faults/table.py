"""The table of faults: each row is a case that is run, or what another test holds; docs/reference/faults.md shows it.

A module `tests/faults/cases_*.py` registers its cases; nothing else has to be changed:

    @fault("Damaged files", "a part is emptied, then `edt score`")
    def _(place):
        part = next(place.runs().glob("*/generations/part-*"))
        part.write_bytes(b"")
        return place.edt("score", f"runs={place.runs()}")

    held(
        "Killed", "SIGKILL during `edt tune`, 50 times", "The same command finishes with the same trials.",
        by="tests/tuning/test_kill.py::test_a_killed_search_ends_as_undisturbed",
    )

`python -m tests.faults.page` then writes the page again.
"""

import importlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from edt.cli import main

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "runs_0_1_0"
SECTIONS = (
    "Configuration",
    "Data",
    "Models",
    "Damaged files",
    "Other circumstances",
    "Killed and interrupted",
    "Concurrent commands",
    "Disks and memory",
    "Security",
    "Self-test",
)
"""The parts of the page, in this order."""

_VERSION = re.compile(
    r"\b(edt|torch|transformers|tokenizers|peft|safetensors|Python) v?\d+(\.\d+)+\S*?(?=[ ,;:)]|\.?$)"
)


_DIGEST = re.compile(r"\b[0-9a-f]{16}\b")
"""An id of a run: that of the random model depends on the version of torch."""

_SCORED: dict[Path, TemporaryDirectory] = {}
"""Folders with a scored run, by the folder of their model; cases copy them."""


@dataclass(frozen=True)
class Seen:
    """What a user sees: the exit status and the lines on stderr, without those that every command logs."""

    status: int
    lines: tuple[str, ...]

    @property
    def said(self):
        """The last line: of a command that failed, the error."""
        return self.lines[-1] if self.lines else ""

    def text(self):
        """The cell of the page."""
        return self.said if self.status else "; ".join(self.lines) or "No message; the command ends as usual."

    def only(self, pattern):
        """The same with the lines that match, for a command that logs more than the fault."""
        return Seen(self.status, tuple(line for line in self.lines if re.search(pattern, line)))


@dataclass(frozen=True)
class Fault:
    """A row: a case that is run, or words that another test (`by`) holds."""

    section: str
    what: str
    run: Callable | None = None
    shown: str = ""
    by: str = ""


FAULTS: list[Fault] = []


def fault(section, what):
    """Register a function of a `Place` that does the damage and returns what the user sees."""

    def register(function):
        _add(Fault(section, what, run=function))
        return function

    return register


def held(section, what, shown, *, by):
    """Register a row that another test holds: by="tests/FILE.py::NAME"."""
    _add(Fault(section, what, shown=shown, by=by))


def _add(row):
    assert row.section in SECTIONS, f"{row.section} is none of {SECTIONS}"
    FAULTS.append(row)


def faults():
    """All rows, by section and then in the order of the modules."""
    for module in sorted(HERE.glob("cases_*.py")):
        importlib.import_module(f"tests.faults.{module.stem}")
    return sorted(FAULTS, key=lambda row: SECTIONS.index(row.section))


@dataclass
class Place:
    """A folder of one case, where its command runs. tiny: the folder of a model, which is copied before it is damaged."""

    folder: Path
    tiny: Path
    _made: dict = field(default_factory=dict)

    def model(self):
        """A copy of the random model, in the folder `model`."""
        return self._once("model", lambda path: shutil.copytree(self.tiny, path))

    def rows(self, *rows, name="rows.jsonl"):
        """A data file of these rows; by default six that are fine."""
        rows = rows or [{"question": f"Question {n}?", "reference": f"answer {n}"} for n in range(6)]
        path = self.folder / name
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return path.relative_to(self.folder)

    def runs(self):
        """A folder of one finished and scored run, `runs`."""
        (golden,) = GOLDEN.glob("mini-mini_xlsum-ae*")
        return self._once("runs", lambda path: shutil.copytree(golden, path / golden.name))

    def scored(self):
        """The folder of a scored run of this version, on dev and test: each has a part and its statistics."""
        if self.tiny not in _SCORED:
            _SCORED[self.tiny] = TemporaryDirectory()
            first = Place(Path(_SCORED[self.tiny].name), self.tiny)
            # With ids: of rows without, a corrected reference is another example.
            first.rows(*({"id": n, "question": f"Question {n}?", "reference": f"answer {n}"} for n in range(6)))
            assert first.again().status == 0
        shutil.copytree(_SCORED[self.tiny].name, self.folder, dirs_exist_ok=True)
        self._made["model"] = Path("model")
        (run,) = (self.folder / "new").glob("model-*")
        return run

    def again(self, *words):
        """Repeat the command that made the scored run; words replace those that are here."""
        base = ["strategy.t0=[0,1]", "task.split=[dev,test]", "task.path=rows.jsonl", "metrics.bootstrap.resamples=10"]
        given = {word.split("=", 1)[0] for word in words}
        return self.edt_run(*(word for word in base if word.split("=", 1)[0] not in given), *words)

    def _once(self, name, make):
        if name not in self._made:
            make(self.folder / name)
            self._made[name] = Path(name)
        return self._made[name]

    def edt(self, *words):
        """Run a command in the folder."""
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            status = main(words)
        lines = [self._plain(line) for line in err.getvalue().splitlines() if line.strip()]
        return Seen(status, tuple(lines))

    def edt_run(self, *words):
        """Run `edt run` on small rows with the random model; words replace what is here."""
        base = {"task": "jsonl", "strategy": "fixed", "sampling.samples": "2", "sampling.max_new_tokens": "4"}
        base |= {"task.template.source": "{question}", "paths.runs": "new", "model.device": "cpu"}
        given = dict(word.split("=", 1) for word in words if "=" in word)
        if "model" not in given:
            base |= {"model": "hf", "model.path": str(self.model())}
        if "task.path" not in given and given.get("task", "jsonl") == "jsonl":
            base |= {"task.path": str(self.rows())}
        if given.get("task", "jsonl") != "jsonl":
            del base["task.template.source"]
        kept = [f"{key}={value}" for key, value in base.items() if key not in given]
        return self.edt("run", *kept, *words)

    def _plain(self, line):
        """A line without what differs from machine to machine: folders, versions."""
        # The tests have a folder of settings of their own.
        line = line.replace(os.environ.get("XDG_CONFIG_HOME") or "~/.config", "~/.config")
        line = line.replace(str(Path.home()), "~")
        line = line.replace(f"{self.folder.resolve()}/", "").replace(f"{self.folder}/", "")
        line = _DIGEST.sub("…", _VERSION.sub(r"\1 …", line))
        # Where a damaged file ends hangs on what the machine is called.
        line = re.sub(r"line \d+ column \d+ \(char \d+\)", "line … column … (char …)", line)
        return re.sub(r"^edt \w+: ", "", line)


@contextmanager
def cache_in(folder):
    """The cache and the home folder inside a folder, for a command outside of pytest."""
    before = dict(os.environ)
    os.environ.update(EDT_CACHE=str(folder / "cache"), HF_HUB_OFFLINE="1", HOME=str(folder / "home"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
