"""Score outputs on disk: what `edt score` does."""
