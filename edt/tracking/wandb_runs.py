"""Write the settings of a study as W&B runs. `wandb` is imported only when something is exported.

- An offline run is written to a temporary folder and then moved, in place of an earlier export with the same id.
- An online run resumes the run with the same id.
- wandb collects nothing by itself: no host, program, arguments, packages, git state, console, code or system metrics.
- wandb sends the paths of an artifact's files to its server, so these paths are relative and do not name the home.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.errors import TrackingError, one_line
from edt.redact import Redactor
from edt.tracking.spec import WandbSpec
from edt.tracking.wandb_export import Lines, SettingExport, Sheet
from edt.tracking.wandb_mode import QUIET, quiet_environment, sweep_id

_ARTIFACTS = "artifacts"
"""Subfolder of an offline run with the files of its artifacts."""

Files = Mapping[str, bytes]
"""The files of an artifact: name and content."""


def export_settings(
    spec: WandbSpec,
    mode: str,
    group: str,
    settings: Iterable[SettingExport],
    artifacts: Mapping[str, Files],
    folder: Path,
) -> int:
    """Export the settings, each with the same artifacts (name and files), and return their number.

    folder: offline runs are written to its subfolder `wandb`. Raises TrackingError if W&B does not accept a run.
    """
    try:
        with quiet_workspace(folder, mode) as workspace:
            # All settings attach the same files, so they are written once.
            folders = _write_artifacts(workspace, artifacts)
            count = 0
            for setting in settings:
                written, run_id = _export_setting(spec, mode, group, setting, folders, workspace)
                # Moved only when complete: an interrupted export leaves the earlier one in place.
                if mode == "offline":
                    replace_run(written, folder / "wandb", run_id)
                count += 1
            return count
    except OSError as error:
        raise TrackingError(
            f"W&B's files cannot be written to {folder} ({one_line(error)}); free it, or choose another folder with "
            "tracking.dir=FOLDER, and export again."
        ) from error


@contextmanager
def quiet_workspace(folder: Path, mode: str) -> Iterator[Path]:
    """Give a temporary folder in which wandb writes runs that are to be in `folder`, and keep it quiet meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    # An offline run is moved into the folder, so it is written on the same file system.
    parent = folder if mode == "offline" else _anonymous_folder()
    with tempfile.TemporaryDirectory(prefix=".wandb-", dir=parent) as name, quiet_environment(Path(name)):
        yield Path(name)


def _anonymous_folder() -> Path:
    """Return where an online export may put files: the temporary folder, unless its relative path names the home."""
    temporary = Path(tempfile.gettempdir())
    relative = os.path.relpath(temporary)
    return temporary if Redactor.from_environment().text(relative) == relative else Path()


def _export_setting(
    spec: WandbSpec, mode: str, group: str, setting: SettingExport, folders: Mapping[str, Path], workspace: Path
) -> tuple[Path, str]:
    """Export one setting as a W&B run; return the folder that wandb wrote, and the run's id."""
    import wandb

    try:
        run = open_run(spec, mode, group, setting, workspace)
        written = Path(run.dir).parent
        try:
            _name_files_relatively(run, written, offline=mode == "offline")
            _log_setting(run, setting, wandb)
            _log_artifacts(run, folders, wandb)
        # Always finished: wandb's service process would otherwise wait for more.
        finally:
            run.finish()
    except (wandb.Error, ValueError, TypeError) as error:
        raise TrackingError(
            f"W&B did not take {setting.name} ({one_line(error)}). The runs on disk are complete: export them later "
            "with edt report tracking=wandb, or write offline with tracking.mode=offline."
        ) from error
    return written, run.id


def open_run(
    spec: WandbSpec, mode: str, group: str, setting: SettingExport, workspace: Path, job_type: str = "setting"
) -> Any:
    """Return a W&B run with the name and configuration of an export. Raises what wandb raises."""
    import wandb

    return wandb.init(**_init_arguments(spec, mode, group, setting, job_type), dir=str(workspace))


def _init_arguments(spec: WandbSpec, mode: str, group: str, setting: SettingExport, job_type: str) -> dict[str, Any]:
    """Return the arguments of `wandb.init`. Under a sweep, W&B sets project, entity and run id by itself."""
    import wandb

    arguments = {
        "name": setting.name,
        "group": group,
        "tags": list(spec.tags),
        "job_type": job_type,
        "config": dict(setting.config),
        "mode": mode,
        # One process writes many runs, one after the other.
        "reinit": "create_new",
        "settings": wandb.Settings(**QUIET),
    }
    if sweep_id() is not None:
        return arguments
    # Offline runs cannot resume; they replace their folder instead.
    resume = {"resume": "allow"} if mode == "online" else {}
    return {**arguments, **resume, "project": spec.project, "entity": spec.entity, "id": setting.export_id}


def _log_setting(run: Any, setting: SettingExport, wandb: Any) -> None:
    """Write configuration, summary, tables and plots, and remove what only an earlier export of the run had."""
    # A resumed run has a configuration already; a new value is no error.
    run.config.update(dict(setting.config), allow_val_change=True)
    sheets = {name: wandb.Table(columns=list(s.columns), data=_table_rows(s)) for name, s in setting.sheets.items()}
    plots = {name: _line_chart(plot, wandb) for name, plot in setting.plots.items()}
    for name in [name for name in run.summary.keys() if not name.startswith("_")]:  # noqa: SIM118 - no mapping
        if name not in {**setting.summary, **sheets} and name.removesuffix("_table") not in plots:
            del run.summary[name]
    # A sweep and the default panels read what was logged; the summary is what the export promises. Both are written.
    run.log({**setting.summary, **sheets, **plots})
    run.summary.update(dict(setting.summary))


def _table_rows(sheet: Sheet) -> list[list[Any]]:
    """Return the rows of a table as lists, which wandb.Table needs."""
    return [list(row) for row in sheet.rows]


def _line_chart(plot: Lines, wandb: Any) -> Any:
    """Return a chart with one line per name; lines can differ in length."""
    # wandb takes the steps of each line separately, so lines may differ in length.
    steps = [list(range(len(values))) for values in plot.lines.values()]
    values = [list(line) for line in plot.lines.values()]
    return wandb.plot.line_series(xs=steps, ys=values, keys=list(plot.lines), title=plot.title, xname="step")


def _write_artifacts(workspace: Path, artifacts: Mapping[str, Files]) -> dict[str, Path]:
    """Write the files of the artifacts once for all runs, and return their folders. One without files is left out."""
    # Each artifact has a separate folder: two of them may have files with the same name.
    folders = {name: workspace / _ARTIFACTS / name for name, files in artifacts.items() if files}
    for artifact, folder in folders.items():
        for name, content in artifacts[artifact].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folders


def _log_artifacts(run: Any, folders: Mapping[str, Path], wandb: Any) -> None:
    """Attach the artifacts to a run. W&B stores equal content once, however many runs have it."""
    for name, folder in folders.items():
        # "report-<id>" has type "report": W&B lists artifacts by type.
        artifact = wandb.Artifact(name, type=name.partition("-")[0])
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            artifact.add_file(str(path), name=path.relative_to(folder).as_posix(), policy="immutable")
        run.log_artifact(artifact)


def _name_files_relatively(run: Any, written: Path, *, offline: bool) -> None:
    """Make the run name the files of its artifacts, including those of its tables, by relative paths.

    An offline run keeps the files in its own folder, and paths start at the parent of `wandb`, where `wandb sync` is to
    be run. The paths of an online run start at the working folder.
    """
    # wandb has no option for this: it reads `local_path` of each entry when the artifact is logged.
    log_artifact = run.log_artifact

    def log_renamed(artifact: Any, *values: Any, **named: Any) -> Any:
        for name, entry in artifact.manifest.entries.items():
            path = Path(entry.local_path)
            if offline:
                kept = _linked(path, written / _ARTIFACTS / artifact.name.partition(":")[0] / name)
                entry.local_path = (Path("wandb") / kept.relative_to(written.parent)).as_posix()
            else:
                entry.local_path = os.path.relpath(path)
        return log_artifact(artifact, *values, **named)

    run.log_artifact = log_renamed


def _linked(path: Path, target: Path) -> Path:
    """Hard-link a file to `target`, or copy it if the file system has no hard links; return `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target


def replace_run(written: Path, folder: Path, run_id: str) -> None:
    """Move a finished offline run into the folder, in place of an earlier one with the same id."""
    # wandb's own logs name the home, and no one reads them here.
    for name in ("logs", "tmp"):
        shutil.rmtree(written / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    # The name also has the time of the export, so an earlier one is found by its id.
    for earlier in folder.glob(f"offline-run-*-{run_id}"):
        # Another export of the same run may be removing it too; what is left of it would stop the rename below.
        shutil.rmtree(earlier, ignore_errors=True)
    os.rename(written, folder / written.name)
