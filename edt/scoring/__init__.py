"""Scores of the outputs on disk, with intervals: what `edt score` does. Needs no model and no torch.

`outputs` reads what was generated, `compute` gives each strategy its metrics, `eda_constants` finds EDA's scale,
`score` joins them to score rows, `dev` does the same on dev without intervals, for a choice.
"""

__all__ = ["compute", "dev", "eda_constants", "outputs", "score"]
