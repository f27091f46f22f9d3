"""Self-contained HTML pages: templates with escaping, style and script inside, nothing from a network."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def environment() -> Any:
    """The templates; whatever they show is escaped, and a name that is missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def page(template: str, *, script: str | None = None, **values: Any) -> str:
    """A page from its template. script: the file whose code the page may run; its policy allows no other."""
    from markupsafe import Markup

    code = "" if script is None else (TEMPLATES / script).read_text(encoding="utf-8")
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704  a file of this package
    text: str = (
        environment()
        .get_template(template)
        .render(
            **values,
            style=style,
            script=Markup(code),  # noqa: S704  a file of this package
            policy="'none'" if script is None else source_hash(code),
        )
    )
    return text


def source_hash(code: str) -> str:
    """The source expression that lets a content security policy run exactly this code."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
