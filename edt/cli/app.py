"""Run one command: read its words, compose its configuration, and print an error as one sentence."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from edt import __version__
from edt.cli import argv
from edt.cli.build import generation_request, paths
from edt.cli.command_names import USAGE_ERROR, file_name
from edt.cli.composition import compose, config_folder, sweep_points
from edt.cli.help import command_help, config_groups
from edt.cli.launcher import launch, split_launcher
from edt.cli.line_breaks import typed_breaks, write_breaks
from edt.cli.messages import explain, explain_option
from edt.cli.stop_signals import stop_status, stoppable
from edt.cli.trust import check_no_trust
from edt.cli.values import check_values
from edt.errors import ConfigError, EdtError
from edt.generation.environment import installed_version
from edt.logs import command_log, log_to_stderr
from edt.paths import typed_path
from edt.redact import json_without_secrets, without_secrets
from edt.terminal_text import visible, visible_lines

__all__ = ["config_folder", "run_command"]

COMMAND_RECORDED = ("generate", "run", "study", "tune", "train")
"""Commands that decode into run folders, whose manifests record what the user typed."""

_WORD_KEYS = {"fetch": "name", "data": "action"}
"""Commands that take one word without `=`, with the key that it is the value of."""
_PAIR_COMMANDS = ("compare", "study power")
"""Commands that take two words for the keys `a` and `b`."""

logger = logging.getLogger(__name__)


_CONTINUED = {"run", "generate", "score", "report", "tune", "study", "fetch", "train"}
"""Commands that continue what an earlier one has left."""


def run_command(command: str, arguments: Sequence[str]) -> int:
    """Run a command and return its exit status: 2 after an error, printed as one sentence; 128 + n after signal n."""
    try:
        with stoppable():
            log_to_stderr()
            return _run(command, arguments)
    # Only errors that are meant for the user: anything else is a mistake in the code and keeps its traceback.
    except EdtError as error:
        if _wants_traceback():
            raise
        _print_error(command, error)
        return USAGE_ERROR
    except KeyboardInterrupt as error:
        kept = " Finished parts are kept; the same command continues from there." if command in _CONTINUED else ""
        print(f"\nedt {command}: {str(error) or 'stopped'}.{kept}", file=sys.stderr)
        return stop_status(error)


@contextmanager
def _logged(shown_command: str) -> Iterator[None]:
    """Keep the log of a command, with any error that ends it, and print where it is."""
    with command_log(_log_heading(shown_command)) as log:
        try:
            yield
        # Also a signal: the log of a command that was stopped says so.
        except BaseException as error:
            log.error(str(error) or type(error).__name__)
            raise
        finally:
            if log.paths:
                more = f", and in {len(log.paths) - 1} more of its folders" if len(log.paths) > 1 else ""
                logger.info("log: %s%s", log.paths[0], more)


def _log_heading(shown_command: str) -> str:
    """Return what a log begins with: the command, versions, and the machine's kind."""
    packages = [(name, installed_version(name)) for name in ("torch", "transformers", "numpy", "pyarrow")]
    versions = ", ".join(f"{name} {version}" for name, version in packages if version is not None)
    return (
        f"{shown_command} (edt {__version__}, Python {platform.python_version()}, {versions}, {platform.platform()}, "
        f"{os.cpu_count()} processors)"
    )


def _wants_traceback() -> bool:
    """Return whether Hydra's own switch for tracebacks is on, for whoever looks for a bug."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def _print_error(command: str, error: EdtError) -> None:
    # One line whatever the words of the command hold: a line break in one of them is shown as a sign.
    print(f"edt {command}: {visible(without_secrets(str(error)))}", file=sys.stderr)


def _run(command: str, arguments: Sequence[str]) -> int:
    _check_characters(arguments)
    # Intermixed, since overrides and options may come in any order.
    options = _parser(command).parse_intermixed_args(list(arguments))
    if options.help:
        print(visible_lines(command_help(command, options.config_dir)))
        return 0
    if command == "list":
        from edt.cli.listing import print_list

        print_list(options.overrides, options.config_dir)
        return 0

    launcher, typed = split_launcher(_as_overrides(command, options))
    if launcher and not options.multirun:
        raise ConfigError("hydra/launcher has no effect without --multirun, whose points are its jobs; add --multirun.")
    overrides = write_breaks(argv.rewrite(command, typed, multirun=options.multirun))
    _check_no_hydra_settings(overrides)
    check_no_trust([word.lstrip("+~").partition("=")[0].partition("@")[0] for word in overrides])
    # A comma is a sweep only with --multirun; without it, it belongs to the value.
    points = _points(command, overrides, options) if options.multirun else [overrides]
    if launcher and not options.cfg:
        return _launch_points(command, launcher, points, options)
    if len(points) == 1:
        return _run_point(command, points[0], options, shlex.join(["edt", command, *arguments]))
    return _run_points(command, points, options)


def _run_point(command: str, overrides: Sequence[str], options: argparse.Namespace, shown_command: str) -> int:
    """Run a command with one configuration, or print this; return the exit status."""
    # Composed for --cfg too, so that what is shown is what would run.
    config = _composed(command, overrides, options.config_dir)
    _warn_without_effect(command, overrides)
    if options.cfg:
        with _explained(command, overrides, options.config_dir):
            # By their keys too: in YAML, a password is only what stands after its name.
            plain = json_without_secrets(OmegaConf.to_container(config, resolve=options.resolve))
            shown = OmegaConf.to_yaml(OmegaConf.create(plain))
        print(visible_lines(shown), end="")
        return 0
    with _logged(shown_command):
        return _execute(command, _plain(command, config, overrides), shown_command)


def _run_points(command: str, points: Sequence[Sequence[str]], options: argparse.Namespace) -> int:
    """Run a command at each point of a sweep; one that fails does not end the others. Return the exit status."""
    failed = []
    for number, point in enumerate(points, start=1):
        # Quoted for the shell, so that the line can be pasted after the command's name.
        shown_point = shlex.join(typed_breaks(point))
        logger.info("edt %s, %d of %d: %s", command, number, len(points), shown_point)
        # Of a sweep the point alone is recorded, which can be repeated without the others.
        shown_command = shlex.join(["edt", command, *_config_dir_words(options), *typed_breaks(point)])
        try:
            if _run_point(command, point, options, shown_command):
                failed.append(point)
        except EdtError as error:
            if _wants_traceback():
                raise
            _print_error(command, error)
            failed.append(point)
        # A mistake in the code, of ours or of the user's; the other points may not meet it.
        except Exception:
            traceback.print_exc()
            failed.append(point)

    return _sweep_status(command, points, failed)


def _launch_points(
    command: str, launcher: Sequence[str], points: Sequence[Sequence[str]], options: argparse.Namespace
) -> int:
    """Run a command at each point as a job of a scheduler, and wait for the jobs; return the exit status."""
    # What is wrong with a point is said now, and not by a job that has waited in a queue.
    configs = [_plain(command, _composed(command, point, options.config_dir), point) for point in points]
    for config in configs if command in ("generate", "run") else []:
        generation_request(config)
    typed = [[*_config_dir_words(options), *typed_breaks(point)] for point in points]
    failed = launch(run_command, command, launcher, typed, paths(configs[0]).runs)
    return _sweep_status(command, points, [points[number] for number in failed])


def _sweep_status(command: str, points: Sequence[Sequence[str]], failed: Sequence[Sequence[str]]) -> int:
    """Return the exit status of a sweep, and log which of its points failed."""
    if not failed:
        return 0
    # What all points share says nothing about which one failed.
    swept = [index for index, words in enumerate(zip(*points, strict=True)) if len(set(words)) > 1]
    shown = "; ".join(shlex.join(typed_breaks([point[index] for index in swept])) for point in failed)
    logger.error("edt %s: %d of %d points failed: %s.", command, len(failed), len(points), shown)
    return USAGE_ERROR


def _check_characters(arguments: Sequence[str]) -> None:
    """Raise ConfigError for a word whose bytes are no UTF-8, which no manifest can hold."""
    for word in arguments:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"the word {word!a} is not valid UTF-8; a file or folder of such a name must be renamed, or "
                "linked to under another name."
            ) from error


def _config_dir_words(options: argparse.Namespace) -> list[str]:
    return [] if options.config_dir is None else ["--config-dir", str(options.config_dir)]


class _Parser(argparse.ArgumentParser):
    """Raises ConfigError in place of printing argparse's own usage."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (--\S+)", message)
        hint = explain_option(unknown.group(1), self.prog.split()[-1]) if unknown else ""
        raise ConfigError(f"{message}{hint}; `{self.prog} --help` shows what it takes.")


def _parser(command: str) -> argparse.ArgumentParser:
    # No abbreviations: `--c` would become another option when one is added.
    parser = _Parser(prog=f"edt {command}", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--config-dir", "-cd", type=typed_path)
    parser.add_argument("--cfg", "-c", choices=["job"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    if command == "export":
        parser.add_argument("--to")
        parser.add_argument("--out")
    return parser


def _as_overrides(command: str, options: argparse.Namespace) -> list[str]:
    """Return the overrides; `edt export` also takes its folders, --to and --out as a shell command would.

    `edt fetch` takes its model as a word, `edt data` what it does, and `edt compare` both of its sides.
    """
    # Words become overrides, so that everything behind this point has one form.
    if command in _WORD_KEYS:
        return argv.positional_as(_WORD_KEYS[command], options.overrides)
    if command in _PAIR_COMMANDS:
        return argv.positional_as_pair(options.overrides)
    if command != "export":
        return list(options.overrides)
    named = [f"{name}={value}" for name in ("to", "out") if (value := getattr(options, name)) is not None]
    return argv.positional_as_runs([*options.overrides, *named])


def _check_no_hydra_settings(overrides: Sequence[str]) -> None:
    """Raise ConfigError for an override of Hydra itself, which nothing here would read."""
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if re.match(r"hydra(\W|$)", key):
            kind = "sweepers" if key == "hydra/sweeper" else "settings of Hydra itself"
            raise ConfigError(
                f"'{key}={value}' has no effect, since {kind} are not supported; run several points one after the "
                "other with --multirun, as in --multirun sampling.seed=1,2, and choose folders with paths.runs=FOLDER."
            )


def _warn_without_effect(command: str, overrides: Sequence[str]) -> None:
    """Warn of overrides of the task where edt trace reads a prompt, and so no task."""
    values = {key.lstrip("+~"): value for key, _, value in (word.partition("=") for word in overrides)}
    if command != "trace" or values.get("prompt", "null") == "null":
        return
    unused = [key for key in values if key == "task" or key.startswith("task.")]
    if unused:
        logger.warning(
            "%s %s no effect with prompt=…, which belongs to no task; sampling.max_new_tokens is the length of its "
            "outputs.",
            " and ".join(unused),
            "has" if len(unused) == 1 else "have",
        )


def _points(command: str, overrides: Sequence[str], options: argparse.Namespace) -> list[list[str]]:
    with _explained(command, overrides, options.config_dir):
        return sweep_points(overrides, options.config_dir)


def _composed(command: str, overrides: Sequence[str], user_folder: Path | None) -> DictConfig:
    with _explained(command, overrides, user_folder):
        return compose(command, overrides, user_folder)


@contextmanager
def _explained(command: str, overrides: Sequence[str], user_folder: Path | None = None) -> Iterator[None]:
    """Turn what Hydra, OmegaConf or PyYAML raises over the user's words and files into ConfigError."""
    try:
        yield
    except EdtError:
        raise
    # Any exception: unreadable overrides are ValueError, TypeError, RecursionError and more, and nothing of ours runs
    # in here.
    except Exception as error:
        raise ConfigError(explain(error, command, overrides, user_folder)) from error


def _plain(command: str, config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the configuration as plain dicts and lists: nothing behind the command line knows OmegaConf."""
    with _explained(command, overrides):
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(plain, dict)
    # Also where a file of the user's configurations sets it.
    check_no_trust([str(key) for key in plain])
    check_values(plain)

    # `~sampling` removes a whole group, without which a command cannot run; `~strategy.kld` is a choice
    removed = [name for name in config_groups(command) if name not in plain and f"~{name}" in overrides]
    if removed:
        raise ConfigError(f"'{removed[0]}' cannot be removed; edt {command} needs it.")
    return plain


def _execute(command: str, config: dict[str, Any], shown_command: str) -> int:
    """Run a command; return its exit status, which only a command that judges something chooses itself."""
    from edt.cli import commands

    # The other commands write no manifest that could repeat them.
    recorded = {"command": shown_command} if command in COMMAND_RECORDED else {}
    status = getattr(commands, file_name(command))(config, **recorded)
    return 0 if status is None else int(status)
