"""A user's machine with small runs to export, and its offline runs read back with wandb's own reader."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from wandb.util import get_core_path

KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3"
TOKEN = "hf_quuxTokenOfTheHub"
USER, HOST = "quuxuser", "quuxhost"
TASKS = ["mini_msmarco", "mini_quac", "mini_wmt19", "mini_xlsum"]
SETTINGS = ["fixed(t0=0)", "fixed(t0=1)", "edt(t0=0.7,theta=0.5)"]
WORDS = [
    "task=mini",
    "task.limit=2",
    "sampling.samples=2",
    "sampling.max_new_tokens=24",
    "metrics.bootstrap.resamples=50",
]
WORDS += [
    "strategy=paper_grid",
    "strategy.fixed.t0=[0,1]",
    "strategy.kld=null",
    "strategy.edt.t0=0.7",
    "strategy.edt.theta=0.5",
]


class Machine:
    """A user's machine: a home of its own, whose path no export may contain, with runs somewhere below it."""

    def __init__(self, folder: Path):
        self.home = folder / "home-of-quux"
        self.runs = self.home / "work" / "runs"
        self.runs.mkdir(parents=True)

    def run(self, *words, **variables):
        """Run python with these words in the home."""
        return self.start([sys.executable, *words], **variables)

    def start(self, command, **variables):
        """Run a command in the home."""
        wandb_free = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        own = {"HOME": str(self.home), "USER": USER, "LOGNAME": USER, "HF_TOKEN": TOKEN}
        own |= {"WANDB_HOST": HOST, "WANDB_USERNAME": USER, "WANDB_USER_EMAIL": f"{USER}@{HOST}"}
        own |= {"PYTHONPATH": str(Path(__file__).parents[2]), "WANDB_ERROR_REPORTING": "false"}
        environment = {**wandb_free, **own, **variables}
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=200)

    def edt(self, command, *words, fails=False, **variables):
        """An edt command with these runs; returns its stdout, or its stderr when it must fail."""
        shown = self.run("-W", "error", "-m", "edt", command, *words, f"paths.runs={self.runs}", **variables)
        assert (shown.returncode == 2) if fails else (shown.returncode == 0), shown.stdout + shown.stderr
        return shown.stderr if fails else shown.stdout

    def folders(self):
        """The offline runs by id."""
        found = list((self.runs / "wandb").glob("offline-run-*"))
        assert len({path.name.rpartition("-")[2] for path in found}) == len(found)
        return {path.name.rpartition("-")[2]: path for path in found}

    def records(self, folder):
        """An offline run's records, read with wandb's own reader, as `wandb leet inspect --json` calls it."""
        (file,) = folder.glob("*.wandb")
        command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(file)]
        shown = subprocess.run(command, env={"HOME": str(self.home)}, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def exported(self):
        """Every offline run by its name."""
        read = [Offline(self.records(folder), folder) for folder in self.folders().values()]
        return {run.name: run for run in read}


class Offline:
    """An offline run, read from its records."""

    def __init__(self, records, folder):
        self.records, self.folder = records, folder
        (self.run,) = self.of("run")
        self.name, self.id, self.group = self.run["display_name"], self.run["run_id"], self.run.get("run_group")
        self.config = {k: v for r in [self.run["config"], *self.of("config")] for k, v in r.get("update", {}).items()}
        self.summary = {k: v for record in self.of("summary") for k, v in record.get("update", {}).items()}

    def of(self, kind):
        return [record[kind] for record in self.records if record["type"] == kind]

    def table(self, name):
        content = json.loads((self.folder / "files" / self.summary[f"{name}.path"]).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]

    def artifacts(self):
        return {a["name"]: {c["path"]: c["local_path"] for c in a["manifest"]["contents"]} for a in self.of("artifact")}


def exporting_machine(folder):
    """A machine with the mini tasks decoded and scored, exported by `edt run` and then by `edt report` with a key."""
    made = Machine(folder)
    made.said = made.edt("run", *WORDS, "tracking=wandb", "tracking.tags=[mini]")
    made.key_said = made.edt("report", "tracking=wandb", "tracking.mode=offline", WANDB_API_KEY=KEY)
    made.offline = made.exported()
    made.scores = pa.concat_tables(
        [pq.read_table(path) for path in made.runs.glob("mini-*/scores.parquet")], promote_options="default"
    ).to_pylist()
    return made


def study_id(machine):
    (folder,) = (machine.runs / "studies").iterdir()
    return folder.name
