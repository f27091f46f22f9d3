"""How rows are drawn: samples, seed, length and stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edt.errors import ConfigError

COUPLINGS = ("identity", "independent")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """samples: outputs per example and strategy. seed: of the noise. max_new_tokens: None leaves it to the task.

    coupling: "identity" gives all strategies the same noise (paired comparisons); "independent" adds the strategy to
    the noise key. An engine whose draws come from another generator gives neither; its runs say "engine" instead.
    trace: keep entropy and temperature of every token with each output.
    """

    samples: int = 4
    seed: int = 0
    max_new_tokens: int | None = None
    coupling: str = "identity"
    trace: bool = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigError(f"sampling.samples is {self.samples}; it is a number of outputs per prompt, 1 or more.")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ConfigError(
                f"sampling.max_new_tokens is {self.max_new_tokens}; it must be 1 or more, or null for the task's own."
            )
        if self.coupling not in COUPLINGS:
            raise ConfigError(f"sampling.coupling is '{self.coupling}'; it must be one of {', '.join(COUPLINGS)}.")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where a row ends, for one task: EOS (the model's), one of the `stop` strings, or so many new tokens."""

    max_new_tokens: int
    stop: tuple[str, ...]

    def identity(self) -> dict[str, Any]:
        """Plain JSON for the run's identity."""
        return {"max_new_tokens": self.max_new_tokens, "stop": list(self.stop)}
