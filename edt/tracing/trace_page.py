"""A trace as a page: tokens in color, and what the model knew at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edt.records import Trace, TracedOutput, TracedToken
from edt.report.colors import Scale, ink_on, shades
from edt.report.escape_control_chars import NEWLINE, visible, visible_lines
from edt.report.templating import page

SPARK_HEIGHT = 40
PROBABILITY = Scale(low=0.0, high=1.0)


def trace_page(trace: Trace) -> str:
    """The page as HTML text."""
    tokens = [token for output in trace.outputs for token in output.tokens]
    temperature = Scale.of([token.temperature for token in tokens])
    entropy = Scale.of([token.entropy for token in tokens])
    scales = {"temperature": temperature, "entropy": entropy, "probability": PROBABILITY}
    return page(
        "trace.html.j2",
        script="trace.js",
        title="The temperature of each token",
        trace=trace,
        prompt=visible_lines(trace.prompt),
        scale=temperature,
        entropy_scale=entropy,
        ramp=shades()[::4] + shades()[-1:],
        outputs=[output_view(output, temperature, entropy) for output in trace.outputs],
        data={
            "ramp": [[shade, ink_on(shade)] for shade in shades()],
            "scales": {name: [scale.low, scale.high] for name, scale in scales.items()},
            "outputs": [[token_data(token) for token in output.tokens] for output in trace.outputs],
        },
    )


def output_view(output: TracedOutput, temperature: Scale, entropy: Scale) -> dict[str, Any]:
    """What the template shows of an output."""
    chips = [
        *([f"sample {output.sample}"] if output.sample else []),
        f"mean T {output.t_mean:.2f}",
        f"mean H {output.h_mean:.2f} nats",
        f"{len(output.tokens)} tokens",
        f"ended by {output.finish_reason}",
    ]
    return {
        "strategy_id": output.strategy_id,
        "chips": chips,
        "tokens": [token_view(token, temperature) for token in output.tokens],
        "entropy_points": points([token.entropy for token in output.tokens], entropy),
        "temperature_points": points([token.temperature for token in output.tokens], temperature),
    }


def token_view(token: TracedToken, scale: Scale) -> dict[str, Any]:
    """A token as it stands in the text; the title serves readers without scripts."""
    shown = visible(token.token)
    return {
        "shown": shown,
        "breaks": shown.endswith(NEWLINE),
        "other": token.rank > 1,
        "color": scale.color(token.temperature),
        "ink": scale.ink(token.temperature),
        "title": f"H {token.entropy:.3f} nats, T {token.temperature:.3f}, rank {token.rank}, p {token.probability:.3g}",
    }


def token_data(token: TracedToken) -> dict[str, Any]:
    """What the script knows of a token."""
    content = asdict(token)
    alternatives = [{**entry, "token": visible(entry["token"])} for entry in content["alternatives"]]
    return {**content, "token": visible(token.token), "alternatives": alternatives}


def points(values: Sequence[float], scale: Scale) -> str:
    """A polyline over steps, the scale's high end at the top."""
    heights = [SPARK_HEIGHT * (0.96 - 0.92 * scale.place(value)) for value in values]
    return " ".join(f"{step + 0.5},{height:.2f}" for step, height in enumerate(heights))
