"""Generations read back as sample sets: per split and strategy, K complete samples of every example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from edt.errors import StoreError
from edt.metrics.base import SampleSet
from edt.records import Example
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest
from edt.store.parts import GENERATION_TYPES, param_columns, read_examples, read_generations


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
        texts = [[found[k] for k in range(n_samples)] for found in self.texts]
        return SampleSet(examples=self.examples, texts=texts, target_language=target_language)

    def mean_temperatures(self, n_samples: int) -> list[float]:
        """Per example, the mean over samples of the mean temperature over steps."""
        return [sum(found[k] for k in range(n_samples)) / n_samples for found in self.temperatures]


def read_outputs(run: RunFolder, manifest: Manifest) -> list[Outputs]:
    """Everything that was generated in a run, in the order of the manifest's splits and passes."""
    examples: dict[str, list[Example]] = {}
    for example in read_examples(run.examples):
        examples.setdefault(example.split, []).append(example)
    table = read_generations(run, manifest.generation_id, traces=False)
    params = param_columns(table, GENERATION_TYPES)
    columns = ["example_id", "sample", "text", "t_mean", "family", "granularity", *params]
    found = []
    order = list(dict.fromkeys(strategy for planned in manifest.passes for strategy, _ in planned.rows))
    for split in manifest.splits:
        of_split = table.filter(pc.equal(table["split"], split))
        for strategy_id in order:
            rows = of_split.filter(pc.equal(of_split["strategy_id"], strategy_id)).select(columns).to_pylist()
            if rows:
                found.append(outputs_of(split, strategy_id, rows, params, examples[split]))
    return found


def outputs_of(
    split: str, strategy_id: str, rows: Sequence[Mapping[str, Any]], params: Sequence[str], examples: Sequence[Example]
) -> Outputs:
    """Group one strategy's rows by example. Raises StoreError for a row of an example that the run does not have."""
    texts: dict[str, dict[int, str]] = {example.example_id: {} for example in examples}
    temperatures: dict[str, dict[int, float]] = {example.example_id: {} for example in examples}
    for row in rows:
        if row["example_id"] not in texts:
            raise StoreError(f"the generations hold example '{row['example_id']}', which is not in the run's subset.")
        texts[row["example_id"]][row["sample"]] = row["text"]
        temperatures[row["example_id"]][row["sample"]] = row["t_mean"]
    return Outputs(
        split=split,
        strategy_id=strategy_id,
        family=rows[0]["family"],
        granularity=rows[0]["granularity"],
        params={name: rows[0][name] for name in params if rows[0][name] is not None},
        examples=examples,
        texts=list(texts.values()),
        temperatures=list(temperatures.values()),
    )
