"""Freeze a study's protocol before test is read, keep a record of who read test, and read an earlier study's choices.

RESULTS/<model>/protocol.json holds what was fixed beforehand and the choices on dev; it is written after dev and before
the first row of test is decoded. An exploratory study with another protocol writes its own next to it, as
protocol-DIGEST.json. RUN/test_reads.json lists the protocols by which the run's test rows were read, so that reading
them again under another one is noticed, also from another folder of results.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edt.errors import ConfigError, StoreError
from edt.ids import digest
from edt.metrics.eda import EdaConstants
from edt.scoring.objective import Objective
from edt.store.atomic import write_bytes
from edt.store.json_text import parsed_json
from edt.store.lock import waiting
from edt.store.regular_file import read_regular
from edt.store.run import Run
from edt.store.seal import SEAL_KEY, SealError, check_seal, json_bytes
from edt.study.families import Family, FamilyTrial
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
    """
    present, own, path = read_protocol(folder), protocol_digest(content), folder / PROTOCOL_NAME
    # A look at what was found must not replace the record of what was fixed beforehand.
    if exploratory and present is not None and present["digest"] != own:
        path = folder / f"protocol-{own}.json"
        present = _read(path)
        logger.warning("%s is of another protocol and stays; this one is in %s.", PROTOCOL_NAME, path)
    # Of another protocol nothing is kept: its choices would stand under a digest that they were not made by.
    tasks: dict[str, Any] = {} if present is None or present["digest"] != own else dict(present["tasks"])
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
            "constants": asdict(task.constants),
            "choices": {objective: {**known.get(objective, {}), **fresh[objective]} for objective in fresh},  # type: ignore[dict-item]
        }
    frozen = {"digest": own, "exploratory": exploratory, "protocol": dict(content), "tasks": tasks}
    write_bytes(path, json_bytes(frozen, _OWNER))
    return path


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


def check_unread(run: Run, own: str, earlier: str | None, *, changed: str, exploratory: bool) -> tuple[str, ...]:
    """Return the other protocols under which a run's test rows were read.

    Raises ConfigError where one of them is that of the same folder of results, unless the study is exploratory.
    changed: how the own protocol differs from that one, for the error.
    """
    # The own protocol may read as often as it likes: nothing can be changed by it.
    others = tuple(name for name in ReadRecord.read(run).digests if name != own)
    # Another folder of results says nothing of what its reader saw, so there the study is only labeled.
    if earlier in others and earlier != own and not exploratory:
        raise ConfigError(
            f"the test rows of {run.manifest.task} ({run.folder}) were read under the protocol that {PROTOCOL_NAME} of "
            f"the results holds, and this study has another one ({changed}): figures chosen after a look "
            "at test are not those of a test. Give the options of before; or unseen "
            "rows, as task.seed=1 with another paths.results; or exploratory=true, by which the results are "
            "labeled."
        )
    return others


@dataclass(frozen=True, kw_only=True)
class FrozenChoices:
    """The choices of an earlier study, to be confirmed on other rows."""

    folder: Path
    digest: str
    tasks: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> FrozenChoices:
        """Read them from a study's folder. Raises ConfigError where it has no frozen protocol."""
        content = read_protocol(folder)
        if content is None:
            raise ConfigError(
                f"confirm is {folder}, which has no {PROTOCOL_NAME}; give the folder of a finished edt study, as "
                "results/mini."
            )
        return cls(folder=folder, digest=content["digest"], tasks=content["tasks"])

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
                trial = FamilyTrial(number=len(trials), params=params, strategy=strategy, values={})
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
