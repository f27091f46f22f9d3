"""What tells runs of the same model and task from each other, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edt.report.frame import model_label
from edt.store.manifest import Manifest

PLAIN = ("engine", "model dtype", "model device", "model path")
"""Facts whose value alone says what it is."""
DIGESTS = ("noise", "prompts", "model weights", "model config", "model tokenizer", "model code", "model eos", "task")
"""Facts whose value says nothing to a reader."""


def run_labels(manifests: Sequence[Manifest]) -> dict[str, str]:
    """By generation id, what a run has that others of its model and task have not: "generate", "float64, seed 1"."""
    found = {}
    for manifest in manifests:
        alike = [facts(other) for other in manifests if kin(other) == kin(manifest)]
        own = facts(manifest)
        told = [str(own[n]) if n in PLAIN else f"{n} {own[n]}" for n in telling(alike) if n in own]
        found[manifest.generation_id] = ", ".join(told)
    return found


def kin(manifest: Manifest) -> tuple[str, str]:
    """What a heading says of a run."""
    return model_label(manifest.model), manifest.task


def facts(manifest: Manifest) -> dict[str, object]:
    """What can change a token and can be read, by short names."""
    identity = dict(manifest.identity)
    model, limits = (as_mapping(identity.pop(key, None)) for key in ("model", "limits"))
    given = as_mapping(manifest.config.get("model"))
    model = {"path": manifest.model, **model, "adapter": given.get("adapter")}
    found = {**identity, **{f"model {name}": value for name, value in model.items()}, **limits}
    readable = {name: value for name, value in found.items() if name not in DIGESTS}
    return {name: readable[name] for name in sorted(readable, key=lambda name: (name not in PLAIN, name == "coupling"))}


def as_mapping(value: object) -> Mapping[str, object]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def telling(alike: Sequence[Mapping[str, object]]) -> list[str]:
    """As few facts as tell as many of these apart as all would: each that separates more than those ahead of it."""
    chosen: list[str] = []
    classes = 1
    for name in dict.fromkeys(name for one in alike for name in one):
        split = len({str([one.get(known) for known in (*chosen, name)]) for one in alike})
        if split > classes:
            chosen, classes = [*chosen, name], split
    return chosen
