"""Data, scripts and drawings inside one HTML page, such that nothing in them can leave its place."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

ACTIVE = re.compile(
    r"""<(script|foreignObject|iframe)\b|\son\w+\s*=|href\s*=\s*["'](?!\#|data:image/)""", re.IGNORECASE
)
"""What an SVG drawing does that a picture does not."""
DIGITS = 6
"""Significant digits of an embedded number: more than is shown or drawn."""


def script_json(value: Any) -> str:
    """JSON for a `<script type="application/json">`: no `<`, hence neither an end of the script nor a comment in it.

    What is not finite becomes null, and numbers have `DIGITS` significant digits.
    """
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def plain(value: Any) -> Any:
    """The value in JSON's own types. Raises TypeError for what is none of them."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(f"{float(value):.{DIGITS}g}") if math.isfinite(value) else None
    raise TypeError(
        f"{value!r} is a {type(value).__name__}, which a page cannot carry; give texts, numbers or lists of them"
    )


def unsurrogated(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot say, as U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def script_text(source: str) -> str:
    """A script as it stands between its tags: the parser turns CR LF to LF, and a hash is of what it sees.

    Raises ValueError for a script that would end its own element.
    """
    if re.search("</script|<!--", source, re.IGNORECASE):
        raise ValueError("the script holds '</script' or '<!--' and would end early; escape the '<' in its source")
    return source.replace("\r\n", "\n").replace("\r", "\n")


def source_hash(script: str) -> str:
    """The source expression that lets a Content-Security-Policy run exactly this script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_policy(scripts: Sequence[str]) -> str:
    """A Content-Security-Policy under which these scripts alone run and nothing is loaded from anywhere.

    'unsafe-eval' is for plotly's WebGL traces, which compile their drawing functions.
    """
    allowed = " ".join(["'unsafe-eval'", *map(source_hash, scripts)])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def inline_svg(svg: str, prefix: str) -> str:
    """An SVG drawing as an element of a page: without XML's preamble, its ids made the page's own by a prefix.

    Its styles, which in a page would be everyone's (matplotlib's are for `*`), are for this drawing alone.

    Raises ValueError for what is no SVG, runs a script or loads something.
    """
    found = re.search(r"<svg\b.*</svg\s*>", svg, re.DOTALL)
    if found is None:
        raise ValueError(f"the figure holds no <svg> element: {svg[:60]!r}")
    drawing = found.group()
    bad = ACTIVE.search(drawing)
    if bad:
        raise ValueError(f"the figure holds {bad.group()!r}; draw it without scripts and links")
    drawing = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', drawing)
    drawing = re.sub(r"url\((['\"]?)#", rf"url(\1#{prefix}", drawing)
    drawing = re.sub(r'href="#', f'href="#{prefix}', drawing)
    drawing = re.sub(r"(<style\b[^>]*>)(.*?)(</style)", rf"\1#{prefix}drawing {{\2}}\3", drawing, flags=re.DOTALL)
    return drawing.replace("<svg", f'<svg id="{prefix}drawing"', 1)
