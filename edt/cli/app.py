"""One command as a Hydra application, with its errors in one sentence."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import edt
from edt.cli import USAGE_ERROR
from edt.cli.messages import explain
from edt.cli.replacing import ranges_emptied
from edt.cli.texts import texts_quoted
from edt.errors import EdtError
from edt.logs import log_to_stderr

PlainConfig = dict[str, Any]


OPTIONS_WITH_VALUE = (
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
)


class Failure(BaseException):
    """Carries an error of ours out of Hydra, past its handlers of `Exception`, which would print their own account."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """The same words with Hydra's options behind the overrides: its parser takes no override after an option."""
    overrides, options = [], []
    words = iter(arguments)
    for word in words:
        if word in OPTIONS_WITH_VALUE:
            options += [word, *[value for value in [next(words, None)] if value is not None]]
        elif word.startswith("-"):
            options.append(word)
        else:
            overrides.append(word)
    return overrides + options


def config_folder() -> Path:
    """The configs: inside the installed package, or beside it in a source tree."""
    package = Path(edt.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def command_function(command: str) -> Callable[[PlainConfig], None]:
    """What a command does with its configuration."""
    from edt.cli import commands, trace

    functions: dict[str, Callable[[PlainConfig], None]] = {
        "run": commands.run,
        "tune": commands.tune,
        "generate": commands.generate,
        "score": commands.score,
        "report": commands.report,
        "study": commands.study,
        "trace": trace.trace,
    }
    return functions[command]


def run_command(command: str, arguments: Sequence[str]) -> int:
    """Compose the configuration, run the command, and print an error as one sentence."""
    log_to_stderr()
    arguments = ranges_emptied(command, texts_quoted(command, arguments))
    full_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    saved_arguments, saved_setting = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"edt {command}", *overrides_first(arguments)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, so that the error can be told in one place: here
    try:
        hydra_application(command)()
    except (Failure, HydraException, OmegaConfBaseException, ValueError, TypeError) as failure:
        error = failure.error if isinstance(failure, Failure) else failure
        if isinstance(failure, ValueError | TypeError) and not told_while_composing(failure):
            raise
        if full_traceback:
            raise error from None
        print(f"edt {command}: {explain(error, command, arguments)}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(
            f"\nedt {command}: stopped. Finished parts are kept; the same command goes on from there.", file=sys.stderr
        )
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE_ERROR
    finally:
        sys.argv = saved_arguments
        os.environ.pop("HYDRA_FULL_ERROR")
        if saved_setting is not None:
            os.environ["HYDRA_FULL_ERROR"] = saved_setting
    return 0


def told_while_composing(error: Exception) -> bool:
    """Whether an error comes from Hydra's reading of the command line, before the command itself had begun."""
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return "application" not in frames


def hydra_application(command: str) -> Callable[[], Any]:
    """The command as a function without arguments that reads sys.argv, as Hydra wants it."""

    def application(config: DictConfig) -> None:
        try:
            plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
            assert isinstance(plain, dict)
            command_function(command)({str(key): value for key, value in plain.items()})
        except (EdtError, OmegaConfBaseException) as error:
            raise Failure(error) from error

    application.__name__ = command
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra.*")
    main: Callable[[], Any] = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command)(
        application
    )
    return main
