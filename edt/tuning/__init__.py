"""Search a strategy's best setting on dev: what `edt tune` does."""
