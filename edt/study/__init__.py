"""Run the study: decode families of settings, choose on dev, compare on test.

Read in this order: `run` (the whole study), `protocol` (one task), `families` and `refinement` (which settings),
`selection` (which one is chosen), and `edt.statistics.verdicts` (what is concluded). docs/concepts/study_protocol.md
explains the words with an example.
"""

__all__ = [
    "experiment",
    "experiments",
    "families",
    "manifest",
    "page",
    "protocol",
    "refinement",
    "results",
    "run",
    "selection",
    "spec",
    "workers",
]
