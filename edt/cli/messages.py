"""Explain Hydra's and OmegaConf's errors in one sentence: the thing, the value, what is allowed, the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from edt.cli.command_names import COMMANDS
from edt.cli.composition import BAD_OVERRIDE, compose
from edt.cli.foreign_names import own_name
from edt.cli.help import config_groups
from edt.cli.renamed import renamed_key, renamed_option
from edt.cli.schema import SCHEMAS, arguments
from edt.errors import suggestion

_FAMILIES = [path.removeprefix("strategy/") for path in SCHEMAS if path.startswith("strategy/")]
"""The built-in families of strategies."""

TRACKED_LATER = ("generate", "score", "tune")
"""Commands that leave run folders and export nothing by themselves."""

READS_RUNS = ("score", "report", "export")
"""Commands that read what others have decoded."""

_WORDS_OF_USERS = {"temperature": "t0"}
"""Names by which a key is looked for in vain, with the key."""

AMBIGUOUS = re.compile(r"Ambiguous value for argument '([^=]+)=(.*?)'\n", re.DOTALL)
BAD_MERGE = re.compile(r"Error merging override \+{0,2}([^=]+)=(.*)", re.DOTALL)


def explain(error: Exception, command: str, overrides: Sequence[str], user_folder: Path | None = None) -> str:
    """Return one sentence for an error of composing or reading the configuration."""
    if isinstance(error, MissingConfigException):
        return _explain_missing_option(error)
    if isinstance(error, OverrideParseException):
        # Hydra's parser ends with the address of its documentation
        reason = _one_line(error.message).partition(" See https:")[0]
        word = _one_line(str(error.override))
        # A slip in the second word of a command, as in `edt train exprot`.
        second = [name.removeprefix(f"{command} ") for name in COMMANDS if name.startswith(f"{command} ")]
        return (
            f"'{word}' is not an override of the form key=value{suggestion(word, second)} ({reason}). A value with a "
            """space or one of , = : { } [ ] ( ) # is put in quotes, twice for the shell: 'key="a, b"'."""
        )
    if isinstance(error, MissingMandatoryValue):
        key = getattr(error, "full_key", None) or str(error)
        return f"'{key}' has no value; give it as {key}=…"

    if isinstance(error, ConfigCompositionException):
        if bad := BAD_OVERRIDE.search(str(error)):
            return _explain_unknown_key(bad.group(1), command, overrides, user_folder)
        if merged := BAD_MERGE.search(str(error)):
            return _explain_merge(merged.group(1), merged.group(2), command, overrides, user_folder)

        if ambiguous := AMBIGUOUS.search(str(error)):
            return _explain_several_values(ambiguous.group(1), ambiguous.group(2), command)

    message = _one_line(str(error))
    # A group that another one reads, as the preset reads the engine.
    removed = re.match(r"Error resolving interpolation '\$\{(\w+)\}'", message)
    if removed and f"~{removed.group(1)}" in overrides:
        return f"'{removed.group(1)}' cannot be removed; edt {command} needs it."
    return _explain_library(error, message)


def _explain_library(error: Exception, message: str) -> str:
    """Explain what another library raises over the words and files. message: its own, in one line."""
    if isinstance(error, YAMLError):
        return f"a configuration file is no YAML ({message}). Correct it there, or leave out --config-dir."
    if isinstance(error, OSError | UnicodeError):
        return f"a configuration file cannot be read ({message}); the files are UTF-8 text."
    if isinstance(error, RecursionError):
        return "the configuration is nested too deeply, or refers to itself (${…}); flatten it."
    if isinstance(error, HydraException | OmegaConfBaseException):
        return message
    return (
        f"an override cannot be read ({message or type(error).__name__}); overrides are key=value, or group=option as "
        "in strategy=edt."
    )


def _explain_missing_option(error: MissingConfigException) -> str:
    """Explain an option of a group that does not exist, with the closest one."""
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if renamed := renamed_option(group, option):
        return renamed
    options = [str(name) for name in error.options or []]
    allowed = f" Options are: {', '.join(options)}." if options else ""
    # `search=tpe` means search.sampler=tpe: a group with one option is easily taken for a value
    values = f" To change a value of it, give {group}.NAME=…." if options == ["default"] else ""
    return f"{group or 'config'} '{option}' does not exist{suggestion(option, options)}.{allowed}{values}"


def _explain_unknown_key(key: str, command: str, overrides: Sequence[str], user_folder: Path | None) -> str:
    """Explain a key that the configuration does not have, with the closest of its neighbors."""
    if command in TRACKED_LATER and key.partition(".")[0] == "tracking":
        return (
            "this command exports nothing itself, but what it decodes is kept in ordinary run folders; once they are "
            "scored, export every setting in them with edt report tracking=wandb and the same paths.runs."
        )
    if command == "train" and key.partition(".")[0] == "experiment":
        return "edt train has no experiments; training=paper is the paper's fine-tuning, and edt study has experiments."
    if renamed := renamed_key(key, _value_of(key, overrides)):
        return renamed
    if decoded := _explain_key_of_decoding(key, command):
        return decoded

    # go up to the first part of the key that is unknown: its neighbors are what the user can have meant
    parent, _, name = key.rpartition(".")
    others = _without(key, overrides)
    while not (neighbors := _known_keys(parent, command, others, user_folder)) and parent:
        parent, _, name = parent.rpartition(".")
    if not neighbors:
        return f"'{key}' is not a key of this configuration; `edt {command} --cfg job` shows them all."
    if name in neighbors:
        return f"'{parent}.{name}' is a value, which has no keys below it." if parent else f"'{name}' has no keys."
    where = f"'{parent}'" if parent else "the configuration"
    name_here = _WORDS_OF_USERS.get(name, name)
    hint = suggestion(name_here, neighbors)
    # nothing below a key that does not exist can be meant, as in `samples.first=3`
    if name_here not in neighbors and key.endswith(name):
        node = _node(parent, command, others, user_folder)
        hint = _hint_below(parent, name_here, node, _value_of(key, overrides)) or hint
    # After the keys of this place, whose names may mean something of their own.
    if name_here not in neighbors:
        foreign = _hint_for_foreign(key, _node("", command, others, user_folder), _value_of(key, overrides))
        # `samplin.seed` is a slip in the group's name, which the first hint corrects.
        group = foreign.partition("mean ")[2].partition(".")[0]
        hint = hint if f"'{group}'" in hint else foreign or hint
    return f"{where} has no key '{name}'{hint}; it has: {', '.join(neighbors)}."


def _explain_key_of_decoding(key: str, command: str) -> str | None:
    """Explain a key of `edt run` to a command that reads what was decoded; None for any other key."""
    group = key.partition(".")[0]
    if command not in READS_RUNS or group in config_groups(command) or group not in config_groups("run"):
        return None
    if key == "task.quality":
        return (
            "the quality of a run is set by the command that decodes; repeat `edt run … task.quality=NAME` with the "
            "words of that run: it scores anew, and decodes nothing again."
        )
    return (
        f"'{key}' is a key of edt run, since it is of the decoding; edt {command} reads run folders as they are. Give "
        "it to edt run, which decodes what is missing and scores it."
    )


def _hint_for_foreign(key: str, node: Any, value: str | None) -> str:
    """Return " (did you mean …?)" for a key that other programs have; "" for any other."""
    own = own_name(key, _names(node))
    if own is None:
        return ""
    if "." not in own:
        return _hint_below("", own, node, value)
    # A path alone would go to the model that the command has, whose other values belong to it.
    model = "model=hf " if own == "model.path" else ""
    return _did_you_mean([f"{model}{own}={value or '…'}"])


def explain_option(words: str, command: str) -> str:
    """Return a hint for an option that does not exist, as `--dry-run`, if it is spelled like a key; else ""."""
    option, _, value = words.partition("=")
    name = option.lstrip("-").replace("-", "_")
    node = _node("", command, (), None)
    if name in _names(node):
        return _did_you_mean([f"{name}={value or ('true' if isinstance(_child(node, name), bool) else '…')}"])
    return _hint_below("", _WORDS_OF_USERS.get(name, name), node, value or None)


def _hint_below(parent: str, name: str, node: Any, value: str | None) -> str:
    """Return " (did you mean …?)" for the keys of this name one or two levels below a node; "" if there are none."""
    # The temperatures of EDA's scale have the keys of a strategy, but nobody who names one means them.
    children = {f"{parent}.{child}".lstrip("."): _child(node, child) for child in node if child != "eda_scale"}
    keys = [f"{path}.{name}" for path, child in children.items() if name in _names(child)]
    if not keys:
        keys = [
            f"{path}.{inner!s}.{name}"
            for path, child in children.items()
            if isinstance(child, DictConfig)
            for inner in child
            if name in _names(_child(child, inner))
        ]

    # Fixed temperature first, the family that most people know; a family alone is chosen by its option.
    keys.sort(key=lambda key: not key.startswith("strategy.fixed."))
    shown = [f"{key}={value or '…'}" for key in keys[:3]]
    family = re.fullmatch(rf"strategy\.({'|'.join(_FAMILIES)})\.\w+", keys[0]) if keys else None
    if family:
        shown = [f"strategy={family.group(1)} strategy.{name}={value or '…'}", shown[0]]
    return _did_you_mean(shown)


def _child(node: DictConfig, key: Any) -> Any:
    """Return the value of a key; None for one that the command line has yet to give (`???`)."""
    return None if OmegaConf.is_missing(node, key) else node[key]


def _did_you_mean(overrides: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(overrides)}?)" if overrides else ""


def _explain_several_values(key: str, values: str, command: str) -> str:
    """Explain values with commas outside of a sweep."""
    sweep = "to run the command once for each, add --multirun"
    if key == "strategy":
        return (
            f"'strategy={values}' names several; {sweep}; to compare families in one run, use strategy=compare_three."
        )
    if key in config_groups(command):
        return f"'{key}={values}' names several, and one can be chosen; {sweep}."
    return f"'{key}={values}' is several values; for a list, write {key}=[{values}]; {sweep}."


def _explain_merge(key: str, value: str, command: str, overrides: Sequence[str], user_folder: Path | None) -> str:
    """Explain a value of another kind than what it would replace, with the keys that can be set instead."""
    keys = _known_keys(key, command, _without(key, overrides), user_folder)
    if not keys:
        return f"'{key}' cannot become {value}, which is of another kind; `edt {command} --cfg job` shows what it is."
    return f"'{key}' holds keys and cannot become {value}; set one of them, as {key}.{keys[0]}=…: {', '.join(keys)}."


def _value_of(key: str, overrides: Sequence[str]) -> str | None:
    """Return the value that the command line gives a key."""
    values = [value for name, _, value in (word.partition("=") for word in overrides) if name.lstrip("+~") == key]
    return values[-1] if values else None


def _without(key: str, overrides: Sequence[str]) -> list[str]:
    """Return the overrides but that of `key`, which cannot be composed."""
    return [word for word in overrides if "=" in word and word.partition("=")[0].lstrip("+~") != key]


def _known_keys(parent: str, command: str, overrides: Sequence[str], user_folder: Path | None) -> list[str]:
    """Return the keys below `parent` in the configuration that the other overrides make; empty when there is none."""
    return _names(_node(parent, command, overrides, user_folder))


def _node(parent: str, command: str, overrides: Sequence[str], user_folder: Path | None) -> Any:
    """Return the configuration at `parent` that the overrides make; empty when there is none."""
    try:
        config = compose(command, overrides, user_folder)
    # Whatever is wrong with the other words, it is reported before the key that is looked for here.
    except Exception:
        return {}
    return (OmegaConf.select(config, parent) if parent else config) or {}


def _names(node: Any) -> list[str]:
    """Return the keys that a node has; none for a plain value."""
    if not isinstance(node, DictConfig | Mapping):
        return []
    # what the files list, and what the class has besides
    names = [str(name) for name in node if not str(name).startswith("_")]
    return list(dict.fromkeys([*names, *arguments(node)]))


def _one_line(text: str) -> str:
    return " ".join(text.split())
