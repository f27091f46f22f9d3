"""A table of strategies: many points, of any families, applied to a batch of rows at once.

Shapes: N strategies in the table, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from edt.strategies.base import Signals, Strategy
from edt.strategies.truncation import Truncation

_WHOLE_VECTORS = 64
"""Rows that a processor's vector instructions handle without a rest, whatever their width."""


@dataclass(frozen=True, kw_only=True)
class StrategyTable:
    """The parameters of N strategies as tensors, so that a row is an index into them.

    What a rule or a truncation computes with is on the model's device; which strategies something concerns is on the
    CPU, where it decides what is computed.
    """

    strategies: tuple[Strategy, ...]
    families: tuple[type[Strategy], ...]
    device: torch.device
    family_N: Tensor
    params: tuple[dict[str, Tensor], ...]
    """For each family, each of its numeric parameters for all N strategies (NaN for those of other families)."""
    truncation_N: Truncation
    truncation_on_cpu_N: Truncation
    truncates_first_N: Tensor
    """Strategies with order=truncate_first, [N] bool."""
    reads_kept_N: Tensor
    """Strategies whose rule reads the entropy of the kept tokens, [N] bool."""
    per_instance_N: Tensor
    """Strategies whose temperature is computed once per instance, [N] bool."""

    @classmethod
    def build(cls, strategies: Sequence[Strategy], *, dtype: torch.dtype, device: torch.device) -> StrategyTable:
        """Build the table; `dtype` is that of the signals."""
        families = tuple(dict.fromkeys(type(strategy) for strategy in strategies))

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=dtype)

        def values_of(family: type[Strategy], name: str) -> list[float]:
            # NaN for other families: a row that was given to the wrong rule must not get a plausible temperature.
            return [float(s.params()[name]) if type(s) is family else float("nan") for s in strategies]

        params = tuple(
            {name: column(values_of(family, name)).to(device) for name in _numeric_params(strategies, family)}
            for family in families
        )

        truncation_on_cpu_N = Truncation.of(strategies, dtype)
        return cls(
            strategies=tuple(strategies),
            families=families,
            device=device,
            family_N=torch.tensor([families.index(type(s)) for s in strategies]),
            params=params,
            truncation_N=truncation_on_cpu_N.to(device),
            truncation_on_cpu_N=truncation_on_cpu_N,
            truncates_first_N=torch.tensor([s.order == "truncate_first" for s in strategies]),
            reads_kept_N=torch.tensor([s.entropy_of == "kept" for s in strategies]),
            per_instance_N=torch.tensor([s.granularity == "instance" for s in strategies]),
        )

    def family_rows(self, strategy_R: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the rows of each family, plain and filled up to whole vectors; strategy_R is on the CPU."""
        family_R = self.family_N[strategy_R]
        each = []
        for index in range(len(self.families)):
            rows = (family_R == index).nonzero().squeeze(-1)
            # Filled up with copies of the first row: torch computes the last few elements of an array by other code,
            # whose powers differ in the last bit, and a row's temperature must not see its neighbors.
            padded = torch.cat([rows, rows[:1].expand(-len(rows) % _WHOLE_VECTORS)])
            each.append((rows.to(self.device, non_blocking=True), padded.to(self.device, non_blocking=True)))
        return each

    def temperature(
        self, strategy_R: Tensor, signals: Signals, family_rows: Sequence[tuple[Tensor, Tensor]] | None = None
    ) -> Tensor:
        """Return the temperature per row; strategy_R holds each row's index into the table, on the CPU or the device.

        family_rows: what `family_rows` returns, where a caller has it for many steps.
        """
        # Left uninitialized: each row is of exactly one family, so the loop fills every row.
        temperature_R = torch.empty_like(signals.entropy_R)
        each = self.family_rows(strategy_R.cpu()) if family_rows is None else family_rows
        # A tensor on the CPU takes no indices from a GPU.
        strategy_R = strategy_R.to(self.device, non_blocking=True)
        # One call per family, not per strategy: a grid of 100 settings costs as much as one.
        for family, columns, (rows, padded) in zip(self.families, self.params, each, strict=True):
            params = {name: column_N[strategy_R[padded]] for name, column_N in columns.items()}
            temperature_R[rows] = family.temperature(signals.select(padded), params)[: len(rows)]
        return temperature_R

    @cached_property
    def truncates(self) -> bool:
        """Whether any strategy of the table drops tokens."""
        # Kept: each step of the decode loop asks.
        return any(strategy.truncates for strategy in self.strategies)

    @cached_property
    def signals(self) -> frozenset[str]:
        """The signals that any strategy of the table reads."""
        return frozenset().union(*(strategy.needs for strategy in self.strategies))

    def needs(self, signal: str) -> Tensor:
        """Return which strategies read `signal`, [N] bool."""
        return torch.tensor([signal in s.needs for s in self.strategies])


def _numeric_params(strategies: Sequence[Strategy], family: type[Strategy]) -> list[str]:
    """Return the names of the family's parameters that are numbers in every one of its points."""
    points = [strategy.params() for strategy in strategies if type(strategy) is family]
    # Truncation that only some points set drops out here: rules do not read it, and `truncation_N` has it for all.
    return [name for name, value in points[0].items() if not isinstance(value, str) and all(name in p for p in points)]
