"""Draw conclusions from scores: intervals, tests, corrections, curves and verdicts.

Pure NumPy: functions of arrays, by which no file is read.
"""

__all__ = ["arrays", "blocks", "bootstrap", "crossfit", "curve", "front", "multiplicity", "verdicts"]
