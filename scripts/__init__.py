"""Programs that make what the package ships; run them from the repository's root as `python -m scripts.NAME`."""
