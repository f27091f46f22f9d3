"""Search for a strategy's best setting: the space, the search's own options, and its trials on disk."""
