"""A strategy of one's own: cold where the model is sure, hot where it is not, with a step between the two."""

# %% A strategy is a frozen dataclass with its parameters, a check of their ranges, and one rule over a batch of rows.
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

import edt


@dataclass(frozen=True, kw_only=True)
class TwoTemperatures(edt.Strategy):
    """T = cold where the entropy is below `threshold` nats, and hot elsewhere."""

    family: ClassVar[str] = "two_temperatures"
    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})  # the signals that the rule reads

    cold: float
    hot: float
    threshold: float = 1.0

    def check(self) -> None:
        """Raise ConfigError unless 0 <= cold <= hot, and threshold >= 0."""
        self.require(0 <= self.cold <= self.hot, "cold", "a temperature from 0 to hot")
        self.require(self.threshold >= 0, "threshold", "an entropy in nats, 0 or more")

    @staticmethod
    def temperature(signals: edt.Signals, params: Mapping[str, Tensor]) -> Tensor:
        """Return a temperature per row; every parameter is a tensor with a value per row, too."""
        return torch.where(signals.entropy_R < params["threshold"], params["cold"], params["hot"])


# %% It is decoded in one batch with the built-in ones. Truncation (top_p, min_p, …) is a parameter of every strategy.
model = edt.load_model("edt:mini")
prompt = (
    "Article: Helix Systems has a new chief executive. Paula Norman, 39, starts on Saturday. "
    "Nora Janford left the post before. The company has 159 staff.\nSummary:"
)
grid = edt.grid(TwoTemperatures, {"cold": 0.2, "hot": [0.8, 1.2]})
strategies = [edt.EDT(t0=1, theta=0.5), *grid, TwoTemperatures(cold=0.2, hot=1.2, top_p=0.9)]
samples = edt.decode(model, prompt, strategies, samples=4, max_new_tokens=48, stop=["\n"])
print(samples.groupby("strategy", sort=False)[["t_mean", "t_min", "t_max"]].mean())

# %% More samples at the same quality, or better samples? Without references there is diversity alone.
print(edt.score(samples, quality=None).query("metric == 'self_bleu'")[["strategy", "value"]].to_string(index=False))
