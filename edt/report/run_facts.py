"""Collect the facts on runs that a page's header shows: what was decoded, with what, when, and EDA's constants."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edt.report.frame import Group, Sections
from edt.report.run_labels import as_mapping, chat_template_text
from edt.store.manifest import Manifest

_CONSTANTS = re.compile(r"\|q_star:([^|]+)\|s_star:([^|]+)\|constants:([^|]+)\|")
"""EDA's constants in its signature (edt.metrics.eda.EdaConstants.signature)."""


def run_facts(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return the facts by name; where runs differ in one, each value is followed by its tasks or run ids."""
    # From the identity where it is there: that is what was decoded, whatever a later configuration says.
    facts = {
        "prompts": [chat_template_text(_of_model(one, "chat_template")) for one in manifests],
        "dtype and device": [f"{_of_model(one, 'dtype')}, {_of_model(one, 'device')}" for one in manifests],
        "seed": [str(one.identity.get("seed", "–")) for one in manifests],
        "max_new_tokens": [str(as_mapping(one.identity.get("limits")).get("max_new_tokens", "–")) for one in manifests],
        "decoded": [dates(one) for one in manifests],
        "edt": [_versions(one) for one in manifests],
    }
    tasks = [one.task for one in manifests]
    # Two runs of one task are distinguished by their ids, as their folders are.
    names = tasks if len(set(tasks)) == len(tasks) else [f"{one.task} {one.generation_id[:7]}" for one in manifests]
    return {fact: _joined(values, names) for fact, values in facts.items() if values}


def eda_scales(sections: Sections, labels: Mapping[Group, str]) -> str:
    """Return EDA's constants of each section, once where all share them; empty where no section has EDA."""
    # From the signatures, since a score carries the constants that it was computed with.
    by_scale: dict[str, list[str]] = {}
    for group, rows in sections.items():
        signatures = [row.cells["eda"].signature for row in rows if "eda" in row.cells]
        match = next(filter(None, map(_CONSTANTS.search, signatures)), None)
        scale = "EDA is missing"
        if match:
            q_star, s_star, source = match.groups()
            scale = f"Q* = {float(q_star):.4g}, S* = {float(s_star):.4g} ({source})"
        # Named also where it is missing: the scale of one run alone would pass for that of all.
        if signatures:
            by_scale.setdefault(scale, []).append(f"{labels[group]}, {group.split}")
    if set(by_scale) <= {"EDA is missing"}:
        return ""
    if len(by_scale) == 1:
        return next(iter(by_scale))
    return "; ".join(f"{', '.join(names)}: {scale}" for scale, names in by_scale.items())


def _joined(values: Sequence[str], names: Sequence[str]) -> str:
    """Return the value that all share, or each value with the names that have it."""
    distinct = dict.fromkeys(values)
    if len(distinct) == 1:
        return values[0]
    by_value = {value: [name for name, of in zip(names, values, strict=True) if of == value] for value in distinct}
    return "; ".join(f"{value} ({', '.join(of)})" for value, of in by_value.items())


def _of_model(manifest: Manifest, name: str) -> object:
    return as_mapping(manifest.identity.get("model")).get(name)


def dates(manifest: Manifest) -> str:
    """Return the first and the last day of the run's passes."""
    # Days are enough, and the hours of a pass that resumed would mislead.
    days = sorted(str(one.environment["created"])[:10] for one in manifest.passes if "created" in one.environment)
    return "–" if not days else " to ".join(dict.fromkeys((days[0], days[-1])))


def _versions(manifest: Manifest) -> str:
    """Return the versions of edt that planned the passes, with their commits."""
    texts = []
    # A run can grow over months, under several versions.
    for one in manifest.passes:
        version = str(as_mapping(one.environment.get("packages")).get("edt", "–"))
        commit = one.environment.get("git_commit")
        # A commit with changes ends in "+", which its first digits alone would hide.
        mark = "+" if str(commit).endswith("+") else ""
        texts.append(f"{version} (commit {str(commit)[:7]}{mark})" if commit else version)
    return ", ".join(dict.fromkeys(texts)) or "–"
