"""The commands that are disturbed, on the embedded model with tiny settings, and what they leave undisturbed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from scripts.soak.forked import command, content, import_all, log_of, start, wait

RUNS = "runs"
"""The folder of runs within a case's folder."""
_SHORT = ["sampling.samples=2", "sampling.max_new_tokens=3", "model.device=cpu", "engine.compile=false"]
_RESAMPLES = "metrics.bootstrap.resamples=20"
_FAMILIES = """
fixed: {_target_: edt.strategies.Fixed, t0: [0.5, 0.7]}
kld: {_target_: edt.strategies.KLD, t0: [0.5, 0.7], sigma: 2}
edt: {_target_: edt.strategies.EDT, t0: 0.7, theta: [0.1, 1]}
random_t: {_target_: edt.strategies.random_t.around, center: [0.5, 0.7], spread: 0.5}
"""
_CURVES = "range: [50, 95]\nfixed: {t0: [0.7, 1.0]}\n"
_TRAINING = ["train_mini", "--base", "--out", "model", "--threads", "1", "--device", "cpu"]


@dataclass(frozen=True)
class Step:
    """A command: `work` runs it with these more words, on this folder of runs."""

    name: str
    words: Callable[[str], list[str]]
    """The words of the command, by the folder of runs; unused where `own` is given."""
    own: Callable[[], int] | None = None

    def work(self, *more: str, runs: str = RUNS) -> Callable[[], int]:
        """Return what a fork runs."""
        return self.own or command([*self.words(runs), *more])


def _generate(runs: str) -> list[str]:
    task = ["task=mini_xlsum", "task.limit=4", "task.split=[dev,test]"]
    # A few chunks per pass, so that a kill finds some parts written and others not.
    strategy = ["strategy=fixed", "strategy.t0=[0.5,1.0]", "engine.max_rows=4"]
    return ["generate", *task, *_SHORT, *strategy, f"paths.runs={runs}"]


def _tune(runs: str) -> list[str]:
    space = ["space=edt", "space.t0=[0.5,1.0]", "space.theta=[0.1,0.5]", "space.top_p=null", "baseline.t0=[0,1]"]
    search = ["search.trials=4", "search.batch=2"]
    return ["tune", "task=mini_xlsum", "task.limit=2", *_SHORT, _RESAMPLES, *space, *search, f"paths.runs={runs}"]


def _study(runs: str, task: Sequence[str], workers: int) -> list[str]:
    what = ["families=few", "curves=few", "experiment=main_table", "search.trials=2", "search.batch=1"]
    what += ["comparisons=[{family:edt,baseline:fixed,nested:true}]"]
    what += ["baseline.t0=[0,1]", f"num_workers={workers}"]
    where = [f"paths.runs={runs}", f"paths.results={runs}/results", "--config-dir=../configs"]
    return ["study", *task, "task.limit=2", *_SHORT, _RESAMPLES, *what, *where]


_TWO_TASKS = ["task=mini", "~task.members.mini_msmarco", "~task.members.mini_wmt19"]


def _train() -> int:
    """Train the embedded model's shape for a few steps, with checkpoints, by the script's own command line."""
    from dataclasses import replace

    from scripts import train_mini

    sizes: dict[str, Any] = {"tokenizer_rows": 20, "batch_tokens": 256, "rows_per_chunk": (2, 2, 2, 2), "steps": 11}
    sizes |= {"exercise_chunks": 0, "exercises_per_chunk": 4, "exercises_later": 1}
    train_mini.RECIPES["mini_base"] = replace(train_mini.RECIPES["mini_base"], **sizes)
    train_mini._CURVE_STEPS, train_mini._CHECKPOINT_STEPS = 2, 2
    vars(train_mini)["ROOT"] = Path()  # the checkpoint belongs to the case
    sys.argv = list(_TRAINING)
    train_mini.main()
    return 0


STEPS = {
    step.name: step
    for step in (
        Step("generate", _generate),
        Step("score", lambda runs: ["score", f"runs={runs}", _RESAMPLES]),
        Step("score-workers", lambda runs: ["score", f"runs={runs}", _RESAMPLES, "metrics.num_workers=2"]),
        Step("report", lambda runs: ["report", f"runs={runs}"]),
        Step("tune", _tune),
        Step("study", lambda runs: _study(runs, ["task=mini_xlsum"], workers=1)),
        Step("study-workers", lambda runs: _study(runs, _TWO_TASKS, workers=2)),
        Step("train", lambda runs: [], _train),
    )
}
CHAINS = {
    "runs": ("generate", "score", "report"),
    "score-workers": ("generate", "score-workers"),
    "tune": ("tune",),
    "study": ("study",),
    "study-workers": ("study-workers",),
    "train": ("train",),
}
"""Commands that work on what the ones before left."""


@dataclass(frozen=True)
class Undisturbed:
    """A step as it is undisturbed: the folder before and after it, what it leaves, and how long it takes."""

    before: Path
    after: Path
    content: dict[str, Any]
    seconds: float


@dataclass
class Library:
    """The undisturbed states, made once."""

    folder: Path
    steps: dict[str, Undisturbed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group, text in (("families", _FAMILIES), ("curves", _CURVES)):
            folder = self.folder / "configs" / group
            folder.mkdir(parents=True)
            (folder / "few.yaml").write_text(text)
        import_all(["sqlalchemy"])

    def prepare(self, chain: str) -> None:
        """Run a chain undisturbed, first to import what its commands import."""
        for attempt in ("warm", "whole"):
            folder = self.folder / f"{attempt}-{chain}"
            folder.mkdir()
            for name in CHAINS[chain]:
                before = self.folder / f"{attempt}-{chain}-before-{name}"
                shutil.copytree(folder, before)
                began = monotonic()
                self._run(folder, name)
                self.steps.setdefault(name, Undisturbed(before, Path(), {}, 0))
                if attempt == "whole":
                    after = self.folder / f"whole-{chain}-after-{name}"
                    shutil.copytree(folder, after)
                    self.steps[name] = Undisturbed(before, after, content(folder), monotonic() - began)

    def _run(self, folder: Path, name: str) -> None:
        """Run a step, and import the modules that it used."""
        modules = self.folder / "modules.json"

        def work() -> int:
            status = STEPS[name].work()()
            modules.write_text(json.dumps([module for module in sys.modules if module != "__main__"]))
            return status

        if (status := wait(start(folder, work))) != 0:
            raise SystemExit(f"undisturbed, {name} ended with {status}: {log_of(folder).read_text()}")
        import_all(json.loads(modules.read_text()))


def one_thread() -> None:
    """Let torch and others start no threads, which a fork would lose, and reach no network."""
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
