"""Fill in the templates of HTML pages. The small pages share one frame, `base.html.j2`; no page loads anything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edt.report.html_embed import content_policy

_TEMPLATES = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Return the templates. Whatever they show is escaped, and a missing name is an error."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        # A model's text is shown on these pages, so escaping must not depend on a template's author.
        autoescape=True,
        # A misspelled name must not become an empty place on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_template(template: str, **values: Any) -> str:
    """Return a template filled in with these values."""
    return _environment().get_template(template).render(**values)


def read_resource(name: str) -> str:
    """Return the text of a style or script in the folder of the templates."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def render_page(
    template: str, *, styles: Sequence[str] = ("style.css",), script: str | None = None, **values: Any
) -> str:
    """Return a page within `base.html.j2`.

    styles: files whose rules it has. script: the file whose code it may run; its Content-Security-Policy allows no
    other.
    """
    # The policy names the script by its hash, so the same text must go into the page.
    code = "" if script is None else read_resource(script)
    return render_template(
        template,
        **values,
        style=Markup("\n".join(map(read_resource, styles))),  # noqa: S704  files of this package
        script=Markup(code),  # noqa: S704  a file of this package
        policy=content_policy([] if script is None else [code]),
    )
