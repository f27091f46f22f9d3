"""Fuzz configurations: every key of every command's composed configuration × values of wrong types and extremes.

A case goes through everything between the composed configuration and the first decoded token: it is typed, validated,
and planned on a small model. `attempt` says how it ended; `complaint` says what is wrong with that, if anything is.
"""

import signal
import traceback
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

from omegaconf import OmegaConf

from edt.cli import argv, commands
from edt.cli.app import COMMAND_RECORDED
from edt.cli.composition import compose
from edt.cli.values import check_values
from edt.errors import EdtError

SECONDS = 30
"""The bound of a case, in CPU time; the slowest that is accepted plans a task in about a second."""
LONGEST_MESSAGE = 1200
"""Characters of a message. A value of any size is shown shortened."""


def nested(depth, value=1):
    """A list in a list in a list …"""
    for _ in range(depth):
        value = [value]
    return value


VALUES = {
    "null": None,
    "true": True,
    "false": False,
    "text": "nonesuch",
    "empty": "",
    "list": [],
    "mixed list": [1, "a", None, [2]],
    "mapping": {},
    "keys": {"nonesuch": 1},
    "target": {"_target_": "edt.nonesuch.Nope"},
    "number as key": {1: 2},
    "negative": -1,
    "zero": 0,
    "half": 2.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "minus inf": float("-inf"),
    "huge": 10**12,
    "hugest": 10**400,
    "tiny": 1e-320,
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "long": "x" * 100_000,
    "long list": [1] * 10_000,
    "deep": nested(300),
    "home": "~/nonesuch",
    "umlaut": "nonesuch/ü",
    "equals": "nonesuch/a=b",
    "space": "none such",
    "colon": "nonesuch:8b",
    "control": "\x1b[31mred\x07",
    "braces": "{nonesuch}",
    "lone brace": "{",
    "list of texts": ["nonesuch"],
    "list of nan": [float("nan")],
    "list of huge": [10**400],
}
"""By name: what a slip, a script or a hostile file can put in the place of a value."""

FEW = ["task.dev_size=3", "task.test_size=4"]
"""Few rows to generate."""

BASES = {
    "run": ["task=mini_xlsum", *FEW, "strategy=compare_three", "dry_run=true"],
    "generate": ["task=mini_quac", *FEW, "strategy=paper_grid", "dry_run=true"],
    "tune": ["task=mini_msmarco", *FEW, "dry_run=true"],
    "study": ["task=mini_wmt19", *FEW, "preset=smoke", "task.split=[dev,test]", "dry_run=true"],
    "trace": ["task=mini_xlsum", *FEW],
    "data": ["task=mini_xlsum", *FEW, "action=show"],
    "score": [],
    "report": [],
    "export": [],
    "fetch": ["name=smollm2_135m"],
}
"""The configurations whose keys are varied. One task each, so that a case takes no longer than it must."""

MORE_BASES = {
    "run of a list": [
        "run",
        "task=[mini_xlsum,mini_quac]",
        *(f"task.members.{name}.test_size=4" for name in ("mini_xlsum", "mini_quac")),
        "tracking=wandb",
        "strategy=edt",
        "dry_run=true",
    ],
    "run of own rows": [
        "run",
        "task=jsonl",
        "task.path=rows.jsonl",
        "engine=hf_generate",
        "strategy=edt",
        "dry_run=true",
    ],
    "run by reference": [
        "run",
        "task=mini_quac",
        *FEW,
        "engine=reference",
        "strategy=[dynatemp,random_t]",
        "dry_run=true",
    ],
    "tune of kld": ["tune", "task=mini_xlsum", *FEW, "space=kld", "dry_run=true"],
    "trace of a demo": ["trace", "demo=temperature"],
    "report to W&B": ["report", "tracking=wandb"],
    "check": ["data", "task=mini_quac", *FEW, "action=check"],
    "subset": ["data", "task=mini_quac", *FEW, "action=subset", "out=subset.jsonl"],
}
"""Further options of the groups, each with keys of its class."""


OTHER_WORDS = {"name": ["no model"], "action": ["edt data"]}
"""What messages call the keys that are given as a word alone: `edt fetch NAME`, `edt data ACTION`."""


class Planned(BaseException):
    """Everything up to the first decoded token has passed."""


class TooLong(BaseException):
    """The bound of a case. No Exception: no guard may take it for an error of the data."""


@dataclass(frozen=True)
class Case:
    """A command's configuration with one value replaced."""

    base: str
    key: str
    kind: str

    def __str__(self):
        return f"{self.base}: {self.key} = {self.kind}"


@dataclass(frozen=True)
class Outcome:
    """accepted, refused or fault; the message of the last two."""

    ending: str
    message: str = ""


def paths(node, above=()):
    """Every key of a configuration, inner ones too, as a path of names."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield (*above, name)
            yield from paths(value, (*above, name))


def bases():
    """Every base by name, as a command and its overrides."""
    return {
        **{command: (command, words) for command, words in BASES.items()},
        **{n: (w[0], w[1:]) for n, w in MORE_BASES.items()},
    }


def composed(base, place):
    """The plain configuration of a base, in a place that holds all of its folders."""
    command, words = bases()[base]
    overrides = argv.rewrite(command, [*words, *place.words(command)])
    return OmegaConf.to_container(compose(command, overrides), resolve=True)


def cases(configs):
    """Every case of these configurations (by base)."""
    return [
        Case(base, ".".join(map(str, path)), kind)
        for base, config in configs.items()
        for path in paths(config)
        for kind in VALUES
    ]


def with_value(config, key, value):
    """The configuration with one value replaced."""
    changed = deepcopy(config)
    node = changed
    *above, last = key.split(".")
    for name in above:
        node = node[name]
    node[last] = value
    return changed


@contextmanager
def bound(seconds):
    """Raise TooLong where the block takes more seconds of CPU time, or ten times as many of the clock.

    Other programs make a command slow on the clock; one that waits for a pipe takes no CPU time.
    """

    def ring(*_):
        raise TooLong

    timers = {signal.ITIMER_PROF: (signal.SIGPROF, seconds), signal.ITIMER_REAL: (signal.SIGALRM, 10 * seconds)}
    before = {number: signal.signal(number, ring) for number, _ in timers.values()}
    for timer, (_, most) in timers.items():
        signal.setitimer(timer, most)
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def execute(command, config):
    """Run a command from its plain configuration, as the command line does."""
    check_values(config)
    words = {"command": f"edt {command}"} if command in COMMAND_RECORDED else {}
    getattr(commands, command)(config, **words)


def attempt(case, configs):
    """How a case ends."""
    command, _ = bases()[case.base]
    config = with_value(configs[case.base], case.key, VALUES[case.kind])
    try:
        with bound(SECONDS):
            execute(command, config)
    except Planned:
        return Outcome("accepted")
    except EdtError as error:
        return Outcome("refused", str(error))
    except TooLong:
        return Outcome("fault", f"no end within {SECONDS} s")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome("fault", "".join(traceback.format_exception(error)[-3:]))
    return Outcome("accepted")


def complaint(case, outcome):
    """What is wrong with an outcome, empty where nothing is."""
    if outcome.ending == "accepted":
        return ""
    if outcome.ending == "fault":
        return outcome.message
    names = [*case.key.split("."), *OTHER_WORDS.get(case.key, ())]
    if not any(name in outcome.message for name in [names[-1], *names[:-1]]):
        return f"the message does not name the key: {outcome.message[:300]}"
    if "\n" in outcome.message:
        return f"the message has several lines: {outcome.message[:300]!r}"
    if len(outcome.message) > LONGEST_MESSAGE:
        return f"the message has {len(outcome.message)} characters: {outcome.message[:200]!r}"
    return ""
