"""Compare two sets of samples, whoever wrote them, and say how many one needs: `edt compare`, `edt study power`.

Read in this order: `sources` (what a name on the command line stands for), `sample_files` (JSON lines of other
programs), `pairing`, `measures`, `compare`, `table`; `pilot` for the power.
"""

__all__ = ["compare", "measures", "pairing", "pilot", "sample_files", "sources", "table"]
