"""Decode prompts to part files on disk: what `edt generate` does; and export them for other tools.

`session` loads a model and decodes the tasks of a `request`. For each task: `prepare` its prompts, plan the missing
`passes`, `estimate` the work, `generate` what is missing with its `progress`.
"""

__all__ = ["environment", "estimate", "export", "generate", "passes", "prepare", "progress", "request", "session"]
