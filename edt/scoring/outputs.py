"""What strategies wrote, read back from disk; and what the grammar of a generated task would write itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edt.errors import StoreError
from edt.metrics.base import SampleSet
from edt.records import Example
from edt.store.parts import GENERATION_TYPES, TRACES, param_columns, parts_with, read_examples, read_generations
from edt.store.run import Run
from edt.tasks.answers import answer
from edt.tasks.mini.generated_task import has_grammar, ideal_texts

GRAMMAR_ID = "grammar"
"""Strategy id and family of the grammar's outputs in scores and tables; no strategy has it."""

_UNREAD = (*TRACES, "h_mean", "floored_steps", "prompt_tokens", "truncated_tokens")
"""Columns that scoring does not read."""


class End(NamedTuple):
    """How an output ended: its new tokens, and its finish reason."""

    tokens: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class StrategyOutputs:
    """What one strategy wrote for one split: `texts[e]`, `temperatures[e]` map a sample index to its answer and mean T.

    It may have gaps, since a run can be unfinished. A `SampleSet`, which is what metrics take, has none: it is cut out
    of this one with as many samples as every example has.
    """

    split: str
    strategy_id: str
    family: str
    granularity: str
    params: Mapping[str, float | str]
    examples: Sequence[Example]
    texts: Sequence[Mapping[int, str]]
    temperatures: Sequence[Mapping[int, float]]
    """Empty where nothing was decoded (the grammar's outputs)."""
    ends: Sequence[Mapping[int, End]] = ()
    """By sample index, as the texts; empty where nothing was decoded."""

    @property
    def complete_samples(self) -> int:
        """The largest K such that every example has samples 0 to K − 1."""
        # Counted up to the first gap: metrics need the same sample indices of every example.
        count = 0
        while all(count in texts for texts in self.texts):
            count += 1
        return count

    def sample_set(self, samples: int | Sequence[int], target_language: str) -> SampleSet:
        """Return the first `samples` samples of every example, or those of the given indices."""
        # A missing sample is a KeyError here, not a shorter row: `complete_samples` says how many there are.
        wanted = range(samples) if isinstance(samples, int) else samples
        texts = [[by_sample[k] for k in wanted] for by_sample in self.texts]
        return SampleSet(examples=self.examples, texts=texts, target_language=target_language)

    def mean_temperatures(self, n_samples: int) -> list[float]:
        """Return, per example, the mean over samples of the mean temperature over steps."""
        return [sum(by_sample[k] for k in range(n_samples)) / n_samples for by_sample in self.temperatures]


def read_outputs(
    run: Run, splits: Sequence[str] | None = None, strategy_ids: Collection[str] | None = None
) -> list[StrategyOutputs]:
    """Read what was generated in a run, in the order of the manifest's splits and passes.

    splits, strategy_ids: what to read; None stands for all. Parts that hold none of these strategies are not opened.
    """
    examples: dict[str, list[Example]] = {}
    for example in read_examples(run):
        examples.setdefault(example.split, []).append(example)

    wanted = list(run.manifest.splits) if splits is None else splits
    parts = None if strategy_ids is None else parts_with(run, wanted, strategy_ids)
    table = read_generations(run, without=_UNREAD, parts=parts)
    params = param_columns(table, GENERATION_TYPES)
    # Of the token ids, the largest column of a part, only the number.
    table = table.append_column("n_tokens", pc.list_value_length(table["token_ids"])).drop_columns(["token_ids"])

    # A part may hold more strategies than were requested, so each is looked at by name.
    order = list(dict.fromkeys(strategy for planned in run.manifest.passes for strategy, _ in planned.rows))
    outputs: list[StrategyOutputs] = []
    for split in wanted:
        rows = _rows_by_strategy(table.filter(pc.equal(table["split"], split)))
        present = [name for name in order if name in rows and (strategy_ids is None or name in strategy_ids)]
        outputs += [
            _group_by_example(split, name, rows[name], params, examples[split], run.manifest.answer_rule)
            for name in present
        ]
    return outputs


def grammar_outputs(outputs: Sequence[StrategyOutputs], n_samples: int) -> list[StrategyOutputs]:
    """Return, per split of a generated task, correct texts drawn independently of the references; [] for other tasks.

    Their scores are the ceiling of quality and the ideal point of diversity.
    """
    # Once per split, whose strategies all have the same examples.
    by_split = {entry.split: entry.examples for entry in outputs}
    return [
        StrategyOutputs(
            split=split,
            strategy_id=GRAMMAR_ID,
            family=GRAMMAR_ID,
            granularity="",
            params={},
            examples=examples,
            texts=[dict(enumerate(row)) for row in ideal_texts(examples, n_samples)],
            temperatures=[],
        )
        for split, examples in by_split.items()
        if has_grammar(examples)
    ]


def _rows_by_strategy(table: pa.Table) -> dict[str, pa.Table]:
    """Return the rows of each strategy, in their order in the table."""
    if not len(table):
        return {}

    # One sort and slices of it: filtering once per strategy reads the table as often as there are settings.
    encoded = pc.dictionary_encode(table["strategy_id"].combine_chunks())
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ordered = table.take(order)

    ends = np.searchsorted(codes[order], np.arange(len(encoded.dictionary)), side="right")
    starts = [0, *ends[:-1].tolist()]
    return {
        name: ordered.slice(start, end - start)
        for name, start, end in zip(encoded.dictionary.to_pylist(), starts, ends.tolist(), strict=True)
    }


def _group_by_example(
    split: str, strategy_id: str, rows: pa.Table, params: Sequence[str], examples: Sequence[Example], rule: str
) -> StrategyOutputs:
    """Group one strategy's rows by example, with the answer in each text.

    Raises StoreError for a row of an example that the run does not have.
    """
    texts: dict[str, dict[int, str]] = {example.example_id: {} for example in examples}
    temperatures: dict[str, dict[int, float]] = {example.example_id: {} for example in examples}
    ends: dict[str, dict[int, End]] = {example.example_id: {} for example in examples}
    names = ("example_id", "sample", "text", "t_mean", "n_tokens", "finish_reason")
    columns = (rows[name].to_pylist() for name in names)
    for example_id, sample, text, t_mean, n_tokens, reason in zip(*columns, strict=True):
        if example_id not in texts:
            raise StoreError(
                f"the generations hold example '{example_id}' of {split}, which is not in the run's examples.parquet; "
                "a file of the run was replaced. Run the same edt run or edt generate again."
            )
        # By sample index, not in order of rows: passes add samples in any order.
        texts[example_id][sample] = answer(text, rule)
        # Of tokens that another program drew, it may be unknown.
        if t_mean is not None:
            temperatures[example_id][sample] = t_mean
        ends[example_id][sample] = End(n_tokens, reason)

    # All rows of a strategy agree in these columns.
    first = rows.slice(0, 1).to_pylist()[0]
    return StrategyOutputs(
        split=split,
        strategy_id=strategy_id,
        family=first["family"],
        granularity=first["granularity"],
        # A null parameter is one of another strategy in the same table.
        params={name: first[name] for name in params if first[name] is not None},
        examples=examples,
        texts=list(texts.values()),
        temperatures=list(temperatures.values()),
        ends=list(ends.values()),
    )
