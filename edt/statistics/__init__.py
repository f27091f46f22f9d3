"""Draw conclusions from scores: intervals, tests, corrections, curves and verdicts.

Pure NumPy: functions of arrays, by which no file is read. docs/concepts/statistics.md defines each, with its source.
"""

__all__ = [
    "arrays",
    "band",
    "bca",
    "blocks",
    "bootstrap",
    "budget",
    "interaction",
    "margin",
    "matched",
    "multiplicity",
    "power",
    "smooth",
    "verdicts",
]
