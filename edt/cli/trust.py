"""Import what a configuration names, if it is in a package that is trusted: edt itself, and those that the user names.

An override, a sweep or a folder of configurations may come from elsewhere, and importing a module runs its code. So no
configuration can trust a package, its own least of all. The user does, in one of two places that only the user writes:

- the environment variable EDT_TRUSTED_PACKAGES, names between commas;
- `trusted_packages: [NAME, …]` in the file ~/.config/edt/config.yaml ($XDG_CONFIG_HOME/edt/config.yaml).
"""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from edt.errors import ConfigError

TRUST_VARIABLE = "EDT_TRUSTED_PACKAGES"
TRUST_KEY = "trusted_packages"
LONGEST_REASON = 200
"""Characters of an import error that are shown: some hold a whole traceback."""


class UntrustedError(ConfigError):
    """A name in a package that the user has not named as trusted."""


def trusted_packages() -> tuple[str, ...]:
    """Return the packages whose modules may be imported: `edt`, and those that the user names.

    Raises ConfigError for a name that no package can have, and for a file of the user's that cannot be read.
    """
    of_environment = [name.strip() for name in os.environ.get(TRUST_VARIABLE, "").split(",") if name.strip()]
    for name in of_environment:
        _check_name(name, TRUST_VARIABLE)
    return ("edt", *of_environment, *_of_user_file(_user_config()))


def _user_config() -> Path:
    """Return the path of the user's own settings of edt."""
    # An empty variable counts as not set, as the XDG specification says.
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "edt" / "config.yaml"


def _of_user_file(path: Path) -> Sequence[str]:
    """Return the packages that the user's file names."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise ConfigError(f"{path} cannot be read ({reason}); it holds `{TRUST_KEY}: [NAME, …]`.") from error
    if not isinstance(content, dict) or set(content) - {TRUST_KEY}:
        raise ConfigError(f"{path} holds more than `{TRUST_KEY}: [NAME, …]`, the one key that it can have.")
    names = content.get(TRUST_KEY) or []
    if not isinstance(names, list):
        raise ConfigError(f"{path}: {TRUST_KEY} is {names!r}; it must be a list of packages: [NAME, …].")
    for name in names:
        _check_name(name, f"{path}: {TRUST_KEY}")
    return names


def _check_name(name: Any, where: str) -> None:
    """Raise ConfigError for what is no dotted name: `*` or an empty text would trust what nobody has read."""
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"{where} names {name!r}, which is no package; give names such as my_package.")


def is_trusted(module: str) -> bool:
    """Return whether a module, by its dotted name, is in a trusted package."""
    return any(module == package or module.startswith(f"{package}.") for package in trusted_packages())


def resolve(target: Any, where: str) -> Any:
    """Return the class or function that `target` names ("package.module.Class"), importing its module.

    where: the key that holds the name, for errors. Raises UntrustedError before anything is imported where the name is
    not in a trusted package, and after it for what a trusted module has itself from elsewhere, such as `my_package.os`.
    """
    name = str(target)
    # `package.module:Class` is the other spelling that Python's own function reads.
    module = name.partition(":")[0]
    if not all(part.isidentifier() for part in name.replace(":", ".", 1).split(".")):
        raise ConfigError(f"{where} is '{target}', which is no dotted name of a class, as my_package.MyClass is.")
    if not is_trusted(module):
        raise UntrustedError(_untrusted(module.partition(".")[0], where))
    try:
        found = pkgutil.resolve_name(name)
    # Wide on purpose: what a module raises while it is imported is up to its author.
    except Exception as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        # The message of a NameError or a SyntaxError does not say that it is one.
        known = isinstance(error, ImportError | AttributeError | ValueError)
        shown = reason if known else f"{type(error).__name__}: {reason}"
        raise ConfigError(
            f"{where} is '{target}', which cannot be imported ({shown}); is its folder on PYTHONPATH?"
        ) from error

    home = getattr(found, "__module__", None)
    if callable(found) and not (isinstance(home, str) and is_trusted(home)):
        raise UntrustedError(
            f"{where} is '{name}', which is defined in '{home}', and that is not trusted; name a class where it is "
            "defined."
        )
    return found


def _untrusted(package: str, where: str) -> str:
    return (
        f"{where}: '{package}' is not trusted, so it is not imported. If you trust its code, run the command with "
        f"{TRUST_VARIABLE}={package}, or name it in {_user_config()}, as {TRUST_KEY}: [{package}]. A configuration "
        "cannot do this itself."
    )


def check_no_trust(keys: Sequence[str]) -> None:
    """Raise ConfigError where a configuration or an override has the key `trusted_packages`."""
    if TRUST_KEY in keys:
        raise ConfigError(
            f"{TRUST_KEY} cannot be set by an override or a configuration, which may come from elsewhere. If you trust "
            f"a package's code, run the command with {TRUST_VARIABLE}=NAME, or name it in {_user_config()}."
        )
