"""Compute the study's own statistics: block bootstrap, cross-fitting, curves and fronts at matched Self-BLEU."""

__all__ = ["blocks", "crossfit", "curve", "front"]
