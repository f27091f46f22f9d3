"""Decoding strategies: one temperature rule per file, one point of a family per object."""

from edt.strategies.base import Signals, Strategy
from edt.strategies.dynatemp import Dynatemp
from edt.strategies.edt import EDT
from edt.strategies.fixed import Fixed
from edt.strategies.grid import grid
from edt.strategies.kld import KLD
from edt.strategies.random_t import RandomT

__all__ = ["EDT", "KLD", "Dynatemp", "Fixed", "RandomT", "Signals", "Strategy", "grid"]
