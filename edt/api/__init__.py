"""The Python interface for notebooks and scripts, in three modules.

decoding: load a model, decode prompts, trace one. scoring: score samples, compare strategies. runs: read run folders.
`edt` itself offers all of it, as `edt.decode` and so on, and imports a module only when a name of it is used.
"""

__all__: list[str] = []
