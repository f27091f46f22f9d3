"""Measure decoding: time and memory of strategies in turn, on random models of known shapes."""

__all__ = ["peak_memory", "random_model", "replay", "timing"]
