"""Warnings of outputs that say little about a strategy: empty ones, and those that the limit of tokens has cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from edt.metrics.empty import EmptyShare
from edt.metrics.length import CutShare
from edt.records import ScoreRow
from edt.store.parts import parts_with, read_generations
from edt.store.run import Run
from edt.tasks.answers import answer

EMPTY_SHARE = 10.0
"""Percent of empty outputs of a setting that are warned of; a few are ordinary at high temperatures."""
CUT_SHARE = 25.0
"""Percent of cut outputs of a setting that are warned of: beyond it, scores are about beginnings of texts."""


def output_warnings(
    scores: Sequence[ScoreRow], runs: Sequence[Run], names: Mapping[tuple[str, str], str] | None = None
) -> list[str]:
    """Return a line for each run and split whose worst setting has too many empty or cut outputs, with a remedy.

    names: what the line calls a generation id and split, where runs of one task are shown; else it is task and split.
    """
    by_id = {run.generation_id: run for run in runs}
    lines = []
    # From the scores, which are of what the table shows; the outputs are read only where there is something to explain.
    for metric, least, describe in ((EmptyShare, EMPTY_SHARE, _empty_line), (CutShare, CUT_SHARE, _cut_line)):
        for worst, others in _worst_settings(scores, metric.name, least):
            more = f" ({others} more setting{'s' if others > 1 else ''} above {least:g} %)" if others else ""
            name = (names or {}).get((worst.generation_id, worst.split), f"{worst.task}, {worst.split}")
            lines.append(f"{name}: {describe(worst, by_id[worst.generation_id])}{more}.")
    return lines


def _worst_settings(scores: Sequence[ScoreRow], metric: str, least: float) -> list[tuple[ScoreRow, int]]:
    """Return the score of the worst setting of each run and split, with the number of others above `least`."""
    groups: dict[tuple[str, str], list[ScoreRow]] = {}
    for score in scores:
        if score.metric == metric and score.value is not None and score.value >= least:
            groups.setdefault((score.generation_id, score.split), []).append(score)
    # One line each: a grid can have a hundred settings with the same trouble.
    return [(max(group, key=lambda score: score.value or 0.0), len(group) - 1) for group in groups.values()]


def _cut_line(score: ScoreRow, run: Run) -> str:
    limit = run.manifest.identity["limits"]["max_new_tokens"]
    return f"{_share(score)} ended by length (max_new_tokens {limit}): raise sampling.max_new_tokens"


def _empty_line(score: ScoreRow, run: Run) -> str:
    rows = read_generations(
        run,
        ["split", "strategy_id", "text", "finish_reason", "token_ids"],
        parts=parts_with(run, [score.split], [score.strategy_id]),
    )
    mine = pc.and_(pc.equal(rows["split"], score.split), pc.equal(rows["strategy_id"], score.strategy_id))
    return f"{_share(score)} are empty: {_cause(rows.filter(mine), run)}; {_remedy(run)}"


def _share(score: ScoreRow) -> str:
    n = score.n_examples * score.n_samples
    # All examples have the same number of samples, so the mean share is a count.
    count = round((score.value or 0.0) / 100 * n)
    return f"{count:,} of {n:,} outputs of {score.strategy_id}"


def _cause(rows: pa.Table, run: Run) -> str:
    """Return what most of the empty outputs ended by."""
    empty = [row for row in rows.to_pylist() if not answer(row["text"], run.manifest.answer_rule).strip()]
    # The scores may be of fewer samples than the run holds; the most common end is the same.
    reason, count = Counter(row["finish_reason"] for row in empty).most_common(1)[0]
    at_once = sum(len(row["token_ids"]) == 1 for row in empty if row["finish_reason"] == reason) > count / 2
    where = "at the first token" if at_once else "before any text"
    if reason == "stop":
        stops = " or ".join(repr(stop) for stop in run.manifest.identity["limits"]["stop"])
        return f"the stop {stops} ended them {where}"
    return f"the model ended them {where}" if reason == "eos" else "they are white space up to the limit of tokens"


def _remedy(run: Run) -> str:
    if run.manifest.has_chat_template and not run.manifest.identity["model"]["chat_template"]:
        return "this tokenizer has a chat template: try model.chat_template=true"
    # What else empties an output depends on the wording, which only a reader can judge.
    return "look at a prompt (edt data show), and at task.template and task.stop"
