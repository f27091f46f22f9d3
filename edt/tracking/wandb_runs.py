"""Weights & Biases: settings of a study become W&B runs. `wandb` is imported when something is exported.

An offline run is written into a folder of its own beside its place and then takes that place, so that an export
replaces the former one of the same id. An online run resumes the one of the same id. wandb collects nothing by itself:
no host, program, arguments, requirements, git state, console, code or system metrics. It does tell its server where an
artifact's files lay, so here their paths are relative ones that name no home.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edt.errors import TrackingError, one_line
from edt.tracking.redact import Redactor
from edt.tracking.spec import WandbSpec
from edt.tracking.wandb_export import Lines, SettingExport, Sheet
from edt.tracking.wandb_mode import QUIET, quiet_environment, sweep_id

ARTIFACTS = "artifacts"
"""Folder of an offline run that holds the files of its artifacts."""

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
    """Export the settings, each with the same artifacts (name and files); how many they were.

    folder: offline runs lie in its folder `wandb`. Raises TrackingError when W&B refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder if mode == "offline" else nameless_folder()
        with tempfile.TemporaryDirectory(prefix=".wandb-", dir=beside) as name, quiet_environment(Path(name)):
            workspace = Path(name)
            folders = write_artifacts(workspace, artifacts)
            count = 0
            for setting in settings:
                written, run_id = export_setting(spec, mode, group, setting, folders, workspace)
                if mode == "offline":
                    take_place(written, folder / "wandb", run_id)
                count += 1
            return count
    except OSError as error:
        raise TrackingError(
            f"W&B's files cannot be written to {folder} ({one_line(error)}); free it, or choose another folder with "
            "tracking.dir=FOLDER, and export again."
        ) from error


def nameless_folder() -> Path:
    """Where an online export may put files: the system's temporary folder, unless it is found by way of the home."""
    temporary = Path(tempfile.gettempdir())
    spoken = os.path.relpath(temporary)
    return temporary if Redactor.of().text(spoken) == spoken else Path()


def export_setting(
    spec: WandbSpec, mode: str, group: str, setting: SettingExport, folders: Mapping[str, Path], workspace: Path
) -> tuple[Path, str]:
    """One setting as a W&B run; the folder that wandb wrote, and the run's id."""
    import wandb

    try:
        run = wandb.init(**where(spec, mode, group, setting), dir=str(workspace))
        written = Path(run.dir).parent
        try:
            name_files_relatively(run, written, offline=mode == "offline")
            log_setting(run, setting, wandb)
            log_artifacts(run, folders, wandb)
        finally:
            run.finish()
    except (wandb.Error, ValueError, TypeError) as error:
        raise TrackingError(
            f"W&B did not take {setting.name} ({one_line(error)}). The runs on disk are whole: export them later with "
            "edt report tracking=wandb, or write offline with tracking.mode=offline."
        ) from error
    for own in ("logs", "tmp"):  # wandb's own, full of paths
        shutil.rmtree(written / own, ignore_errors=True)
    return written, run.id


def where(spec: WandbSpec, mode: str, group: str, setting: SettingExport) -> dict[str, Any]:
    """What `wandb.init` is told. Under a sweep, W&B knows the project, entity and run id by itself."""
    import wandb

    told = {
        "name": setting.name,
        "group": group,
        "tags": list(spec.tags),
        "job_type": "setting",
        "config": dict(setting.config),
        "mode": mode,
        "reinit": "create_new",
        "settings": wandb.Settings(**QUIET),
    }
    if sweep_id() is not None:
        return told
    resume = {"resume": "allow"} if mode == "online" else {}
    return {**told, **resume, "project": spec.project, "entity": spec.entity, "id": setting.export_id}


def log_setting(run: Any, setting: SettingExport, wandb: Any) -> None:
    """Write config, summary, tables and plots; what an earlier export of the run had and this one lacks is removed."""
    run.config.update(dict(setting.config), allow_val_change=True)
    sheets = {name: wandb.Table(columns=list(s.columns), data=table_rows(s)) for name, s in setting.sheets.items()}
    plots = {name: line_chart(plot, wandb) for name, plot in setting.plots.items()}
    for name in [name for name in run.summary.keys() if not name.startswith("_")]:  # noqa: SIM118 - no mapping
        if name not in {**setting.summary, **sheets} and name.removesuffix("_table") not in plots:
            del run.summary[name]
    # Logged too, since a sweep and the default panels look at what was logged; the summary is what the export says.
    run.log({**setting.summary, **sheets, **plots})
    run.summary.update(dict(setting.summary))


def table_rows(sheet: Sheet) -> list[list[Any]]:
    """A table's rows as lists."""
    return [list(row) for row in sheet.rows]


def line_chart(plot: Lines, wandb: Any) -> Any:
    """A chart with one line per name, each over its own steps."""
    steps = [list(range(len(values))) for values in plot.lines.values()]
    values = [list(line) for line in plot.lines.values()]
    return wandb.plot.line_series(xs=steps, ys=values, keys=list(plot.lines), title=plot.title, xname="step")


def write_artifacts(workspace: Path, artifacts: Mapping[str, Files]) -> dict[str, Path]:
    """The folder of each artifact, its files written once for all runs; one without files is left out."""
    folders = {name: workspace / ARTIFACTS / name for name, files in artifacts.items() if files}
    for artifact, folder in folders.items():
        for name, content in artifacts[artifact].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folders


def log_artifacts(run: Any, folders: Mapping[str, Path], wandb: Any) -> None:
    """Attach the artifacts; W&B stores equal content once, however many runs have it."""
    for name, folder in folders.items():
        artifact = wandb.Artifact(name, type=name.partition("-")[0])
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            artifact.add_file(str(path), name=path.relative_to(folder).as_posix(), policy="immutable")
        run.log_artifact(artifact)


def name_files_relatively(run: Any, written: Path, *, offline: bool) -> None:
    """Make the run name the files of its artifacts, those of its tables among them, by relative paths.

    An offline run keeps them in its own folder (as links where the file system can) and names them as seen from the
    folder that holds `wandb`, from which it is to be synced; an online run names them as seen from here.
    """
    log_artifact = run.log_artifact

    def log_renamed(artifact: Any, *values: Any, **named: Any) -> Any:
        for name, entry in artifact.manifest.entries.items():
            path = Path(entry.local_path)
            if offline:
                kept = linked(path, written / ARTIFACTS / artifact.name.partition(":")[0] / name)
                entry.local_path = (Path("wandb") / kept.relative_to(written.parent)).as_posix()
            else:
                entry.local_path = os.path.relpath(path)
        return log_artifact(artifact, *values, **named)

    run.log_artifact = log_renamed


def linked(path: Path, target: Path) -> Path:
    """The same file at another place: a hard link, or a copy where there are none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
    return target


def take_place(written: Path, place: Path, run_id: str) -> None:
    """Move a finished offline run to its place, instead of any former one of the same id."""
    place.mkdir(parents=True, exist_ok=True)
    for former in place.glob(f"offline-run-*-{run_id}"):
        shutil.rmtree(former)
    os.rename(written, place / written.name)
