"""Run the points of a sweep as jobs of Slurm: `--multirun hydra/launcher=submitit_slurm hydra.launcher.partition=gpu`.

The keys of `hydra.launcher` and their defaults are those of Hydra's submitit launcher. The jobs themselves are ordinary
commands: each composes its configuration, writes its run folders and, repeated, continues where it was stopped.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from edt.cli import argv
from edt.cli.composition import hydra_ready
from edt.errors import ConfigError, one_line, suggestion
from edt.extras import check_extra, extra_imports

LAUNCHERS = {"submitit_slurm": "slurm", "submitit_local": "local"}
"""The values of hydra/launcher, each with what submitit calls it; submitit_local starts the jobs on this machine."""

_LAUNCHER_WORD = re.compile(r"hydra/launcher=|hydra\.launcher\.")
_OF_RUN = re.compile(r"\+*(model|task|engine|paths|sampling(?!\.(samples|trace)))(?![a-z_])")
"""Words that can make another run folder; those of strategies and samples add rows to the same one."""

RunCommand = Callable[[str, Sequence[str]], int]
"""Runs a command by its name with these arguments, and returns its exit status."""

logger = logging.getLogger(__name__)


def split_launcher(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of the launcher and all others. Raises ConfigError for a launcher that cannot be used."""
    words = [word for word in overrides if _LAUNCHER_WORD.match(word)]
    others = [word for word in overrides if word not in words]
    names = [word.partition("=")[2] for word in _choice(words)]
    # Without a launcher the points run here, one after the other.
    if not words:
        return [], others
    if not names or names[-1] not in LAUNCHERS:
        shown = f"hydra/launcher is '{names[-1]}'" if names else f"'{words[0]}' has no hydra/launcher"
        raise ConfigError(
            f"{shown}; it can be {' or '.join(LAUNCHERS)}, and other launchers and sweepers are not supported. Leave "
            "it out to run the points of --multirun one after the other."
        )
    return words, others


@dataclass(frozen=True)
class _Job:
    """What a job runs: a command. submitit asks it for a `checkpoint` before the job's time ends."""

    run: RunCommand
    command: str

    def __call__(self, arguments: Sequence[str]) -> int:
        return self.run(self.command, arguments)

    def checkpoint(self, arguments: Sequence[str]) -> Any:
        """Return what is submitted in place of a job that was stopped: the same command, which continues."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, arguments)


def launch(
    run: RunCommand, command: str, words: Sequence[str], points: Sequence[Sequence[str]], runs: Path
) -> list[int]:
    """Submit a job for each point, wait for all of them, and return the numbers of those that failed.

    run: runs the command with arguments. words: those of the launcher. points: the arguments of the command at each
    point. runs: the folder of its runs, below which submitit keeps the jobs' output.
    """
    check_extra("slurm", "hydra/launcher")
    _check_other_folders(points)
    with extra_imports("slurm", "hydra/launcher"):
        import submitit
        from submitit.core.utils import FailedSubmissionError, UncompletedJobError

    settings = _settings(command, words, runs)
    try:
        jobs = _executor(submitit, settings).map_array(_Job(run, command), list(points))
    # Without srun submitit raises RuntimeError, for a value that Slurm cannot take ValueError.
    except (FailedSubmissionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"the jobs cannot be submitted: {one_line(error)}") from error
    logger.info(
        "edt %s: %d jobs of at most %s minutes are submitted (%s); their output is in %s. This command waits for them; "
        "when it is stopped, they continue.",
        command,
        len(jobs),
        settings["timeout_min"],
        ", ".join(job.job_id for job in jobs),
        Path(settings["submitit_folder"]).parent,
    )

    # In the order of the points, whichever ends first: the messages are those of the command line.
    failed = []
    for number, (job, point) in enumerate(zip(jobs, points, strict=True)):
        try:
            status = job.result()
        # With its last lines: the time has ended, say, or the job was canceled.
        except UncompletedJobError as error:
            logger.error("%s", one_line(error))
            status = 1
        if status:
            logger.error("job %s failed, see %s: %s", job.job_id, job.paths.stderr, shlex.join(point))
            failed.append(number)
    return failed


def _settings(command: str, words: Sequence[str], runs: Path) -> dict[str, Any]:
    """Return the keys of hydra.launcher, those of the user's words among them."""
    folder = argv.quoted(str(runs / "submitit" / "%j"))
    own = [f"hydra.job.name=edt-{command.replace(' ', '-')}", f"hydra.launcher.submitit_folder={folder}"]
    # Of no configuration of a command: what a file of the user's says of Hydra itself must stay unread.
    with hydra_ready():
        known = hydra.compose(overrides=_choice(words), return_hydra_config=True).hydra.launcher
        for word in words:
            name = word.removeprefix("hydra.launcher.").partition("=")[0]
            if word.startswith("hydra.launcher.") and (name.partition(".")[0] not in known or name == "_target_"):
                names = [str(key) for key in known if key != "_target_"]
                raise ConfigError(
                    f"hydra.launcher has no key '{name}'{suggestion(name, names)}; it has: {', '.join(names)}."
                )
        try:
            composed = hydra.compose(overrides=[*own, *words], return_hydra_config=True)
        except HydraException as error:
            reasons = [one_line(each) for each in (error, error.__cause__) if each is not None]
            raise ConfigError(f"hydra.launcher: {': '.join(reasons)}") from error
        settings: Any = OmegaConf.to_container(composed.hydra.launcher, resolve=True)
    return {**settings, "cluster": LAUNCHERS[str(composed.hydra.runtime.choices["hydra/launcher"])]}


def _choice(words: Sequence[str]) -> list[str]:
    return [word for word in words if word.startswith("hydra/launcher=")]


def _executor(submitit: Any, settings: Mapping[str, Any]) -> Any:
    """Return submitit's executor with these settings, as Hydra's launcher builds it."""
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    # Before the executor exists: it takes this one as an argument.
    cluster = settings["cluster"]
    of_slurm = {f"{cluster}_{name}": settings[name] for name in ("max_num_timeout",) if name in settings}
    executor = submitit.AutoExecutor(folder=settings["submitit_folder"], cluster=cluster, **of_slurm)
    # Keys that submitit knows for all clusters; others carry the name of theirs.
    shared = set(OmegaConf.structured(BaseQueueConf).keys())
    apart = {"_target_", "cluster", "submitit_folder", "max_num_timeout"}
    executor.update_parameters(
        **{k if k in shared else f"{cluster}_{k}": v for k, v in settings.items() if k not in apart and v is not None}
    )
    return executor


def _check_other_folders(points: Sequence[Sequence[str]]) -> None:
    """Raise ConfigError for points that would write one run folder at the same time, where all but one must fail."""
    seen: dict[tuple[str, ...], Sequence[str]] = {}
    for point in points:
        before = seen.setdefault(tuple(sorted(word for word in point if _OF_RUN.match(word))), point)
        if before is not point:
            raise ConfigError(
                f"'{shlex.join(before)}' and '{shlex.join(point)}' write the same run folder, which one job holds at a "
                "time. Let the jobs differ in model, task or seed, and give the strategies as one grid in each "
                "(strategy=several, strategy.theta=[0.5,1])."
            )
