"""The base of the engines that decode with a model loaded here, batch by batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from edt.decoding.batching import chunk_tokens, default_budget, default_rows, translate_memory_errors
from edt.decoding.engine import Engine, PlanLimits
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.row_batch import RowBatch
from edt.decoding.row_records import row_records
from edt.ids import digest
from edt.models.language_model import LanguageModel
from edt.models.second_model import SecondModels
from edt.records import Generation
from edt.strategies.base import Strategy

if TYPE_CHECKING:
    from edt.decoding.engine_specs import ModelEngineSpec


@dataclass(frozen=True, kw_only=True)
class ModelEngine(Engine):
    """An engine over a model whose weights this process holds."""

    model: LanguageModel
    spec: ModelEngineSpec

    @abstractmethod
    def decode(self, request: DecodeRequest) -> Iterator[tuple[Sequence[Pair], RowBatch]]:
        """Decode the rows of every prompt, batch by batch: which (prompt, row) a batch held, and what they produced."""

    @cached_property
    def budget(self) -> int:
        """Bytes for a batch: as configured, or from the memory, which is read once."""
        # Read once: a budget that follows the free memory would change the plan between two chunks.
        return default_budget(self.model.device) if self.spec.kv_budget is None else self.spec.kv_budget

    @cached_property
    def second_models(self) -> SecondModels:
        """The other models of KL-guided temperature in dual mode."""
        return SecondModels(self.model)

    def second_weights(self, strategies: Sequence[Strategy]) -> str:
        """See Engine."""
        second = self.second_models.for_strategies(strategies)
        return "" if second is None else digest(second.identity)

    def plan_limits(self) -> PlanLimits:
        """See Engine."""
        device, max_rows = self.model.device, self.spec.max_rows
        return PlanLimits(
            budget=self.budget,
            max_rows=default_rows(device) if max_rows is None else max_rows,
            max_tokens=chunk_tokens(self.model.parameters, device),
        )

    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """See Engine; generations come batch by batch.

        Raises ModelError with the example's id when the model gives logits that are not finite, and
        MemoryExceededError when a batch does not fit into memory.
        """
        self.check_strategies(request.strategies)
        # Around the whole iteration: batches are decoded while the caller reads, and memory may run out in any of them.
        with translate_memory_errors():
            for pairs, rows in self.decode(request):
                yield from row_records(self.model, request, pairs, rows)
