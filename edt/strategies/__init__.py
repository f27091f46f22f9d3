"""Decoding strategies: one temperature rule per file, one point of a family per object."""

from edt.strategies.base import Signals, Strategy
from edt.strategies.edt import EDT
from edt.strategies.fixed import Fixed
from edt.strategies.grid import grid
from edt.strategies.kld import KLD

__all__ = ["EDT", "KLD", "Fixed", "Signals", "Strategy", "grid"]
