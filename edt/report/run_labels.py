"""Describe in words how runs of the same model and task differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from edt.decoding.sampling import STORED_ENGINES, STORED_NOISE
from edt.ids import digest
from edt.report.frame import model_label
from edt.store.manifest import Manifest

_SELF_EXPLAINING = ("engine", "dtype", "device", "path")
"""Facts whose value is clear without the fact's name; they come first."""
_HASHES = {
    "prompts": "prompts",
    "weights": "weights",
    "adapter": "adapter weights",
    "config": "model config",
    "tokenizer": "tokenizer",
    "code": "model code",
    "eos": "end tokens",
    "noise": "generator of noise",
    "task": "task",
}
"""Facts that are a hash, a version or a list of ids, with their names in "other weights (3d3ff50)"."""
_EXPLAINED_BY = {
    "noise": {"engine"},
    "adapter": {"adapter"},
    "prompts": {"path", "chat_template", "chat_template_kwargs", "max_new_tokens"},
    **{hashed: {"path"} for hashed in ("weights", "config", "tokenizer", "code", "eos")},
}
"""By hash, the readable facts of which it is a consequence."""
_NAMES_IN_0_1_0 = {
    "engine": {stored: name for name, stored in STORED_ENGINES.items()},
    "coupling": {stored: name for name, stored in STORED_NOISE.items()},
}
"""Values that an identity still spells as version 0.1.0 did, by fact, with their present names."""
_DEFAULTS = {"answer": "all"}
"""Values of facts that an identity leaves out, as far as they are clearer than "default answer"."""
_SHORT_HASH = 7
_HASH = re.compile("[0-9a-f]{16}")
_LONGEST_VALUE = 40
"""Characters of a value that is printed; of a longer one, such as a template, only the hash is."""

_Facts = Mapping[str, object]


def run_labels(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return, by generation id, in what a run differs from the others of its model and task.

    For example "hf_generate", or "float64, seed 1"; empty if there is no other run. What is only known as a hash is
    named as in "other weights (3d3ff50)".
    """
    labels: dict[str, str] = {}
    for heading in dict.fromkeys(map(_heading, manifests)):
        of_heading = {one.generation_id: one for one in manifests if _heading(one) == heading}
        labels |= dict(zip(of_heading, _distinct_texts(list(of_heading.values())), strict=True))
    return labels


def chat_template_text(uses_template: object) -> str:
    """Return in words whether prompts are formatted with the tokenizer's chat template."""
    return "chat template" if uses_template else "no chat template"


def _task_config(manifest: Manifest) -> Mapping[str, object]:
    """Return the configuration of the run's task; of a list of tasks, that of its member with the list's own values."""
    node = _as_mapping(manifest.config.get("task"))
    members = _as_mapping(node.get("members"))
    if not members:
        return node
    # null on the list leaves each member its own value
    shared = {name: value for name, value in node.items() if name not in ("members", "path") and value is not None}
    return {**_as_mapping(members.get(manifest.task)), **shared}


def _heading(manifest: Manifest) -> tuple[str, str]:
    """Return what the heading of a section says of a run."""
    # The label, not the path: two models with the same last part of their path look the same in a heading.
    return model_label(manifest.model), manifest.task


def _distinct_texts(manifests: Sequence[Manifest]) -> list[str]:
    """Return the text of each of these runs of one model and task."""
    # Identity first, then the task's options, then hashes: from the clearest to the least clear.
    facts, hashes = [_facts(one) for one in manifests], [_hashes(one) for one in manifests]
    names = _differing(facts)
    if "engine" in names:
        # An engine that draws by itself has no noise of ours: its name says so.
        names = [name for name in names if name != "noise"]
    tasks = [_task_facts(one) for one in manifests]
    # The task's options matter where they changed a prompt. One that an older version did not know is no difference.
    options = [name for name in _differing(tasks) if "prompts" in _differing(hashes) and all(name in t for t in tasks)]
    texts = [
        [*(_fact_text(name, facts[run]) for name in names), *(_fact_text(name, tasks[run]) for name in options)]
        for run in range(len(manifests))
    ]

    # A hash that follows from what is named already would only repeat it; it is named where labels would be equal.
    explained = {hashed for hashed, causes in _EXPLAINED_BY.items() if {*names, *options} & causes}
    if options:
        explained.add("prompts")
    for name in _differing(hashes):
        values = [_short_hash(of_run[name]) for of_run in hashes]
        if name not in explained or _separates(values, texts):
            texts = [[*text, f"other {_HASHES[name]} ({value})"] for text, value in zip(texts, values, strict=True)]
    return [", ".join(text) for text in texts]


def _separates(values: Sequence[str], texts: Sequence[Sequence[str]]) -> bool:
    """Return whether two runs with the same text have other values."""
    return len({str(pair) for pair in zip(values, texts, strict=True)}) > len({str(text) for text in texts})


def _facts(manifest: Manifest) -> _Facts:
    """Return what can change a token and can be read by a person, by short names; the clearest facts come first."""
    identity = dict(manifest.identity)
    model, limits = (_as_mapping(identity.pop(key, None)) for key in ("model", "limits"))
    # The identity holds hashes of weights and adapter; path and adapter are their readable counterparts.
    adapter = _as_mapping(manifest.config.get("model")).get("adapter")
    facts = {**identity, "path": manifest.model, **model, "adapter": adapter, **limits}
    readable = {
        name: _NAMES_IN_0_1_0.get(name, {}).get(str(value), value)
        for name, value in facts.items()
        if name not in _HASHES or name == "adapter"
    }
    # The noise follows from the engine where that draws by itself, so it is the last fact to name.
    noise = {"noise": readable.pop("coupling")} if "coupling" in readable else {}
    ordered = sorted(readable, key=lambda name: name not in _SELF_EXPLAINING)
    return {name: readable[name] for name in ordered} | noise


def _task_facts(manifest: Manifest) -> _Facts:
    """Return the task's options by name, without those that the identity holds and those that a heading shows."""
    of_identity = {"_target_", "split", *_DEFAULTS, *_as_mapping(manifest.identity.get("limits"))}
    options = {name: value for name, value in _task_config(manifest).items() if name not in of_identity}
    # Both would be taken for the model's path and the seed of the draws.
    clear = {"path": "data", "seed": "subset seed"}
    return {clear.get(name, name): value for name, value in options.items()}


def _hashes(manifest: Manifest) -> _Facts:
    """Return what can change a token but is only a hash, a version or a list of ids."""
    facts = {**manifest.identity, **_as_mapping(manifest.identity.get("model"))}
    return {name: facts.get(name) for name in _HASHES}


def _fact_text(name: str, facts: _Facts) -> str:
    """Return one fact in words: "float64", "seed 1", "no limit"."""
    if name == "chat_template":
        return chat_template_text(facts.get(name))
    # An option is in the identity only where it differs from its default.
    if name not in facts and name not in _DEFAULTS:
        return f"default {name}"
    value = facts.get(name, _DEFAULTS.get(name))
    # "no limit" and "chunked" instead of "limit None" and "chunked True", which are Python's words.
    if value is None or isinstance(value, bool):
        return f"{'' if value else 'no '}{name}"
    if name in _SELF_EXPLAINING:
        return str(value)
    # A template of many lines would fill the heading; two of them still differ in their hashes.
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name} {text if len(text) <= _LONGEST_VALUE or name == 'data' else _short_hash(value)}"


def _short_hash(value: object) -> str:
    """Return the first digits of a hash; any other value is hashed first."""
    text = value if isinstance(value, str) and _HASH.fullmatch(value) else digest(value)
    return text[:_SHORT_HASH]


def _as_mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _differing(runs: Sequence[_Facts]) -> list[str]:
    """Return the facts that are not the same in all runs, in order of appearance."""
    names = dict.fromkeys(name for facts in runs for name in facts)
    # Values can be lists, which cannot be in a set; as text they can.
    return [name for name in names if len({str(facts.get(name)) for facts in runs}) > 1]
