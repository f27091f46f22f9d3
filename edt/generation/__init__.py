"""Decode prompts to part files on disk: what `edt generate` does."""
