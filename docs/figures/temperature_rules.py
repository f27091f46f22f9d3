"""Draw docs/images/temperature_rules.svg, the figure of the README: python docs/figures/temperature_rules.py."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edt.strategies import EDT, Dynatemp, Fixed, InvertedEDT, Strategy, Switch
from edt.strategies.base import Signals

VOCABULARY = 50_000
LARGEST_ENTROPY = 5.0
CURVES: list[tuple[str, str, Strategy]] = [
    ("fixed, T0 = 1", "#6b6b6b", Fixed(t0=1.0)),
    ("EDT, T0 = 1, θ = 0.1", "#f0a03c", EDT(t0=1.0, theta=0.1)),
    ("EDT, T0 = 1, θ = 0.5", "#d1495b", EDT(t0=1.0, theta=0.5)),
    ("EDT, T0 = 1, θ = 2", "#7a1f5c", EDT(t0=1.0, theta=2.0)),
    ("dynatemp, T 0 to 1, e = 1", "#2a6f97", Dynatemp(t_min=0.0, t_max=1.0)),
    ("switch, T 0.3 and 1, h = 1", "#4c956c", Switch(t_high=1.0, t_low=0.3, h=1.0)),
    ("inverted EDT, T0 = 1, θ = 2", "#8d80ad", InvertedEDT(t0=1.0, theta=2.0)),
]


def temperatures(strategy: Strategy, entropy_R: torch.Tensor) -> torch.Tensor:
    """Return the temperature at each entropy, by the strategy's own rule."""
    signals = Signals.build(entropy_R, vocabulary=VOCABULARY)
    params = {name: torch.full_like(entropy_R, value) for name, value in strategy.params().items() if value != "token"}
    return strategy.temperature(signals, params)


def main() -> None:
    """Write the figure; the same code gives the same bytes."""
    entropy_R = torch.linspace(1e-3, LARGEST_ENTROPY, 400, dtype=torch.float64)
    with mpl.rc_context({"svg.hashsalt": "edt", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}):
        figure = Figure(figsize=(6.6, 3.0), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        for label, color, strategy in CURVES:
            axis.plot(entropy_R, temperatures(strategy, entropy_R), label=label, color=color, linewidth=2)
        axis.set(
            xlabel="entropy of the next token, nats", ylabel="temperature", xlim=(0, LARGEST_ENTROPY), ylim=(0, 1.1)
        )
        axis.text(0.06, 1.03, "the model is sure", fontsize=8, color="#444444")
        axis.text(LARGEST_ENTROPY - 0.06, 1.03, "it is not", fontsize=8, color="#444444", ha="right")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
        folder = Path(__file__).parents[1] / "images"
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / "temperature_rules.svg", metadata={"Date": None})


if __name__ == "__main__":
    assert math.log(VOCABULARY) > LARGEST_ENTROPY
    main()
