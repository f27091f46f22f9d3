"""A trace as HTML: each token on the color of its temperature, with what the model predicted there.

`trace_page` returns a page with a script, for a browser; `trace_fragment` an element without one, for a notebook. Both
fill in the same templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from edt.records import Trace, TracedOutput, TracedToken
from edt.report.colors import Scale, family_of, family_style, shades, text_color_on
from edt.report.templating import read_resource, render_page, render_template
from edt.terminal_text import NEWLINE, visible, visible_lines

_CURVE_HEIGHT = 40
"""Height of the plot of entropy and temperature, in the units of its viewBox."""
_PROBABILITY = Scale(low=0.0, high=1.0)
_TITLE = "The temperature of each token"
_ALTERNATIVES_SHOWN = 3
"""Likeliest tokens that the tooltip of a fragment lists; a page shows all that were kept."""


def trace_page(trace: Trace) -> str:
    """Return the page as HTML text: one file that loads nothing."""
    temperature, entropy = _scales(trace)
    scales = {"temperature": temperature, "entropy": entropy, "probability": _PROBABILITY}

    return render_page(
        "trace.html.j2",
        styles=("style.css", "trace.css"),
        script="trace.js",
        title=_TITLE,
        trace=trace,
        prompt=visible_lines(trace.prompt),
        # The page's inspector lists all alternatives, so its tooltips leave them out.
        **_shared_values(trace, temperature, entropy, alternatives=0),
        data={
            "ramp": [[shade, text_color_on(shade)] for shade in shades()],
            "scales": {name: [scale.low, scale.high] for name, scale in scales.items()},
            "outputs": [[_token_data(token) for token in output.tokens] for output in trace.outputs],
        },
    )


def trace_fragment(trace: Trace) -> str:
    """Return the outputs as one HTML element for a notebook, with its style inside.

    It has no script and no ids, loads nothing, and takes its text color from the notebook's theme, so any number of
    fragments can stand in one notebook. Details of a token are in its tooltip.
    """
    temperature, entropy = _scales(trace)
    return render_template(
        "trace_fragment.html.j2",
        trace=trace,
        style=Markup(read_resource("trace.css")),  # noqa: S704  a file of this package
        **_shared_values(trace, temperature, entropy, alternatives=_ALTERNATIVES_SHOWN),
    )


def _scales(trace: Trace) -> tuple[Scale, Scale]:
    """Return the scales of temperature and of entropy, common to all outputs so that colors can be compared."""
    # From 0 for both, so that a strategy with T near 0 does not look hot.
    tokens = [token for output in trace.outputs for token in output.tokens]
    return (
        Scale.from_values([token.temperature for token in tokens]),
        Scale.from_values([token.entropy for token in tokens]),
    )


def _shared_values(trace: Trace, temperature: Scale, entropy: Scale, *, alternatives: int) -> dict[str, Any]:
    """Return what the page and the fragment both show."""
    return {
        "scale": temperature,
        "entropy_scale": entropy,
        "ramp": shades()[::4] + shades()[-1:],  # a gradient needs few stops, but both of its ends
        "outputs": [_output_values(output, temperature, entropy, alternatives) for output in trace.outputs],
    }


def _output_values(output: TracedOutput, temperature: Scale, entropy: Scale, alternatives: int) -> dict[str, Any]:
    chips = [
        # With one sample per strategy, its number says nothing.
        *([f"sample {output.sample}"] if output.sample else []),
        f"mean temperature {output.t_mean:.2f}",
        f"mean entropy {output.h_mean:.2f} nats",
        f"{len(output.tokens)} tokens",
        # Cut by the limit, an output has no end, which its text does not show.
        f"cut at {len(output.tokens)} tokens"
        if output.finish_reason == "length"
        else f"ended by {output.finish_reason}",
    ]
    return {
        "strategy_id": output.strategy_id,
        "family": family_style(family_of(output.strategy_id)),
        "chips": chips,
        "tokens": [_token_values(token, temperature, alternatives) for token in output.tokens],
        "entropy_points": _polyline([token.entropy for token in output.tokens], entropy),
        "temperature_points": _polyline([token.temperature for token in output.tokens], temperature),
    }


def _token_values(token: TracedToken, scale: Scale, alternatives: int) -> dict[str, Any]:
    """Return how a token looks in the text; its tooltip is for readers without the script."""
    text = visible(token.token)
    tooltip = (
        f"entropy {token.entropy:.3f} nats, temperature {token.temperature:.3f}, rank {token.rank}, "
        f"probability {token.probability:.3g} (as drawn {token.sampling_prob:.3g})"
    )
    # repr() quotes a token, which makes its leading space visible.
    likeliest = [f"{visible(entry.token)!r} {entry.probability:.3g}" for entry in token.alternatives[:alternatives]]
    return {
        "text": text,
        "ends_line": text.endswith(NEWLINE),
        "not_likeliest": token.rank > 1,
        "color": scale.color(token.temperature),
        "text_color": scale.text_color(token.temperature),
        "tooltip": tooltip + (f"; likeliest: {', '.join(likeliest)}" if likeliest else ""),
    }


def _token_data(token: TracedToken) -> dict[str, Any]:
    """Return what the page's script shows of a token."""
    content = asdict(token)
    alternatives = [{**entry, "token": visible(entry["token"])} for entry in content["alternatives"]]
    # The script shows texts by textContent, but control characters would still reorder them.
    return {**content, "token": visible(token.token), "alternatives": alternatives}


def _polyline(values: Sequence[float], scale: Scale) -> str:
    """Return the points of a curve over the steps, with the upper end of the scale at the top."""
    # SVG counts y downwards; 4 % at either edge keep the stroke inside of the box.
    heights = [_CURVE_HEIGHT * (0.96 - 0.92 * scale.fraction(value)) for value in values]
    return " ".join(f"{step + 0.5},{height:.2f}" for step, height in enumerate(heights))
