"""Measure decoding: time, peak memory, replayed rows, and random models of a given shape."""
