"""Whether an export goes online, and the quiet in which wandb is used. `wandb` is imported when a key is looked for."""

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
"""wandb's settings under which it prints nothing and collects nothing by itself."""


def sweep_id() -> str | None:
    """The W&B sweep that started this process, if one did."""
    return os.environ.get("WANDB_SWEEP_ID") or None


def check_export(spec: WandbSpec, n_settings: int) -> None:
    """Raise ConfigError for what cannot be exported, before anything is decoded."""
    if spec.mode == "disabled":
        return
    if sweep_id() is not None and n_settings != 1:
        raise ConfigError(
            f"a W&B sweep asks for one setting, and this command has {n_settings}; ask for one point of one family, as "
            "strategy=edt strategy.t0=0.7 strategy.theta=0.5, or run it outside the sweep."
        )
    resolved_mode(spec)


def falls_back(spec: WandbSpec) -> bool:
    """Whether an export is offline for want of a key."""
    return spec.mode == "auto" and "WANDB_MODE" not in os.environ and not has_key()


def resolved_mode(spec: WandbSpec) -> str:
    """`online`, `offline` or `disabled`. Raises ConfigError for an explicit `online` without a key."""
    if spec.mode in ("offline", "disabled"):
        return spec.mode
    if spec.mode == "auto" and os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return os.environ["WANDB_MODE"]
    if has_key():
        return "online"
    if spec.mode == "online":
        raise ConfigError(
            "tracking.mode is online, but W&B finds no key here; log in with `wandb login` or set WANDB_API_KEY, or "
            "write offline with tracking.mode=offline."
        )
    return "offline"


def has_key() -> bool:
    """Whether W&B finds a key: in the environment, in .netrc or in its settings. Raises ConfigError for a bad one."""
    with quiet_environment():
        import wandb
        from wandb.sdk.lib import wbauth

        try:
            host = wandb.setup(settings=wandb.Settings(**QUIET)).settings.base_url
            found = wbauth.authenticate_session(host=host, source="edt", prompt=False, update_session=False)
        except (wandb.Error, ValueError) as error:
            raise ConfigError(
                f"W&B's key cannot be used ({one_line(error)}); log in anew with `wandb login --relogin`, or use "
                "tracking.mode=offline."
            ) from error
    return found is not None


def connecting() -> str:
    """What to say before a connection is tried: where to, how long that may take, and which setting says so."""
    with quiet_environment():
        import wandb

        settings = wandb.setup(settings=wandb.Settings(**QUIET)).settings
    return f"connecting to W&B at {settings.base_url}, at most {settings.init_timeout:g} s (WANDB_INIT_TIMEOUT)"


@contextmanager
def quiet_environment(workspace: Path | None = None) -> Iterator[None]:
    """Wandb reports no errors to its makers, and stages files in the workspace instead of the home folder."""
    wanted = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
    if workspace is not None:
        wanted["WANDB_DATA_DIR"] = str(workspace / "staging")
    saved = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
