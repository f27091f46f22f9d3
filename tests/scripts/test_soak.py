"""The soak finds what commands do wrong, and finds nothing in those of `edt`: every kind of fault, a case each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.soak.__main__ import _options, _plan, main
from scripts.soak.file_faults import FILE_FAULTS, kind_of
from scripts.soak.process_faults import PROCESS_FAULTS
from tests.support.processes import linux

ROOT = Path(__file__).parents[2]

CARELESS = """
import json, signal, sys
from pathlib import Path
from random import Random
from scripts.soak.case import Case
from scripts.soak.file_faults import file_fault
from scripts.soak.process_faults import PROCESS_FAULTS
from scripts.soak.scenarios import CHAINS, STEPS, Library, Step

def unchecked():
    source = Path("input.npz")
    if not source.is_file():
        source.write_bytes(b"12345678")
    Path("table.csv").write_bytes(source.read_bytes())
    return 0

def strict():
    source = Path("input.npz")
    if source.is_file() and source.read_bytes() != b"12345678":
        print("careless: input.npz is damaged; remove ./input.npz.")
        return 2
    return unchecked()

def helpless():
    if (status := strict()) == 2:
        print("careless: input.npz is damaged.")
    return status

def surprised():
    source = Path("input.npz")
    if source.is_file() and source.read_bytes() != b"12345678":
        raise ValueError("surprise")
    return unchecked()

def unresumable():
    import time
    if Path("half.csv").exists():
        print("careless: half.csv is in the way.")
        return 2
    Path("half.csv").write_text("half")
    time.sleep(0.3)
    Path("half.csv").rename("table.csv")
    return 0

def deaf():
    import time
    signal.signal(signal.SIGTERM, lambda *ignored: sys.exit("ended in its own way"))
    time.sleep(0.3)
    return unchecked()

root = Path(sys.argv[1])
library = Library(root)
shown = {}
for work in (unchecked, strict, helpless, surprised, unresumable, deaf):
    name = work.__name__
    STEPS[name] = Step(name, lambda runs: [], work)
    CHAINS[name] = (name,)
    library.prepare(name)

def case(number, name):
    return Case(library, root / f"case-{name}-{number}", Random(number), name)

for name in ("unchecked", "strict", "helpless", "surprised"):
    # both files have one bit flipped now and then; only the input decides what the command makes
    shown[name] = sorted({file_fault(case(i, name), name, "flip", 1).outcome for i in range(12)})
shown["unresumable"] = PROCESS_FAULTS["kill"](case(0, "unresumable")).outcome
shown["deaf"] = sorted({PROCESS_FAULTS["sigterm"](case(i, "deaf")).outcome for i in range(6)})
print(json.dumps(shown))
"""


def python(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)


@linux
def test_what_careless_commands_do_is_noticed(tmp_path):
    ended = python("-c", CARELESS, str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {
        # a changed table at exit status 0, and a flipped bit in the table, which is written again
        "unchecked": ["harmless", "silent"],
        "strict": ["harmless", "reported"],
        # the message names no remedy that works
        "helpless": ["harmless", "reported"],
        "surprised": ["crashed", "harmless"],
        "unresumable": "lost",
        "deaf": ["crashed"],
    }


@linux
@pytest.mark.timeout(900)  # it waits for real processes, on a machine that may be busy
def test_every_kind_of_fault_is_reported_or_harmless(tmp_path):
    """The short form: a case of each fault, on the commands of a run."""
    counts = tmp_path / "counts.json"
    words = ["--cases", "1", "--follow", "1", "--on", "generate,score,report,runs", "--json", str(counts)]
    faults = [name for name in (*PROCESS_FAULTS, *FILE_FAULTS) if name != "kill-worker"]
    ended = python("-m", "scripts.soak", "--folder", str(tmp_path), "--faults", ",".join(faults), *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    content = json.loads(counts.read_text())
    tried = sum(row["tried"] for row in content["counts"]) + sum(content["skipped"].values())
    assert tried >= len(faults)
    assert len({row["fault"] for row in content["counts"]}) + len(content["skipped"]) == len(faults)
    assert sum(row["reported"] for row in content["counts"]) > 0
    assert content["bad"] == []


def test_unknown_names_are_refused_with_those_that_exist(monkeypatch, capsys):
    for words, message in (
        (["--faults", "kil"], "--faults has kil; it may have kill, kill-worker,"),
        (["--on", "generate,scor"], "--on has scor; it may have generate, score,"),
    ):
        monkeypatch.setattr(sys, "argv", ["soak", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


def test_a_time_limit_leaves_some_cases_of_every_fault(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["soak", "--long"])
    plan = _plan(_options())
    assert {one.fault for one in plan[: len(plan) // 20]} == {*PROCESS_FAULTS, *FILE_FAULTS}
    assert [one.number for one in plan] == list(range(len(plan)))
    assert sum(one.fault == "flip" for one in plan) == 1000


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("manifest.json", "manifest"),
        ("part-000-00001.parquet", "part"),
        ("eda_constants.json", "constants"),
        ("tune.json", "record"),
        ("trials.sqlite3", "database of a search"),
        ("trials.sqlite3.sha256", "digest of a database"),
        ("edt.log", None),
        (".lock", None),
    ],
)
def test_a_kind_of_file_is_known_by_its_name(name, kind):
    assert kind_of(Path(name)) == kind
