"""Show a training at Weights & Biases while it runs: losses, learning rate and quality over the steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edt.errors import TrackingError, one_line
from edt.redact import Redactor
from edt.tracking.spec import LONGEST_NAME, NoTracking, Tracking
from edt.tracking.wandb_export import SettingExport

__all__ = ["LogStep", "training_curve"]

LogStep = Callable[[int, Mapping[str, float]], None]
"""Shows values at a step."""

_logger = logging.getLogger(__name__)


def _nowhere(step: int, values: Mapping[str, float]) -> None:
    """Show nothing."""


@contextmanager
def training_curve(
    tracking: Tracking, *, export_id: str, name: str, config: Mapping[str, Any], folder: Path
) -> Iterator[LogStep]:
    """Open one W&B run of the training, and give the function that shows values at a step.

    export_id: the same training always is the same run; an offline one is replaced, an online one continued. folder: of
    offline runs, unless the options name one. Nothing of prompts and answers is sent.
    """
    if isinstance(tracking, NoTracking):
        yield _nowhere
        return
    from edt.tracking.wandb_mode import connecting, resolved_mode
    from edt.tracking.wandb_runs import open_run, quiet_workspace, replace_run

    mode = resolved_mode(tracking)
    if mode == "disabled":
        yield _nowhere
        return
    import wandb

    redactor = Redactor.from_environment()
    folder = folder if tracking.dir is None else Path(tracking.dir).expanduser()
    if mode == "online":
        _logger.info(redactor.text(connecting()))
    setting = SettingExport(
        export_id=export_id,
        name=redactor.text(name)[:LONGEST_NAME],
        config=redactor.json(dict(config)),
        summary={},
        sheets={},
        plots={},
    )
    with quiet_workspace(folder, mode) as workspace:
        try:
            run = open_run(tracking, mode, tracking.group or "training", setting, workspace, job_type="training")
        except (wandb.Error, ValueError, TypeError) as error:
            raise TrackingError(
                f"W&B did not take the training ({one_line(error)}); run the same command with tracking=none, or write "
                "offline with tracking.mode=offline."
            ) from error
        written = Path(run.dir).parent

        def show(step: int, values: Mapping[str, float]) -> None:
            run.log(dict(values), step=step)

        try:
            yield show
        finally:
            run.finish()
            if mode == "offline":
                replace_run(written, folder / "wandb", run.id)
    _logger.info("W&B: 1 run, %s%s", mode, f", in {folder / 'wandb'}" if mode == "offline" else "")
