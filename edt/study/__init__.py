"""Run the study: decode families of settings, choose on dev, compare on test.

Read in this order: `run` (the whole study), `protocol` (one task), `families` and `search` (which settings),
`selection` (which one is chosen), `frozen` (what was fixed before test was read), and `edt.statistics.verdicts` (what
is concluded). docs/concepts/study_protocol.md explains the words with an example.
"""

__all__ = [
    "confirmation",
    "curves",
    "declared",
    "experiment",
    "experiments",
    "families",
    "frozen",
    "manifest",
    "page",
    "protocol",
    "results",
    "run",
    "search",
    "selection",
    "spec",
    "workers",
]
