"""The embedded miniature benchmark: four tasks drawn from a seeded grammar over a small world, with a known truth."""

from edt.tasks.mini.msmarco import MiniMSMarco
from edt.tasks.mini.quac import MiniQuAC
from edt.tasks.mini.wmt19 import MiniWMT19
from edt.tasks.mini.xlsum import MiniXLSum

__all__ = ["MiniMSMarco", "MiniQuAC", "MiniWMT19", "MiniXLSum"]
