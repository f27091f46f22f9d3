"""Generations read back as sample sets: per split and strategy, K complete samples of every example."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edt.errors import StoreError
from edt.metrics.base import SampleSet
from edt.records import Example
from edt.store.parts import GENERATION_TYPES, TRACES, param_columns, parts_with, read_examples, read_generations
from edt.store.run import Run

UNREAD = (*TRACES, "token_ids", "finish_reason", "h_mean", "floored_steps", "prompt_tokens", "truncated_tokens")
"""Columns that scoring does not read."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """One strategy on one split. `texts[e]` and `temperatures[e]` map a sample index to its output and mean T."""

    split: str
    strategy_id: str
    family: str
    granularity: str
    params: Mapping[str, float | str]
    examples: Sequence[Example]
    texts: Sequence[Mapping[int, str]]
    temperatures: Sequence[Mapping[int, float]]

    @property
    def complete_samples(self) -> int:
        """The largest K such that samples 0 to K − 1 of every example are there."""
        count = 0
        while all(count in texts for texts in self.texts):
            count += 1
        return count

    def sample_set(self, n_samples: int, target_language: str) -> SampleSet:
        """The first `n_samples` samples of every example."""
        return self.sample_set_of(range(n_samples), target_language)

    def sample_set_of(self, samples: Sequence[int], target_language: str) -> SampleSet:
        """Some samples of every example, by index."""
        texts = [[found[k] for k in samples] for found in self.texts]
        return SampleSet(examples=self.examples, texts=texts, target_language=target_language)

    def mean_temperatures(self, n_samples: int) -> list[float]:
        """Per example, the mean over samples of the mean temperature over steps."""
        return [sum(found[k] for k in range(n_samples)) / n_samples for found in self.temperatures]


def read_outputs(
    run: Run, splits: Sequence[str] | None = None, strategy_ids: Collection[str] | None = None
) -> list[Outputs]:
    """What was generated in a run, in the order of the manifest's splits and passes: by all strategies in all splits,
    or by some in some.
    """
    examples: dict[str, list[Example]] = {}
    for example in read_examples(run):
        examples.setdefault(example.split, []).append(example)
    wanted = list(run.manifest.splits) if splits is None else splits
    parts = None if strategy_ids is None else parts_with(run, wanted, strategy_ids)
    table = read_generations(run, without=UNREAD, parts=parts)
    params = param_columns(table, GENERATION_TYPES)
    order = list(dict.fromkeys(strategy for planned in run.manifest.passes for strategy, _ in planned.rows))
    found: list[Outputs] = []
    for split in wanted:
        rows = tables_by_strategy(table.filter(pc.equal(table["split"], split)))
        present = [name for name in order if name in rows and (strategy_ids is None or name in strategy_ids)]
        found += [outputs_of(split, name, rows[name], params, examples[split]) for name in present]
    return found


def tables_by_strategy(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each strategy, in their order in the table."""
    if not len(table):
        return {}
    encoded = pc.dictionary_encode(table["strategy_id"].combine_chunks())
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(encoded.dictionary)), side="right")
    ordered = table.take(order)
    starts = [0, *ends[:-1].tolist()]
    return {
        name: ordered.slice(start, end - start)
        for name, start, end in zip(encoded.dictionary.to_pylist(), starts, ends.tolist(), strict=True)
    }


def outputs_of(
    split: str, strategy_id: str, rows: pa.Table, params: Sequence[str], examples: Sequence[Example]
) -> Outputs:
    """Group one strategy's rows by example. Raises StoreError for a row of an example that the run does not have."""
    texts: dict[str, dict[int, str]] = {example.example_id: {} for example in examples}
    temperatures: dict[str, dict[int, float]] = {example.example_id: {} for example in examples}
    columns = (rows[name].to_pylist() for name in ("example_id", "sample", "text", "t_mean"))
    for example_id, sample, text, t_mean in zip(*columns, strict=True):
        if example_id not in texts:
            raise StoreError(f"the generations hold example '{example_id}', which is not in the run's subset.")
        texts[example_id][sample] = text
        temperatures[example_id][sample] = t_mean
    first = rows.slice(0, 1).to_pylist()[0]
    return Outputs(
        split=split,
        strategy_id=strategy_id,
        family=first["family"],
        granularity=first["granularity"],
        params={name: first[name] for name in params if first[name] is not None},
        examples=examples,
        texts=list(texts.values()),
        temperatures=list(temperatures.values()),
    )
