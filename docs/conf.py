"""Sphinx configuration: Markdown by MyST, the furo theme. `make docs` builds without a network, warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate_reference import write_reference

import edt

write_reference(Path(__file__).parent / "reference" / "_generated")

project = "edt"
author = "The edt contributors"
copyright = "2026, the edt contributors"
version = release = edt.__version__

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build", "reference/_generated"]
# Blocks without a language are commands or printed output; nothing is to be highlighted in them.
highlight_language = "text"
nitpicky = True

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
# Links to files of the repository that are no pages, such as ../../results/bench, are left as they are.
myst_links_external_new_tab = False

html_theme = "furo"
html_title = f"edt {version}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False}
