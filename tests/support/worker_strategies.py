"""Fixed temperatures that do to the process that decodes them what a test is about."""

import os
from dataclasses import dataclass
from time import sleep

from edt.strategies import Fixed


@dataclass(frozen=True, kw_only=True)
class Deadly(Fixed):
    """Ends the process, as the system does where memory is short."""

    family = "deadly"

    @staticmethod
    def temperature(signals, params):
        os._exit(1)


@dataclass(frozen=True, kw_only=True)
class Narrow(Fixed):
    """Needs more memory than there is for more than 64 rows, the least that rules are given."""

    family = "narrow"

    @staticmethod
    def temperature(signals, params):
        if len(params["t0"]) > 64:
            raise MemoryError
        return params["t0"]


@dataclass(frozen=True, kw_only=True)
class Slow(Fixed):
    """Takes a quarter of a second for each step."""

    family = "slow"

    @staticmethod
    def temperature(signals, params):
        sleep(0.25)
        return params["t0"]
