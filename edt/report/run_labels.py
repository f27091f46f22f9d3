"""Describe in words how runs of the same model and task differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edt.decoding.sampling import STORED_ENGINES, STORED_NOISE
from edt.report.frame import model_label
from edt.store.manifest import Manifest

_SELF_EXPLAINING = ("engine", "model dtype", "model device", "model path")
"""Facts whose value is clear without the fact's name."""
_DIGESTS = ("noise", "prompts", "model weights", "model config", "model tokenizer", "model code", "model eos", "task")
"""Facts whose value is a hash or a version, which means nothing to a reader."""
_NAMES_IN_0_1_0 = {
    "engine": {stored: name for name, stored in STORED_ENGINES.items()},
    "coupling": {stored: name for name, stored in STORED_NOISE.items()},
}
"""Values that an identity still spells as version 0.1.0 did, by fact, with their present names."""


def run_labels(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return, by generation id, what distinguishes a run from the others of its model and task.

    For example "hf_generate", or "float64, seed 1"; empty if there is no other run or no readable difference.
    """
    labels = {}
    for manifest in manifests:
        facts = _facts(manifest)
        same_heading = [_facts(other) for other in manifests if _heading(other) == _heading(manifest)]
        # Runs of different engines can have different facts.
        names = [name for name in _distinguishing_names(same_heading) if name in facts]
        # "float64" is clear by itself, but "1" is not: "seed 1".
        texts = [str(facts[name]) if name in _SELF_EXPLAINING else f"{name} {facts[name]}" for name in names]
        labels[manifest.generation_id] = ", ".join(texts)
    return labels


def _heading(manifest: Manifest) -> tuple[str, str]:
    """Return what the heading of a section says of a run."""
    # The label, not the path: two models with the same last part of their path look the same in a heading.
    return model_label(manifest.model), manifest.task


def _facts(manifest: Manifest) -> dict[str, object]:
    """Return what can change a token and can be read by a person, by short names; the clearest facts come first."""
    identity = dict(manifest.identity)
    model, limits = (_as_mapping(identity.pop(key, None)) for key in ("model", "limits"))
    configured = _as_mapping(manifest.config.get("model"))

    # The identity holds hashes of weights and adapter; path and adapter are their readable counterparts.
    model = {"path": manifest.model, **model, "adapter": configured.get("adapter")}
    facts = {**identity, **{f"model {name}": value for name, value in model.items()}, **limits}
    readable = {
        name: _NAMES_IN_0_1_0.get(name, {}).get(str(value), value)
        for name, value in facts.items()
        if name not in _DIGESTS
    }
    # The noise follows from the engine where that draws by itself, so it is the last fact to name.
    noise = {"noise": readable.pop("coupling")} if "coupling" in readable else {}
    ordered = sorted(readable, key=lambda name: name not in _SELF_EXPLAINING)
    return {name: readable[name] for name in ordered} | noise


def _as_mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _distinguishing_names(runs: Sequence[Mapping[str, object]]) -> list[str]:
    """Return few names of facts that distinguish as many of the runs as all facts would.

    Greedy: in their order, each fact is taken that separates more runs than those taken before.
    """
    names: list[str] = []
    classes = 1
    for name in dict.fromkeys(name for facts in runs for name in facts):
        # Values can be lists, which cannot be in a set; as text they can.
        separated = len({str([facts.get(known) for known in (*names, name)]) for facts in runs})
        if separated > classes:
            names, classes = [*names, name], separated
    return names
