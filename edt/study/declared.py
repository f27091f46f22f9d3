"""Declare the primary comparisons of a study beforehand: which family against which, and which question is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edt.errors import ConfigError, suggestion
from edt.scoring.objective import Objective


@dataclass(frozen=True, kw_only=True)
class DeclaredComparison:
    """A family against a baseline, at the settings chosen on dev by each objective.

    nested: whether the family contains the baseline, as EDT contains fixed temperature (θ = 0). Tuned without noise it
    cannot lose then, so the question is one-sided.
    """

    family: str
    baseline: str
    nested: bool = False

    def __post_init__(self) -> None:
        if self.family == self.baseline:
            raise ConfigError(f"comparisons has '{self.family}' against itself; give two families.")

    @property
    def label(self) -> str:
        """What is compared, as tables show it."""
        return f"{self.family} − {self.baseline}".replace("_", " ")


def check_comparisons(
    comparisons: Sequence[DeclaredComparison],
    families: Sequence[str],
    objectives: Mapping[str, Sequence[Objective]],
    margins: Mapping[str, float],
) -> None:
    """Raise ConfigError for a family that is not there, a repeated comparison, and an objective without a margin."""
    for entry in comparisons:
        for name in (entry.family, entry.baseline):
            if name not in families:
                raise ConfigError(
                    f"comparisons has the family '{name}'{suggestion(name, families)}, which families does not have; "
                    f"it has: {', '.join(families)}. Give the comparisons of this study, as "
                    "comparisons=[{family:edt,baseline:fixed,nested:true}], or comparisons=[]."
                )
    # A repeated one would count twice in the correction over the declared tests.
    pairs = [(entry.family, entry.baseline) for entry in comparisons]
    if repeated := next((pair for pair in pairs if pairs.count(pair) > 1), None):
        raise ConfigError(f"comparisons has {' − '.join(repeated)} twice; remove one.")
    # Without a margin "no difference is shown" and "there is none that matters" would be one verdict.
    for objective in (objective for of_task in objectives.values() for objective in of_task):
        if comparisons and objective.metric not in margins:
            raise ConfigError(
                f"margins has no '{objective.metric}', which is an objective: a verdict needs the smallest difference "
                f"that matters, written down before test is read. Give margins.{objective.metric}=NUMBER, or "
                "comparisons=[] for a study without verdicts."
            )


def read_comparisons(node: Any, left_out: Sequence[str]) -> tuple[DeclaredComparison, ...]:
    """Return the comparisons of a configuration. left_out: families that are null, which take theirs along."""
    example = "comparisons=[{family:edt,baseline:fixed,nested:true}]"
    if not isinstance(node, Sequence) or isinstance(node, str):
        raise ConfigError(f"comparisons is {node!r}; it must be a list, as {example}.")
    entries = []
    for entry in node:
        if not isinstance(entry, Mapping) or not {"family", "baseline"} <= set(entry):
            raise ConfigError(f"comparisons has {entry!r}; each one names two families, as {example}.")
        if unknown := next((key for key in entry if key not in ("family", "baseline", "nested")), None):
            raise ConfigError(f"comparisons has the key '{unknown}'; there are family, baseline and nested.")
        nested = entry.get("nested", False)
        if not isinstance(nested, bool):
            raise ConfigError(f"comparisons has nested: {nested!r}; it must be true or false.")
        declared = DeclaredComparison(family=str(entry["family"]), baseline=str(entry["baseline"]), nested=nested)
        # A family that is null is not decoded, so its comparisons are no part of this study's family of tests.
        if declared.family not in left_out and declared.baseline not in left_out:
            entries.append(declared)
    return tuple(entries)
