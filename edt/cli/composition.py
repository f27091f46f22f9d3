"""Compose a command's configuration with Hydra: the package's configs, the user's, and the overrides."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

import edt
from edt.cli import argv
from edt.cli.command_names import file_name
from edt.cli.schema import has_argument, register
from edt.errors import ConfigError

register()

BAD_OVERRIDE = re.compile(r"Could not override '([^']+)'")
"""Hydra's message for a key that the configuration does not list."""


def config_folder() -> Path:
    """Return the folder of configs: inside the installed package, or next to it in a source tree."""
    package = Path(edt.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def compose(command: str, overrides: Sequence[str], user_folder: Path | None = None) -> DictConfig:
    """Return the configuration of a command. Raises what Hydra and OmegaConf raise.

    An override may also set a key that a file of the user's does not list, if the class that it names has the key.
    """
    # One word at a time: Hydra reports the first key that it does not know, and several may be unlisted.
    words = list(overrides)
    with hydra_ready():
        while True:
            try:
                return hydra.compose(config_name=file_name(command), overrides=[*_search_path(user_folder), *words])
            except ConfigCompositionException as error:
                unlisted = _unlisted_argument(error, command, words, user_folder)
                if unlisted is None:
                    raise
                words[unlisted] = f"+{words[unlisted]}"


def _unlisted_argument(
    error: ConfigCompositionException, command: str, words: Sequence[str], user_folder: Path | None
) -> int | None:
    """Return which of the words Hydra refused although a class has its key; None where there is none."""
    bad = BAD_OVERRIDE.search(str(error))
    # As Hydra names it in its message: without the value.
    keys = [word.partition("=")[0] for word in words]
    if bad is None or bad.group(1) not in keys:
        return None

    # Only what chooses the files: other overrides may have unlisted keys as well.
    choices = [word for word, key in zip(words, keys, strict=True) if "." not in key]
    try:
        config = hydra.compose(config_name=file_name(command), overrides=[*_search_path(user_folder), *choices])
    except ConfigCompositionException:
        return None
    return keys.index(bad.group(1)) if has_argument(config, bad.group(1).split(".")) else None


def sweep_points(overrides: Sequence[str], user_folder: Path | None = None) -> list[list[str]]:
    """Return the overrides of each run of a sweep: the product of all values that commas or a glob list."""
    with hydra_ready():
        # a glob (task=glob(mini_*)) needs the loader, to list the options
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        axes = []
        for override in parser.parse_overrides(list(overrides)):
            key = override.get_key_element()
            if override.is_sweep_override():
                axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
            else:
                axes.append([override.input_line or key])
    return [list(point) for point in itertools.product(*axes)]


@contextmanager
def hydra_ready() -> Iterator[None]:
    """Hold Hydra's global state for one composition; whatever was initialized before is restored."""
    # What Hydra warns of here is its defaults list, about which a user can do nothing.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="hydra.*")
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            yield


def _search_path(user_folder: Path | None) -> list[str]:
    if user_folder is None:
        return []
    if not user_folder.is_dir():
        raise ConfigError(f"--config-dir is {user_folder}, which is not a folder.")
    return [f"hydra.searchpath=[{argv.quoted(f'file://{user_folder.resolve()}')}]"]
