"""The run folder on disk: manifest, chunk plan and parts."""
