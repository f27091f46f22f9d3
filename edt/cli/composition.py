"""Compose a command's configuration with Hydra: the package's configs, the user's, and the overrides."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

import edt
from edt.cli.schema import register
from edt.errors import ConfigError

register()


def config_folder() -> Path:
    """Return the folder of configs: inside the installed package, or next to it in a source tree."""
    package = Path(edt.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def compose(command: str, overrides: Sequence[str], user_folder: Path | None = None) -> DictConfig:
    """Return the configuration of a command. Raises what Hydra and OmegaConf raise."""
    with _hydra_ready():
        return hydra.compose(config_name=command, overrides=[*_search_path(user_folder), *overrides])


def sweep_points(overrides: Sequence[str], user_folder: Path | None = None) -> list[list[str]]:
    """Return the overrides of each run of a sweep: the product of all values that commas or a glob list."""
    with _hydra_ready():
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
def _hydra_ready() -> Iterator[None]:
    """Hold Hydra's global state for one composition; whatever was initialized before is restored."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="hydra.*")
        with hydra.initialize_config_dir(version_base="1.3", config_dir=str(config_folder())):
            yield


def _search_path(user_folder: Path | None) -> list[str]:
    if user_folder is None:
        return []
    if not user_folder.is_dir():
        raise ConfigError(f"--config-dir is {user_folder}, which is not a folder.")
    return [f'hydra.searchpath=["file://{user_folder.resolve()}"]']
