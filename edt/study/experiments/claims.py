"""Write the scorecard: what the paper says, our figures, and a verdict computed from their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.metrics.suite import presentation
from edt.report.documents import csv_from_rows
from edt.report.page import PageTable, Section
from edt.statistics.verdicts import VERDICTS, Evidence, verdict_over_all
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, p_cell
from edt.study.experiments.primary import evidence_name, to_evidence
from edt.study.results import Study

_NOT_MEASURED = "not measured"
_OVERALL = "overall"
"""The row of a claim whose verdict is over all of its evidence."""


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A sentence of the paper, the name of its evidence, the experiment that measures it, and what the figure is."""

    text: str
    evidence: str
    experiment: str
    figure: str


_MEASURES = {
    "distinct_correct": "on distinct correct outputs",
    "best_of": "on the best of K outputs",
    "eda": "on EDA, the paper's figure",
}
"""What "better" is measured by, with the words for it: the deciding figures first."""
_BASELINES = {"fixed": "fixed temperature", "kld": "KL-guided temperature"}


CLAIMS = (
    *(
        _Claim(
            text=f"EDT beats {words} in every task {by}",
            evidence=evidence_name("edt", baseline, metric),
            experiment="main_table",
            figure=f"{presentation(metric).label}, EDT − {baseline}",
        )
        for baseline, words in _BASELINES.items()
        for metric, by in _MEASURES.items()
    ),
    _Claim(
        text="EDT costs almost nothing (at most 5 % more time per token than decoding without entropy)",
        evidence="edt_costs_nothing",
        experiment="efficiency",
        figure="time per token, EDT ÷ decoding without entropy − 1.05",
    ),
    _Claim(
        text="EDT needs about half the memory of two parallel models (40 to 60 % of it)",
        evidence="half_the_memory",
        experiment="efficiency",
        figure="|memory of EDT ÷ KLD dual − 0.5| − 0.1",
    ),
    _Claim(
        text="At equal diversity EDT's outputs are better than those of a fixed temperature in every task",
        evidence="better_at_equal_diversity",
        experiment="matched_diversity",
        figure="quality at equal Self-BLEU, EDT (best θ on dev) − fixed",
    ),
    *(
        _Claim(
            text=f"Token level beats instance level in every task {by}",
            evidence=f"token_beats_instance_by_{metric}",
            experiment="granularity",
            figure=f"{presentation(metric).label}, EDT token − EDT instance",
        )
        for metric, by in _MEASURES.items()
    ),
    _Claim(
        text="No single fixed temperature suits all instances",
        evidence="no_single_temperature_suits_all",
        experiment="best_temperature",
        figure="EDA², variance of the interaction of instance and temperature",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Claims(Experiment):
    """Summarizes the evidence of the other experiments; measures nothing itself."""

    title = "What the paper says, and what was measured"
    reads_others = True

    def families(self) -> Sequence[str]:
        """Return no family; it measures nothing itself."""
        return ()

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write claims.csv."""
        by_claim = {name: [*entries] for result in earlier.values() for name, entries in result.evidence.items()}
        # A claim about every task is not supported by the tasks that are left; a missing one counts as undetermined.
        for entries in by_claim.values():
            if any(entry.about in study.tasks for entry in entries):
                entries += [to_evidence(task, None, why_not=f"left out: {why}") for task, why in study.left_out.items()]
        table = _scorecard(by_claim)
        write_text(folder / "claims.csv", csv_from_rows(_evidence_rows(by_claim)))
        section = Section(name="claims", title=self.title, text=_summary(by_claim), tables=[table])
        return ExperimentResult(section=section, evidence={})


def _summary(by_claim: Mapping[str, Sequence[Evidence]]) -> list[str]:
    """Return how many claims have each verdict, and which they are."""
    # In this order, so that what is supported is read first; verdicts without a claim have no line.
    by_verdict: dict[str, list[str]] = {verdict: [] for verdict in (*VERDICTS, _NOT_MEASURED)}
    for number, claim in enumerate(CLAIMS, start=1):
        entries = by_claim.get(claim.evidence)
        verdict = _NOT_MEASURED if entries is None else verdict_over_all(entries)
        by_verdict[verdict].append(f"{claim.text} ({number})")
    return [
        f"{verdict.capitalize()}: {len(claims)} of {len(CLAIMS)}. {'; '.join(claims)}."
        for verdict, claims in by_verdict.items()
        if claims
    ]


def _scorecard(by_claim: Mapping[str, Sequence[Evidence]]) -> PageTable:
    """Return a row per claim with its verdict, and one per piece of evidence."""
    rows = []
    for number, claim in enumerate(CLAIMS, start=1):
        # A claim whose experiment did not run is not measured, which differs from undetermined.
        entries = by_claim.get(claim.evidence)
        verdict = _NOT_MEASURED if entries is None else verdict_over_all(entries)

        # The claim is on each of its rows, so that sorting by another column does not separate them from it.
        text = f"{number}. {claim.text}"
        rows.append([text, _OVERALL, verdict, "", "", claim.figure, claim.experiment])
        rows += [
            [
                text,
                entry.about,
                entry.verdict,
                _difference_text(entry),
                _why(entry),
                claim.figure,
                claim.experiment,
            ]
            for entry in entries or ()
        ]
    return PageTable(
        title="Scorecard",
        columns=["the paper says", "on", "verdict", "difference", "why", "figure", "experiment"],
        rows=rows,
        secondary=["figure", "experiment"],
        filters=["on", "verdict"],
        note=(
            "“EDT beats” means a gain that is shown, with a margin that was declared beforehand: it is supported on a "
            "task by a gain, and contradicted by a loss or where a gain of the margin or more is excluded; the setting "
            "is the best on dev of EDT's and the baseline's together where EDT contains the baseline. Over tasks a "
            "claim is supported only if it is on every one, for which no correction is needed, and contradicted if it "
            "is on any one, after Holm's correction over all primary comparisons. So the verdict on a single task, and "
            "a gain under “why”, is that of the interval alone, without a correction: the table of primary "
            "comparisons, whose p is Holm's, may say “cannot tell” of the same task, and is the one to cite. At equal "
            "diversity, and between levels, the same holds, with the correction over the tasks. Cost, memory and the "
            "single temperature go by the sign of their interval, uncorrected. Verdicts are about this model (time and "
            "memory: the one named in their rows), these tasks and this size; memory's bounds are the range of its "
            "repeats."
        ),
    )


def _why(entry: Evidence) -> str:
    """Return why there is no verdict, or what the margin says."""
    return entry.reason or (MISSING if entry.decision is None else entry.decision.text)


def _difference_text(entry: Evidence) -> str:
    """Return the difference with its interval, and p where it was corrected."""
    if math.isnan(entry.difference):
        return MISSING

    # Only primary comparisons were corrected; a p of the others would look as if it were.
    corrected = "" if entry.p_adjusted is None else f", p (Holm) {p_cell(entry.p_adjusted)}"
    difference, lo, hi = (_three_digits(number) for number in (entry.difference, entry.lo, entry.hi))
    return f"{difference} [{lo}, {hi}]{corrected}"


def _three_digits(number: float) -> str:
    """Return a number with its sign and three significant digits, also where the last ones are 0."""
    # The alternate form keeps zeros, so that +3.98 and +4.60 are equally precise; it also keeps a lone point.
    return f"{number:+#.3g}".removesuffix(".")


def _evidence_rows(by_claim: Mapping[str, Sequence[Evidence]]) -> list[dict[str, object]]:
    """Return every piece of evidence in full digits."""
    return [
        {
            "claim": claim.text,
            "about": entry.about,
            "difference": entry.difference,
            "lo": entry.lo,
            "hi": entry.hi,
            "p_adjusted": entry.p_adjusted,
            "supports_if": entry.supports_if,
            "verdict": entry.verdict,
            "no_verdict_because": entry.reason,
            "margin": None if entry.decision is None else entry.decision.text,
        }
        for claim in CLAIMS
        for entry in by_claim.get(claim.evidence, ())
    ]
