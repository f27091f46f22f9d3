"""Search a strategy's parameters on dev with Optuna, and evaluate the chosen setting on test (`edt tune`)."""

__all__ = ["axes", "identity", "page", "progress", "report", "results", "run", "space", "spec", "trials"]
