"""What the grammar of a generated task itself would answer: the ceiling of quality and the ideal point."""

from __future__ import annotations

from collections.abc import Sequence

from edt.scoring.outputs import Outputs
from edt.tasks.mini.generated_task import has_grammar, ideal_texts

FAMILY = "grammar"
"""The family of the ideal in scores and tables; no strategy has it."""


def ideal_outputs(outputs: Sequence[Outputs], n_samples: int) -> list[Outputs]:
    """For each split of a generated task, correct outputs drawn independently of the references; they have no
    temperature. Nothing for other tasks.
    """
    found = []
    for split, examples in {entry.split: entry.examples for entry in outputs}.items():
        if has_grammar(examples):
            texts = [dict(enumerate(row)) for row in ideal_texts(examples, n_samples)]
            found.append(
                Outputs(
                    split=split,
                    strategy_id=FAMILY,
                    family=FAMILY,
                    granularity="",
                    params={},
                    examples=examples,
                    texts=texts,
                    temperatures=[],
                )
            )
    return found
