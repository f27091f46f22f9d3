"""Describe in words how runs of the same model and task differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

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
"""Characters of a value that is printed; of a longer one, such as a template, only a part."""
_CAUSES = {
    "stop": ("chat_template", "task", "stop"),
    "answer": ("chat_template", "task", "answer"),
    "dtype": ("device", "model", "dtype"),
}
"""By fact, another fact that sets its default, and the option that replaces it: null and "auto" leave the default."""

_PARTS = ("head", "source", "turn", "tail")
"""Parts of a template."""
_QUOTED = (*_PARTS, "instruction")
"""Options whose value is text: quotes show where it begins and ends."""
_BEFORE_DIFFERENCE = 8
"""Characters that are shown before two long values differ."""

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


def task_config(manifest: Manifest) -> Mapping[str, object]:
    """Return the configuration of the run's task; of a list of tasks, that of its member with the list's own values."""
    node = as_mapping(manifest.config.get("task"))
    members = as_mapping(node.get("members"))
    if not members:
        return node
    # null on the list leaves each member its own value
    shared = {name: value for name, value in node.items() if name not in ("members", "path") and value is not None}
    return {**as_mapping(members.get(manifest.task)), **shared}


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
    names = [name for name in names if not _is_consequence(name, names, facts, manifests)]
    tasks = [_task_facts(one) for one in manifests]
    # The task's options matter where they changed a prompt. One that an older version did not know is no difference.
    options = [name for name in _differing(tasks) if "prompts" in _differing(hashes) and all(name in t for t in tasks)]
    columns = [*(_fact_texts(name, facts) for name in names), *(_fact_texts(name, tasks) for name in options)]
    texts = [[column[run] for column in columns] for run in range(len(manifests))]

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
    model, limits = (as_mapping(identity.pop(key, None)) for key in ("model", "limits"))
    # The identity holds hashes of weights and adapter; path and adapter are their readable counterparts.
    adapter = as_mapping(manifest.config.get("model")).get("adapter")
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
    of_identity = {"_target_", "split", *_DEFAULTS, *as_mapping(manifest.identity.get("limits"))}
    options = {name: value for name, value in task_config(manifest).items() if name not in of_identity}
    # Both would be taken for the model's path and the seed of the draws.
    clear = {"path": "data", "seed": "subset seed"}
    named = {clear.get(name, name): value for name, value in options.items()}
    # A template is the user's as parts: what changed is one of them.
    template = as_mapping(named.pop("template", None))
    return named | {name: template[name] for name in _PARTS if name in template}


def _hashes(manifest: Manifest) -> _Facts:
    """Return what can change a token but is only a hash, a version or a list of ids."""
    facts = {**manifest.identity, **as_mapping(manifest.identity.get("model"))}
    return {name: facts.get(name) for name in _HASHES}


def _is_consequence(name: str, names: Sequence[str], facts: Sequence[_Facts], manifests: Sequence[Manifest]) -> bool:
    """Return whether the user changed no such thing: the fact follows from another one that is named."""
    # How a stop counts is of interest only where nothing else of the stops differs.
    if name == "stop_rule":
        return "stop" in names or "chat_template" in names
    if name not in _CAUSES:
        return False
    cause, node, option = _CAUSES[name]
    if cause not in names:
        return False
    configs = [task_config(one) if node == "task" else as_mapping(one.config.get(node)) for one in manifests]
    # Only the defaults follow, and only where equal causes have equal values.
    pairs = {(str(of_run.get(cause)), str(of_run.get(name))) for of_run in facts}
    causes = {str(of_run.get(cause)) for of_run in facts}
    return all(config.get(option) in (None, "auto") for config in configs) and len(pairs) == len(causes)


def _fact_texts(name: str, facts: Sequence[_Facts]) -> list[str]:
    """Return one fact of each run in words: "float64", "seed 1", "no limit"."""
    values = [of_run.get(name, _DEFAULTS.get(name)) for of_run in facts]
    written = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    # A path and a word need no quotes.
    parts = [
        json.dumps(value, ensure_ascii=False) if name in _QUOTED else text
        for value, text in zip(values, written, strict=True)
    ]
    # A file is known by its whole path.
    shown = parts if name == "data" else _shortened(parts)
    return [_fact_text(name, of_run, text) for of_run, text in zip(facts, shown, strict=True)]


def _fact_text(name: str, facts: _Facts, text: str) -> str:
    """Return one fact of a run in words. text: its value, written and shortened."""
    if name == "chat_template":
        return chat_template_text(facts.get(name))
    if name == "stop_rule":
        return "stops count after text" if facts.get(name) == "after_text" else "stops count anywhere"
    # An option is in the identity only where it differs from its default.
    if name not in facts and name not in _DEFAULTS:
        return f"default {name}"
    value = facts.get(name, _DEFAULTS.get(name))
    # "no limit" and "chunked" instead of "limit None" and "chunked True", which are Python's words.
    if value is None or isinstance(value, bool):
        return f"{'' if value else 'no '}{name}"
    return str(value) if name in _SELF_EXPLAINING else f"{name} {text}"


def _shortened(texts: Sequence[str]) -> list[str]:
    """Return the texts, those that are too long as their beginning, or from shortly before they differ."""
    if all(len(text) <= _LONGEST_VALUE for text in texts):
        return list(texts)
    n_common = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False)))
    # A difference in the first part of the beginning is visible there.
    start = 0 if n_common < _LONGEST_VALUE // 2 else n_common - _BEFORE_DIFFERENCE
    return [_part(text, start) for text in texts]


def _part(text: str, start: int) -> str:
    end = start + _LONGEST_VALUE
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _short_hash(value: object) -> str:
    """Return the first digits of a hash; any other value is hashed first."""
    text = value if isinstance(value, str) and _HASH.fullmatch(value) else digest(value)
    return text[:_SHORT_HASH]


def as_mapping(value: object) -> Mapping[str, object]:
    """Return the value if it is a mapping, else an empty one: a manifest of another version may lack a part."""
    return value if isinstance(value, Mapping) else {}


def _differing(runs: Sequence[_Facts]) -> list[str]:
    """Return the facts that are not the same in all runs, in order of appearance."""
    names = dict.fromkeys(name for facts in runs for name in facts)
    # Values can be lists, which cannot be in a set; as text they can.
    return [name for name in names if len({str(facts.get(name)) for facts in runs}) > 1]
