"""The templates of HTML pages, and the frame that the small pages share: style and script inside, nothing loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edt.report.html_embed import source_hash

TEMPLATES = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates; whatever they show is escaped, and a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: str, **values: Any) -> str:
    """A template filled in."""
    return environment().get_template(template).render(**values)


def resource(name: str) -> str:
    """A file beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def page(template: str, *, script: str | None = None, **values: Any) -> str:
    """A page within `base.html.j2`. script: the file whose code it may run; its policy allows no other."""
    code = "" if script is None else resource(script)
    return rendered(
        template,
        **values,
        style=Markup(resource("style.css")),  # noqa: S704  a file of this package
        script=Markup(code),  # noqa: S704  a file of this package
        policy="'none'" if script is None else source_hash(code),
    )
