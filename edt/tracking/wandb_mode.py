"""Decide whether an export goes online, and keep wandb quiet. `wandb` is imported only to look for a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.errors import ConfigError, one_line
from edt.tracking.spec import WandbSpec

QUIET: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "host": "",
    "username": "",
    "email": "",
    "program": "edt",
    "program_relpath": "edt",
    "program_abspath": "edt",
    "x_executable": "python",
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
    "label_disable": True,
    "symlink": False,
    "use_dot_wandb": False,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Settings under which wandb prints nothing and collects nothing by itself."""


def sweep_id() -> str | None:
    """Return the id of the W&B sweep that started this process, or None."""
    return os.environ.get("WANDB_SWEEP_ID") or None


def check_export(spec: WandbSpec, n_settings: int) -> None:
    """Raise ConfigError before decoding if the export is not possible."""
    if spec.mode == "disabled":
        return
    # The agent gives this process one run id, and the sweep reads one result from it.
    if sweep_id() is not None and n_settings != 1:
        raise ConfigError(
            f"a W&B sweep needs one setting, and this command has {n_settings}; set one point of one family, such as "
            "strategy=edt strategy.t0=0.7 strategy.theta=0.5, or run it outside the sweep."
        )
    resolved_mode(spec)


def falls_back(spec: WandbSpec) -> bool:
    """Return whether an export is offline only because there is no key."""
    return spec.mode == "auto" and "WANDB_MODE" not in os.environ and not _has_key()


def resolved_mode(spec: WandbSpec) -> str:
    """Return "online", "offline" or "disabled". Raises ConfigError for an explicit "online" without a key."""
    if spec.mode in ("offline", "disabled"):
        return spec.mode
    # WANDB_MODE is W&B's own switch; a mode that is set in the configuration has precedence.
    if spec.mode == "auto" and os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return os.environ["WANDB_MODE"]
    if _has_key():
        return "online"
    if spec.mode == "online":
        raise ConfigError(
            "tracking.mode is online, but W&B finds no key here; log in with `wandb login` or set WANDB_API_KEY, or "
            "write offline with tracking.mode=offline."
        )
    return "offline"


def _has_key() -> bool:
    """Return whether W&B finds a key: in the environment, .netrc or its settings. Raises ConfigError for a bad key."""
    # wandb looks for a key in several places, so it is asked and not imitated. It must not prompt for one.
    with quiet_environment():
        import wandb
        from wandb.sdk.lib import wbauth

        try:
            host = wandb.setup(settings=wandb.Settings(**QUIET)).settings.base_url
            key = wbauth.authenticate_session(host=host, source="edt", prompt=False, update_session=False)
        except (wandb.Error, ValueError) as error:
            raise ConfigError(
                f"W&B's key cannot be used ({one_line(error)}); log in anew with `wandb login --relogin`, or use "
                "tracking.mode=offline."
            ) from error
    return key is not None


def connecting() -> str:
    """Return a message before connecting: the address, how long it may take, and the variable that sets this time."""
    with quiet_environment():
        import wandb

        settings = wandb.setup(settings=wandb.Settings(**QUIET)).settings
    return f"Connecting to W&B at {settings.base_url}, at most {settings.init_timeout:g} s (WANDB_INIT_TIMEOUT)"


@contextmanager
def quiet_environment(workspace: Path | None = None) -> Iterator[None]:
    """Set variables so that wandb sends no error reports and stages files in the workspace, not in the home folder."""
    variables = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
    if workspace is not None:
        variables["WANDB_DATA_DIR"] = str(workspace / "staging")
    # The variables are restored: edt may be used as a library in a process with other W&B runs.
    saved = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
