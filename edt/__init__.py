"""edt: a research framework for entropy-based dynamic temperature (Zhang et al. 2024, arXiv 2403.14541)."""

__version__ = "0.1.0"
