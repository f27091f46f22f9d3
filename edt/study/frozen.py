"""Freeze a study's protocol before test is read, keep a record of who read test, and read an earlier study's choices.

RESULTS/<model>/protocol.json holds what was fixed beforehand and the choices on dev; it is written after dev and before
the first row of test is decoded. A study with another protocol is refused in the same folder; an exploratory one writes
its own next to it, as protocol-DIGEST.json. RUN/test_reads.json lists the protocols by which the run's test rows were
read, so that reading them again under another one is noticed, also from another folder of results.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edt.errors import ConfigError, StoreError
from edt.ids import digest
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import MetricsSpec
from edt.scoring.objective import Objective
from edt.store.atomic import write_bytes
from edt.store.json_text import parsed_json
from edt.store.lock import waiting
from edt.store.manifest import Manifest
from edt.store.regular_file import read_regular
from edt.store.run import Run
from edt.store.seal import SEAL_KEY, SealError, check_seal, json_bytes
from edt.study.families import Family, FamilyTrial
from edt.study.manifest import read_study_manifest
from edt.study.selection import Choice, choices_content

if TYPE_CHECKING:
    from edt.study.protocol import DecodedTask

logger = logging.getLogger(__name__)

PROTOCOL_NAME = "protocol.json"
READS_NAME = "test_reads.json"
_OWNER = f"study/{PROTOCOL_NAME}"


def protocol_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of what was fixed beforehand."""
    return digest(dict(content))


def read_protocol(folder: Path) -> dict[str, Any] | None:
    """Return the frozen protocol of a study's folder; None where it has none. Raises StoreError for a damaged one."""
    return _read(folder / PROTOCOL_NAME)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        raw = read_regular(path, f"Or remove {path}.")
        check_seal(raw, _OWNER)
        content = parsed_json(raw)
        content.pop(SEAL_KEY, None)
        # Read here and not by the callers, so that a file of another program is refused with a remedy.
        content["digest"], content["protocol"], content["tasks"]
    except (SealError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"{path} is no protocol of a study ({error}); remove it, or give paths.results=FOLDER."
        ) from error
    return dict(content)


def write_protocol(
    folder: Path, content: Mapping[str, Any], decoded: Mapping[str, DecodedTask], *, exploratory: bool
) -> Path:
    """Freeze a protocol with the choices of its tasks; those of further tasks and families of the same one are kept.

    Returns the file: protocol.json, or protocol-DIGEST.json for an exploratory study in the folder of another protocol.
    Raises ConfigError for any other study there.
    """
    present, own, path = read_protocol(folder), protocol_digest(content), folder / PROTOCOL_NAME
    # Again at the end of dev: another command may have frozen its protocol meanwhile.
    check_own_protocol(folder, content, exploratory=exploratory)
    # A look at what was found must not replace the record of what was fixed beforehand.
    if exploratory and present is not None and present["digest"] != own:
        path = folder / f"protocol-{own}.json"
        present = _read(path)
        logger.warning("%s is of another protocol and stays; this one is in %s.", PROTOCOL_NAME, path)
    tasks: dict[str, Any] = {} if present is None else dict(present["tasks"])
    for name, task in decoded.items():
        # A task without choices has nothing to freeze, and nothing of it is read on test.
        if task.left_out or task.constants is None:
            continue
        # A study of fewer experiments searches fewer families: the choices of the others stay. Of another run, as after
        # task.seed=1, they are choices on other rows.
        known = (
            tasks.get(name, {}).get("choices", {}) if tasks.get(name, {}).get("run") == task.run.generation_id else {}
        )
        fresh = choices_content(task.choices, task.families)
        tasks[name] = {
            "run": task.run.generation_id,
            "basis": dict(task.basis),
            "constants": asdict(task.constants),
            "choices": {objective: {**known.get(objective, {}), **fresh[objective]} for objective in fresh},  # type: ignore[dict-item]
        }
    frozen = {"digest": own, "exploratory": exploratory, "protocol": dict(content), "tasks": tasks}
    write_bytes(path, json_bytes(frozen, _OWNER))
    return path


def check_own_protocol(folder: Path, content: Mapping[str, Any], *, exploratory: bool) -> None:
    """Raise ConfigError where a folder of results holds another protocol, unless the study is exploratory."""
    present = read_protocol(folder)
    if exploratory or present is None or present["digest"] == protocol_digest(content):
        return
    # Whether test was read or not: what was fixed beforehand is not replaced by what was fixed later.
    raise ConfigError(
        f"{folder / PROTOCOL_NAME} is of a study with another protocol ({changes_text(present['protocol'], content)}), "
        "and whoever has seen its test rows may have changed the protocol because of them: figures chosen after a look "
        "at test are not those of a test. Give the options of before; or unseen rows, as task.seed=1 with another "
        "paths.results; or exploratory=true, by which the results are labeled and the first protocol stays."
    )


_MOST_CHANGES = 6
"""Changed keys that an error lists."""
_LONGEST_VALUE = 60
"""Characters of a value that an error shows."""


def changes(before: Any, now: Any) -> list[str]:
    """Return `KEY: BEFORE → NOW` for each key that differs between two protocols."""
    # As JSON has it, where a tuple is a list.
    return _changes(json.loads(json.dumps(before)), json.loads(json.dumps(now)), "")


def _changes(before: Any, now: Any, key: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for name in dict.fromkeys([*before, *now]):
            inner = f"{key}.{name}" if key else str(name)
            if name not in now:
                found.append(f"{inner}: {_shown(before[name])} → not there")
            elif name not in before:
                found.append(f"{inner}: not there → {_shown(now[name])}")
            else:
                found += _changes(before[name], now[name], inner)
        return found
    return [] if before == now else [f"{key}: {_shown(before)} → {_shown(now)}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _in_both(before: Any, now: Any) -> tuple[Any, Any]:
    """Return two mappings reduced to the keys of both, and so for `grids` in them; others as they are."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return before, now
    shared = [key for key in now if key in before]
    reduced = {key: _in_both(before[key], now[key]) if key == "grids" else (before[key], now[key]) for key in shared}
    return {key: pair[0] for key, pair in reduced.items()}, {key: pair[1] for key, pair in reduced.items()}


def changes_text(before: Any, now: Any) -> str:
    """Return the changes of a protocol for an error, the first few of them."""
    found = changes(before, now)
    more = len(found) - _MOST_CHANGES
    return "; ".join(found[:_MOST_CHANGES]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, kw_only=True)
class ReadRecord:
    """The protocols, by digest, under which the test rows of a run were read."""

    run: Run
    digests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file next to the run's manifest."""
        return self.run.folder / READS_NAME

    @classmethod
    def read(cls, run: Run) -> ReadRecord:
        """Return what is recorded. Raises StoreError for a damaged file."""
        # No file is the state of every run that no study has read, so it is no error.
        reads = cls(run=run, digests=())
        if not reads.path.is_file():
            return reads
        try:
            digests = parsed_json(run.read(reads.path))["protocols"]
            return cls(run=run, digests=tuple(map(str, digests)))
        except (ValueError, TypeError, KeyError) as error:
            raise run.damaged(reads.path, str(error)) from error

    def added(self, own: str) -> ReadRecord:
        """Return the record with another protocol."""
        return ReadRecord(run=self.run, digests=tuple(dict.fromkeys([*self.digests, own])))

    def write(self) -> None:
        """Write it, with what another study recorded meanwhile; where nothing is new, write nothing."""
        # Two studies may end at the same time in one run; each must find the other's entry.
        with waiting(self.path):
            present = ReadRecord.read(self.run).digests
            merged = list(dict.fromkeys([*present, *self.digests]))
            if merged != list(present):
                write_bytes(self.path, json_bytes({"protocols": merged}, self.run.owner(self.path)))


def read_by_others(run: Run, own: str) -> tuple[str, ...]:
    """Return the other protocols under which a run's test rows were read, in this folder of results or another."""
    # The own protocol may read as often as it likes: nothing can be changed by it.
    return tuple(name for name in ReadRecord.read(run).digests if name != own)


_FREE = ("dtype", "device", "attention")
"""What of a model's identity another machine may change, with the last digits."""


def basis_of(manifest: Manifest, spec: MetricsSpec, n_samples: int) -> dict[str, Any]:
    """Return, as JSON, what a task's choices are valid for: model, limits and metrics, but neither rows nor noise."""
    identity = manifest.identity
    options = spec.further_options(manifest.quality, manifest.target_language, n_samples)
    return {
        "model": {name: value for name, value in identity["model"].items() if name not in _FREE},
        "machine": {name: identity["model"].get(name) for name in _FREE} | {"engine": identity.get("engine")},
        "sampling": identity["limits"],
        "answer": manifest.answer_rule,
        "quality": manifest.quality,
        "metrics": {"rouge_l.stem": spec.rouge_l.stem, "further": options},
    }


@dataclass(frozen=True, kw_only=True)
class FrozenChoices:
    """The choices of an earlier study, to be confirmed on other rows."""

    folder: Path
    digest: str
    tasks: Mapping[str, Any]
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> FrozenChoices:
        """Read them from a study's folder. Raises ConfigError where it has no frozen protocol."""
        content = read_protocol(folder)
        if content is None:
            raise ConfigError(
                f"confirm is {folder}, which has no {PROTOCOL_NAME}; give the folder of a finished edt study, as "
                "results/mini."
            )
        return cls(folder=folder, digest=content["digest"], tasks=content["tasks"], protocol=content["protocol"])

    def check(self, own: Mapping[str, Any]) -> None:
        """Raise ConfigError where a study would confirm these choices by other rules than they were frozen with.

        own: what the study fixes beforehand. It may have fewer families, comparisons and curves, and other rows and
        noise; what has no part in a confirmation (the search, the fixed temperatures of the scale) may differ too.
        """
        before, now = dict(self.protocol), dict(own)
        for key in ("families", "curves"):
            before[key], now[key] = _in_both(before.get(key), now.get(key))
        # What was not compared before is a new comparison; what is not compared now is none.
        before["comparisons"] = [entry for entry in now["comparisons"] if entry in before.get("comparisons", ())]
        fixed = ("samples", "group_size", "margins", "comparisons", "families", "curves")
        changed = changes_text({key: before.get(key) for key in fixed}, {key: now[key] for key in fixed})
        if changed:
            raise ConfigError(
                f"confirm is {self.folder}, whose choices and margins were frozen with other options than those of "
                f"this study ({changed}); a confirmation has the same ones, so give those of before."
            )

    def check_basis(self, task: str, basis: Mapping[str, Any], model: str) -> None:
        """Raise ConfigError where a task's model, limits or metrics are others than those of its choices.

        Warns where the machine differs. model: the name of the task's model.
        """
        known = self._task(task).get("basis")
        if known is None:
            self._check_model(task, basis, model)
            return
        changed = changes_text(*({k: v for k, v in one.items() if k != "machine"} for one in (known, basis)))
        if changed:
            raise ConfigError(self._other_text(task, changed))
        if other := changes_text(known["machine"], basis["machine"]):
            logger.warning(
                "%s: the choices of %s were made on another machine (%s); the last digits can differ.",
                task,
                self.folder,
                other,
            )

    def _check_model(self, task: str, basis: Mapping[str, Any], model: str) -> None:
        """Check what the manifest of a study says whose protocol was frozen before `basis` was part of it."""
        manifest = read_study_manifest(self.folder)
        # A study that was killed has no manifest; its protocol says nothing of its model.
        if manifest is None:
            logger.warning(
                "%s: %s does not say which model %s's choices are of.", task, self.folder / PROTOCOL_NAME, task
            )
            return
        before = {"model": manifest["size"]["model"], "quality": manifest["tasks"].get(task, {}).get("quality")}
        if changed := changes_text(before, {"model": model, "quality": basis["quality"]}):
            raise ConfigError(self._other_text(task, changed))

    def _other_text(self, task: str, changed: str) -> str:
        return (
            f"confirm is {self.folder}, whose choices of {task} were made with another model, other limits or other "
            f"metrics than those of this study ({changed}): on EDA's scale of that study they say nothing of it. Give "
            "the options of before; or, for another model, a separate study, without confirm."
        )

    def constants(self, task: str) -> EdaConstants:
        """Return EDA's constants of a task."""
        return EdaConstants(**self._task(task)["constants"])

    def of_task(
        self, task: str, families: Mapping[str, Family], objectives: Sequence[Objective]
    ) -> tuple[dict[str, Family], dict[str, dict[str, Choice]]]:
        """Return the families with their chosen settings as the only trials, and the choices."""
        frozen = self._task(task)["choices"]
        found: dict[str, Family] = {}
        choices: dict[str, dict[str, Choice]] = {objective.metric: {} for objective in objectives}
        for name, family in families.items():
            # Two objectives often choose one setting: it is one trial, decoded once.
            trials: dict[str, FamilyTrial] = {}
            for objective in objectives:
                entry = frozen.get(objective.metric, {}).get(name)
                if entry is None:
                    raise ConfigError(
                        f"{self.folder / PROTOCOL_NAME} has no choice of family '{name}' by {objective.metric} on "
                        f"{task}; confirm families and objectives that the study had, as families={{…}} or "
                        "objectives=[…] set them."
                    )
                # JSON has no number for infinity: see choices_content.
                params = {key: float(v) if v in ("inf", "-inf") else v for key, v in entry["params"].items()}
                strategy = family.space.setting(params)
                # Protocols of before 2026-11-28 do not hold the values on dev.
                values = entry.get("dev", {})
                trial = FamilyTrial(number=len(trials), params=params, strategy=strategy, values=values)
                trials.setdefault(strategy.strategy_id, trial)
                choices[objective.metric][name] = Choice(
                    family=name,
                    objective=objective.metric,
                    strategy_id=strategy.strategy_id,
                    tried=entry["tried"],
                    # By the space of this study: the flag says that a better setting may be just beyond it.
                    at_boundary=family.space.boundary_values(params),
                )
            found[name] = Family(name=name, space=family.space, trials=tuple(trials.values()))
        return found, choices

    def _task(self, task: str) -> Any:
        if task not in self.tasks:
            raise ConfigError(
                f"{self.folder / PROTOCOL_NAME} has no choices of task '{task}'; it has: {', '.join(self.tasks)}."
            )
        return self.tasks[task]
