"""Run folders on disk: manifests, parts, scores and statistics, each file written whole or not at all. No torch."""

__all__ = ["atomic", "layout", "lock", "manifest", "parts", "run", "statistics"]
