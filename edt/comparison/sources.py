"""Read the samples that a name on the command line stands for: a run, one of its settings, or a file of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.comparison.sample_files import FileSamples, is_sample_file, read_sample_files
from edt.errors import ConfigError, DataError, suggestion
from edt.paths import is_there, typed_path
from edt.records import Example
from edt.scoring.outputs import StrategyOutputs, read_outputs
from edt.store.run import Run, find_runs

_MOST_NAMED = 12
"""Settings that an error lists."""


@dataclass(frozen=True, kw_only=True)
class TaskSamples:
    """The samples of one setting on one task and split: `texts[e]` are those of example e, in order.

    quality, extra_metrics, language: what a run says of its task; None, () and None for files, which say nothing.
    for_scale: whether the run holds the setting for EDA's scale alone, and nobody chose it.
    """

    source: str
    task: str
    strategy_id: str
    examples: Sequence[Example]
    texts: Sequence[Sequence[str]]
    quality: str | None = None
    extra_metrics: tuple[str, ...] = ()
    language: str | None = None
    for_scale: bool = False


def read_source(name: str, key: str, split: str | None) -> dict[str, TaskSamples]:
    """Return the samples of one setting by task.

    name: a run folder, a folder of runs, a file of JSON lines or a folder of lm-evaluation-harness logs, with
        `:SETTING` after it where there are several settings. key: where the name stands, for errors.
    split: of a run with several; None takes test, or the only one.
    Raises ConfigError for a name that stands for nothing, or for several settings.
    """
    path, setting = _split_name(name, key)
    settings = _settings_of(path, key, split)
    return _one_setting(name, key, settings, setting)


def read_settings(name: str, key: str, split: str | None) -> dict[str, dict[str, TaskSamples]]:
    """Return every setting that a name stands for, each by task; one where the name ends in a setting's."""
    path, setting = _split_name(name, key)
    settings = _settings_of(path, key, split)
    if setting is None:
        return settings
    chosen = _one_setting(name, key, settings, setting)
    return {setting: chosen}


def _split_name(name: str, key: str) -> tuple[Path, str | None]:
    """Return the path and the setting of `PATH:SETTING`; the setting is None where the whole is a path."""
    # The longest path that exists: a folder's name may hold a colon, and so may a setting's.
    parts = name.split(":")
    for end in range(len(parts), 0, -1):
        head = ":".join(parts[:end])
        if head and is_there(str(typed_path(head))):
            return typed_path(head), ":".join(parts[end:]) or None
    raise ConfigError(
        f"{key} is '{name}', and there is no such file or folder. Give a run folder, RUN:SETTING as in "
        "'results/runs/RUN:fixed(t0=0.7)', or a file of JSON lines."
    )


def _settings_of(path: Path, key: str, split: str | None) -> dict[str, dict[str, TaskSamples]]:
    """Return every setting of a path by its id, and its samples by task."""
    # A file before a run: the logs of the harness are in folders too.
    if is_sample_file(path):
        settings = _of_files(read_sample_files(path), path)
    else:
        settings = _of_runs(find_runs([path]), path, key, split)
    if not settings:
        raise DataError(f"{key} is {path}, which holds no samples.")
    return settings


def _one_setting(
    name: str, key: str, settings: Mapping[str, Mapping[str, TaskSamples]], setting: str | None
) -> dict[str, TaskSamples]:
    # A grid has hundreds of settings; the first ones show how they are spelled.
    shown = ", ".join(list(settings)[:_MOST_NAMED]) + (", …" if len(settings) > _MOST_NAMED else "")
    if setting is None:
        # Never the first of several: what is compared is the user's choice.
        if len(settings) > 1:
            raise ConfigError(
                f"{key} is '{name}', which holds {len(settings)} settings; name one after a colon, as in "
                f"'{name}:{next(iter(settings))}'. It has: {shown}."
            )
        setting = next(iter(settings))
    if setting not in settings:
        raise ConfigError(
            f"{key} is '{name}', but there is no setting '{setting}'{suggestion(setting, settings)}; it has: {shown}."
        )
    return dict(settings[setting])


def _of_runs(runs: Sequence[Run], path: Path, key: str, split: str | None) -> dict[str, dict[str, TaskSamples]]:
    settings: dict[str, dict[str, TaskSamples]] = {}
    for run in runs:
        # One split at a time: examples of dev and test are different data.
        chosen = _split_of(run, key, split)
        for outputs in read_outputs(run, [chosen]):
            by_task = settings.setdefault(outputs.strategy_id, {})
            # Two runs of one task are two models, say: which of them is meant has to be said.
            if run.manifest.task in by_task:
                raise ConfigError(
                    f"{key} is '{path}', which holds several runs of {run.manifest.task}; give one of their folders."
                )
            by_task[run.manifest.task] = _of_outputs(run, outputs, path)
    return settings


def _split_of(run: Run, key: str, split: str | None) -> str:
    # In the order of the manifest, which is that of the command that decoded.
    splits = list(run.manifest.splits)
    if split is None:
        # dev is what was chosen on; a comparison of a choice belongs on test.
        split = "test" if "test" in splits else splits[0]
    if split not in splits:
        raise ConfigError(f"split is '{split}', but {key}, the run {run.folder}, has: {', '.join(splits)}.")
    return split


def _of_outputs(run: Run, outputs: StrategyOutputs, path: Path) -> TaskSamples:
    # Up to the first gap, as scoring counts.
    complete = outputs.complete_samples
    # Not the gaps of an unfinished run without a word: other examples would have other samples.
    if complete == 0:
        raise DataError(
            f"{outputs.strategy_id} in {run.folder} lacks samples of some of its examples; the command that decoded it "
            "finishes it."
        )
    return TaskSamples(
        source=str(path),
        task=run.manifest.task,
        strategy_id=outputs.strategy_id,
        examples=outputs.examples,
        texts=[[by_sample[k] for k in range(complete)] for by_sample in outputs.texts],
        quality=run.manifest.quality,
        extra_metrics=run.manifest.extra_metrics,
        language=run.manifest.target_language,
        for_scale=outputs.strategy_id in run.manifest.scale_settings,
    )


def _of_files(samples: Sequence[FileSamples], path: Path) -> dict[str, dict[str, TaskSamples]]:
    settings: dict[str, dict[str, TaskSamples]] = {}
    for entry in samples:
        settings.setdefault(entry.strategy_id, {})[entry.task] = TaskSamples(
            source=str(path),
            task=entry.task,
            strategy_id=entry.strategy_id,
            examples=entry.examples,
            texts=entry.texts,
        )
    return settings
