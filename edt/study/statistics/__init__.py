"""Compute the study's statistics: curves, fronts, cross-fitting and corrections for multiple tests."""
