"""`edt list`: what can be chosen, a line each, from the configs of the package and of --config-dir."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from edt.cli.build import TARGET, import_class
from edt.cli.composition import config_folder
from edt.cli.schema import OPTIONS
from edt.errors import ConfigError, suggestion
from edt.terminal_text import visible

KINDS = {
    "strategies": "strategy",
    "tasks": "task",
    "models": "model",
    "metrics": "",
    "experiments": "experiment",
}
"""What can be listed, with its configuration group. Metrics have none: a task names its own."""
RUNS = "runs"
"""Lists run folders instead: those of a folder that may follow."""


def print_list(kinds: Sequence[str], user_folder: Path | None = None) -> None:
    """Print the names of one kind, each with what it is. Raises ConfigError unless one known kind is given."""
    allowed = ", ".join((*KINDS, RUNS))
    # Runs are no configurations, and may be followed by a folder.
    if kinds and kinds[0] == RUNS:
        _print_runs(kinds[1:])
        return
    if len(kinds) != 1:
        raise ConfigError(f"give one of {allowed}, as in `edt list strategies`.")
    (kind,) = kinds
    if kind not in KINDS:
        raise ConfigError(
            f"'{visible(kind)}' cannot be listed{suggestion(kind, [*KINDS, RUNS])}; give one of {allowed}."
        )
    descriptions = dict(metrics()) if kind == "metrics" else options(KINDS[kind], user_folder)
    width = max(map(len, descriptions))
    for name, description in descriptions.items():
        print(visible(f"{name:<{width}}  {description}"))


def _print_runs(folders: Sequence[str]) -> None:
    """Print a line per run: its folder, what was decoded, when, and in what it differs from the others of its kind."""
    from edt.report.run_facts import dates
    from edt.report.run_labels import run_labels
    from edt.store.run import find_runs
    from edt.store.unfinished import progress_text

    if len(folders) > 1:
        raise ConfigError(f"give one folder of runs, not {len(folders)}: `edt list runs results/runs`.")
    # Where commands write to unless paths.runs says otherwise.
    default = OmegaConf.load(config_folder() / "paths" / "default.yaml").runs
    runs = find_runs([Path(folders[0] if folders else default)])
    labels = run_labels([run.manifest for run in runs])
    rows = [("run", "examples", "settings", "rows", "decoded", "differs in")]
    for run in runs:
        manifest = run.manifest
        examples = ", ".join(f"{facts['examples']} {split}" for split, facts in manifest.splits.items())
        settings = {strategy_id for planned in manifest.passes for strategy_id, _ in planned.rows}
        label = labels[run.generation_id]
        rows.append((str(run.folder), examples, str(len(settings)), progress_text(run), dates(manifest), label))
    _print_columns(rows)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Without spaces at the end of a line, which a copy into a document would keep.
    for row in rows:
        print(visible("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()))


def print_fetchable() -> None:
    """Print the models that `edt fetch` knows, each with its size, its license, and whether it is on this machine."""
    from edt.models.fetching.catalog import CATALOG
    from edt.models.fetching.fetched import FetchRecord, model_folder

    # The size is that of the package index; the hub's files are the original weights, about twice as large.
    rows = [("model", "download", "license", "on this machine", "")]
    for name, model in CATALOG.items():
        # A folder without a record is what a stopped fetch has left.
        record = FetchRecord.read(model_folder(name))
        here = "no" if record is None else f"yes, from the {'hub' if record.source == 'hub' else 'package index'}"
        megabytes = f"{model.packaged.size / 1e6:.0f} MB"
        rows.append((name, megabytes, model.license, here, model.title))
    _print_columns(rows)


def metrics() -> Iterator[tuple[str, str]]:
    """Yield the built-in metrics: name and description."""
    from edt.metrics.suite import METRICS

    # From the classes themselves: their docstrings are what the reference shows too.
    for name, cls in METRICS.items():
        yield name, first_sentence(inspect.getdoc(cls) or "")


def options(group: str, user_folder: Path | None = None) -> Mapping[str, str]:
    """Return the options of a configuration group with their descriptions, the user's after the package's."""
    of_classes = {
        option: first_sentence(inspect.getdoc(cls) or "") for (owner, option), cls in OPTIONS.items() if owner == group
    }
    described = dict(sorted((of_classes | _options_in(config_folder() / group)).items()))
    # The user's last, so that an option of the same name replaces the package's, as it does in Hydra.
    return described | (_options_in(user_folder / group) if user_folder else {})


def _options_in(folder: Path) -> dict[str, str]:
    """Return the options that are files of a folder, each with the first sentence of its comment or of its class."""
    return {
        path.stem: first_sentence(_first_comment(path) or _class_docstring(path))
        for path in sorted(folder.glob("*.yaml"))
    }


def _first_comment(path: Path) -> str:
    """Return the comment line at the beginning of a config file, empty where there is none."""
    for line in path.read_text(encoding="utf-8").splitlines():
        # Hydra's own `@package`, and a comment that is only the file's name, describe nothing.
        if line.startswith("# @package") or not line.strip() or (line.startswith("#") and line.endswith(path.name)):
            continue
        return line.lstrip("# ") if line.startswith("#") else ""
    return ""


def _class_docstring(path: Path) -> str:
    """Return the docstring of the class that a config file names; empty where it names none.

    Raises ConfigError for a class that cannot be imported, or is in no trusted package.
    """
    target = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(target, dict) or TARGET not in target:
        return ""
    return inspect.getdoc(import_class(target[TARGET], path.stem)) or ""


def first_sentence(text: str) -> str:
    """Return the text up to the first full stop that a capital letter follows, on one line."""
    # The first paragraph, in one line, whatever the width of its source.
    joined = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", joined)[0].rstrip(".:")
