"""Decoding strategies: one temperature rule per file, one point of a family per object."""

from edt.strategies.base import Signals, Strategy
from edt.strategies.dynatemp import Dynatemp
from edt.strategies.edt import EDT
from edt.strategies.fixed import Fixed
from edt.strategies.grid import grid
from edt.strategies.inverted_edt import InvertedEDT
from edt.strategies.kld import KLD
from edt.strategies.random_t import RandomT
from edt.strategies.schedule import Schedule
from edt.strategies.shuffled_edt import ShuffledEDT
from edt.strategies.switch import Switch

__all__ = [
    "EDT",
    "KLD",
    "Dynatemp",
    "Fixed",
    "InvertedEDT",
    "RandomT",
    "Schedule",
    "ShuffledEDT",
    "Signals",
    "Strategy",
    "Switch",
    "grid",
]
