"""Write the tables and figures of the study; each module is one experiment, over outputs that are decoded once."""

__all__ = [
    "best_of_k",
    "best_temperature",
    "case_study",
    "claims",
    "confidence",
    "eda_weight",
    "efficiency",
    "error_attribution",
    "granularity",
    "main_table",
    "matched_diversity",
    "theta",
    "tuning_budget",
]
