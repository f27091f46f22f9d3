"""Show scores: tables on the terminal, as Markdown, LaTeX and CSV; figures; and HTML pages that need no network.

`frame` arranges scores, `table`, `documents`, `figures` and `steps` write them, `html` builds a study's page from the
records in `page`, and `run_report` does all of it for a set of runs. `templates/` holds markup, styles and scripts.
"""

__all__ = ["documents", "figures", "frame", "html", "page", "run_report", "steps", "table", "templating"]
