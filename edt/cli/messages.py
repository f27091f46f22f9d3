"""Hydra's and OmegaConf's errors in one sentence: the thing, the value, what is allowed, the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from edt.cli.renamed import renamed_key, renamed_option
from edt.errors import suggestion

CONFIG_DIR = ("--config-dir", "-cd")
TRACKED_LATER = ("generate", "score", "tune")
"""Commands that leave run folders and export nothing by themselves."""
BAD_OVERRIDE = re.compile(r"Could not override '([^']+)'")
BAD_MERGE = re.compile(r"Error merging override \+{0,2}([^=]+)=(.*)", re.DOTALL)


def explain(error: Exception, command: str, arguments: Sequence[str]) -> str:
    """One sentence for an error of composing or reading the configuration; ours are sentences already."""
    if isinstance(error, MissingConfigException):
        return explain_missing_config(error)
    if isinstance(error, OverrideParseException):
        return f"'{error.override}' is no override of the form key=value ({' '.join(error.message.split())})."
    if isinstance(error, MissingMandatoryValue):
        key = getattr(error, "full_key", None) or str(error)
        return f"'{key}' has no value; give it as {key}=…"
    if isinstance(error, ConfigCompositionException):
        bad = BAD_OVERRIDE.search(str(error))
        if bad:
            return explain_unknown_key(bad.group(1), command, arguments)
        merged = BAD_MERGE.search(str(error))
        if merged:
            return explain_merge(merged.group(1), merged.group(2), command, arguments)
    told = " ".join(str(error).split())
    if isinstance(error, ValueError | TypeError):
        return f"an override cannot be read ({told}); overrides are key=value, or group=option as in strategy=edt."
    return told


def explain_missing_config(error: MissingConfigException) -> str:
    """A group option that does not exist, with the near miss."""
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if renamed := renamed_option(group, option):
        return renamed
    options = [str(name) for name in error.options or []]
    allowed = f" There is: {', '.join(options)}." if options else ""
    return f"{group or 'config'} '{option}' does not exist{suggestion(option, options)}.{allowed}"


def explain_unknown_key(key: str, command: str, arguments: Sequence[str]) -> str:
    """A key that the configuration does not have, with the near miss among its neighbours."""
    if command in TRACKED_LATER and key.partition(".")[0] == "tracking":
        return (
            f"edt {command} has no tracking, but what it decodes lies in ordinary run folders; export every setting in "
            "them, once they are scored, with edt report tracking=wandb and the same paths.runs."
        )
    if renamed := renamed_key(key, value_of(key, arguments)):
        return renamed
    parent, _, name = key.rpartition(".")
    others = composable(arguments, key)
    while not (neighbours := known_keys(parent, command, others)) and parent:  # to the first part that is unknown
        parent, _, name = parent.rpartition(".")
    if not neighbours:
        return f"'{key}' is no key of this configuration; `edt {command} --cfg job` shows them all."
    where = f"'{parent}'" if parent else "the configuration"
    return f"{where} has no key '{name}'{suggestion(name, neighbours)}; it has: {', '.join(neighbours)}."


def value_of(key: str, arguments: Sequence[str]) -> str | None:
    """Return the value that the command line gives a key."""
    values = [value for name, _, value in (word.partition("=") for word in arguments) if name.lstrip("+~") == key]
    return values[-1] if values else None


def explain_merge(key: str, value: str, command: str, arguments: Sequence[str]) -> str:
    """A value of another kind than what it would replace, with the keys that can be set instead."""
    keys = known_keys(key, command, composable(arguments, key))
    if not keys:
        return f"'{key}' cannot become {value}, which is of another kind; `edt {command} --cfg job` shows what it is."
    return f"'{key}' holds keys and cannot become {value}; set one of them, as {key}.{keys[0]}=…: {', '.join(keys)}."


def composable(arguments: Sequence[str], key: str) -> list[str]:
    """The overrides but that of `key`, with a folder of --config-dir as a search path."""
    words, kept = iter(arguments), []
    for word in words:
        if word in CONFIG_DIR:
            kept.append(f"hydra.searchpath=[file://{Path(next(words, '')).resolve()}]")
        elif "=" in word and not word.startswith("-") and word.partition("=")[0].lstrip("+~") != key:
            kept.append(word)
    return kept


def known_keys(parent: str, command: str, overrides: Sequence[str]) -> list[str]:
    """The keys below `parent` in the configuration that the other overrides make; empty when there is none."""
    from edt.cli.app import config_folder

    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            config = compose(config_name=command, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException):
        return []
    node: Any = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig | Mapping):
        return []
    return [str(name) for name in node if not str(name).startswith("_")]
