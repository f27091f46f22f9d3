"""Draw conclusions from scores: intervals, tests, corrections, curves and verdicts.

Pure NumPy: functions of arrays, by which no file is read.
"""

__all__ = [
    "arrays",
    "bca",
    "blocks",
    "bootstrap",
    "budget",
    "crossfit",
    "curve",
    "front",
    "interaction",
    "margin",
    "matched",
    "multiplicity",
    "power",
    "smooth",
    "verdicts",
]
