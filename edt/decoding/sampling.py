"""How rows are drawn: samples, seed, length and stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edt.errors import ConfigError

NOISES = ("shared", "per_strategy")
EXTERNAL = "external"
"""The noise of an engine whose tokens another generator draws: recorded in its runs, never configured."""

STORED_ENGINES = {"batched": "torch", "hf_generate": "generate", "reference": "reference"}
"""How a run's identity spells an engine's name: as edt 0.1.0 did, so that its runs can be resumed."""
STORED_NOISE = {"shared": "identity", "per_strategy": "independent", EXTERNAL: "engine"}
"""How a run's identity spells the noise, under `coupling`: as edt 0.1.0 did, so that its runs can be resumed."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The options under `sampling`: how many outputs to draw, from which noise, and how long."""

    samples: int = 4
    """Outputs per example and strategy."""
    seed: int = 0
    """Seed of the noise."""
    max_new_tokens: int | None = None
    """Longest output in tokens; null leaves it to the task."""
    noise: str = "shared"
    """shared: all strategies use the same noise, for paired comparisons; per_strategy: each has its own. An engine
    whose draws come from another generator has neither; its runs record "external" instead.
    """
    trace: bool = False
    """Store entropy and temperature of every token; changes no output."""

    def __post_init__(self) -> None:
        # Checked here and not in the configuration's schema, so that a Python caller gets the same message.
        if self.samples < 1:
            raise ConfigError(f"sampling.samples is {self.samples}; it is a number of outputs per prompt, 1 or more.")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ConfigError(
                f"sampling.max_new_tokens is {self.max_new_tokens}; it must be 1 or more, or null for the task's own."
            )
        if self.noise not in NOISES:
            raise ConfigError(f"sampling.noise is '{self.noise}'; it must be one of {', '.join(NOISES)}.")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where the rows of one task end: at the model's EOS, at one of the `stop` strings, or after so many new tokens.

    stops_before_text: a stop string also ends a text that has no visible character yet, as in edt 0.1.0.
    """

    max_new_tokens: int
    stop: tuple[str, ...]
    stops_before_text: bool = False

    def identity(self) -> dict[str, Any]:
        """Return plain JSON for the run's identity."""
        plain = {"max_new_tokens": self.max_new_tokens, "stop": list(self.stop)}
        # Without stop strings both rules are the same, and so is the identity that edt 0.1.0 wrote.
        return plain if self.stops_before_text or not self.stop else {**plain, "stop_rule": "after_text"}
