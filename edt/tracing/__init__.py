"""Trace single outputs token by token: what `edt trace` does."""
