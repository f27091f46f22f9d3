"""Embed data, scripts and drawings in an HTML page so that no text in them is read as markup or code."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

_ACTIVE = re.compile(
    r"""<(script|foreignObject|iframe)\b|\son\w+\s*=|href\s*=\s*["'](?!\#|data:image/)""", re.IGNORECASE
)
"""Parts of an SVG that run a script or load something, which a picture does not."""
_DIGITS = 6
"""Significant digits of an embedded number: more than is shown or drawn, and half the size of all digits."""


def script_json(value: Any) -> str:
    """Return the value as JSON for a `<script type="application/json">`.

    It has no `<`, so it cannot end the script or open a comment. Numbers have 6 significant digits; a number that is
    not finite becomes null.
    """
    # ensure_ascii=False: Chinese text would otherwise take six characters for each.
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def plain(value: Any) -> Any:
    """Return the value in JSON's types, with numbers rounded. Raises TypeError for any other type."""
    # bool first: it is an Integral too. numbers' types include those of numpy.
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    if isinstance(value, numbers.Integral):
        return int(value)
    # JSON has no NaN or infinity: JSON.parse in the browser would fail on them.
    if isinstance(value, numbers.Real):
        return float(f"{float(value):.{_DIGITS}g}") if math.isfinite(value) else None
    raise TypeError(
        f"{value!r} is a {type(value).__name__}, which cannot be embedded in a page; use texts, numbers, or lists and "
        "mappings of them"
    )


def unsurrogated(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, which UTF-8 cannot encode."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def script_text(source: str) -> str:
    """Return a script as the browser reads it between its tags, so that its hash matches the browser's.

    HTML parsers turn CR LF into LF. Raises ValueError for a script that would end its own element.
    """
    # "<!--" opens a state of the HTML parser in which "</script>" does not end the script.
    if re.search("</script|<!--", source, re.IGNORECASE):
        raise ValueError("the script contains '</script' or '<!--', which end it early; escape the '<' in its source")
    return source.replace("\r\n", "\n").replace("\r", "\n")


def source_hash(script: str) -> str:
    """Return the source expression with which a Content-Security-Policy allows exactly this script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy under which only these scripts run and nothing is loaded."""
    # A hash allows exactly one script, so a script that a model's text smuggled in would not run.
    # Styles need no hash: they cannot run code, and plotly sets style attributes.
    allowed = " ".join(map(source_hash, scripts)) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def inline_svg(svg: str, prefix: str) -> str:
    """Return an SVG drawing as an element of a page.

    The XML preamble is removed, and all ids get the prefix, since ids must be unique within the page.
    Raises ValueError for a text that is no SVG, or an SVG that runs a script or loads something.
    """
    match = re.search(r"<svg\b.*</svg\s*>", svg, re.DOTALL)
    if match is None:
        raise ValueError(f"the figure has no <svg> element: {svg[:60]!r}")
    drawing = match.group()
    active = _ACTIVE.search(drawing)
    if active:
        raise ValueError(f"the figure contains {active.group()!r}; draw it without scripts and links")

    # Three kinds of references to an id: the id itself, url(#…) in attributes, and href="#…" in <use>.
    drawing = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', drawing)
    drawing = re.sub(r"url\((['\"]?)#", rf"url(\1#{prefix}", drawing)
    drawing = re.sub(r'href="#', f'href="#{prefix}', drawing)

    # Styles in an SVG apply to the whole page (matplotlib's are for `*`), so they are nested in this drawing's id.
    drawing = re.sub(r"(<style\b[^>]*>)(.*?)(</style)", rf"\1#{prefix}drawing {{\2}}\3", drawing, flags=re.DOTALL)
    return drawing.replace("<svg", f'<svg id="{prefix}drawing"', 1)
