"""Find the best fixed temperature of each instance: the cross-fitted gain, and the naive one with its null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edt.metrics.bleu import SacreBleu
from edt.ranges import check_whole
from edt.report.documents import csv_from_rows, write_tables
from edt.report.figures import panels, save
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.outputs import StrategyOutputs
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import Comparison, interval, resample_weights, two_sided_p
from edt.statistics.crossfit import CrossFit, NaiveNull, crossfit, naive_null
from edt.statistics.verdicts import Evidence, join_reasons
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import difference_cell, p_cell
from edt.study.experiments.primary import no_verdict_reason, to_evidence
from edt.study.results import Study, TaskStudy

_NOT_SHOWN = "a loss shows that half of the samples are too few to find the best temperature, not that there is none"


@dataclass(frozen=True, kw_only=True)
class _InstanceGains:
    """One task's gains in EDA per instance."""

    temperatures: Sequence[float]
    fit: CrossFit
    gain: Comparison
    null: NaiveNull


@dataclass(frozen=True, kw_only=True)
class BestTemperature(Experiment):
    """Gains over the best single fixed temperature. permutations: of the null of the naive choice."""

    title = "The best fixed temperature of each instance"
    least_samples = 4
    """Two halves, one to choose on and one to score on, of at least two samples, which Self-BLEU needs."""

    permutations: int = 999

    def __post_init__(self) -> None:
        what = "the number of permutations of the test"
        check_whole("experiments.best_temperature.permutations", self.permutations, what, most=100_000)

    def families(self) -> Sequence[str]:
        """Return the fixed temperatures alone."""
        return (BASELINE,)

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write histogram.png/.svg, table.md/.tex and instances.csv."""
        by_task = {name: self._task_gains(task, study) for name, task in study.tasks.items()}
        table = _gains_table(by_task, study)
        write_tables(folder, "table", [table])
        rows = [row for name, gains in by_task.items() for row in _instance_rows(name, study.tasks[name], gains)]
        write_text(folder / "instances.csv", csv_from_rows(rows))
        section = Section(
            name="best_temperature", title=self.title, tables=[table], figures=[_histograms(by_task, folder)]
        )
        evidence = [own_temperatures(study, name, gains.gain) for name, gains in by_task.items()]
        return ExperimentResult(section=section, evidence={"no_single_temperature_suits_all": evidence})

    def _task_gains(self, task: TaskStudy, study: Study) -> _InstanceGains:
        """Choose on one half of the samples and score on the other, in both directions."""
        n_samples = study.request.sampling.samples

        # The curve of fixed temperatures, all of which are decoded on test; the choice among them is cross-fitted.
        (curve,) = task.curves[BASELINE]
        entries = [task.entry("test", name) for name in curve.strategy_ids]
        outputs = [entry.outputs for entry in entries if entry is not None]
        temperatures = [float(strategy.params()["t0"]) for strategy in curve.strategies]

        # With an odd number of samples one is left out: Self-BLEU grows with the samples, so both halves must have
        # the same number.
        half = n_samples // 2
        first, second = (
            np.stack([_instance_losses(task, entry, study, samples) for entry in outputs], axis=-1)
            for samples in (range(half), range(half, 2 * half))
        )
        fit = crossfit(first, second)

        # resampled by cluster, as everywhere in the study
        clusters = [example.cluster_id for example in outputs[0].examples]
        spec = study.metrics.bootstrap

        # The same resamples as those of the scores, by the same seed.
        weights = resample_weights(clusters, spec.resamples, spec.seed)
        gains_B = (weights @ fit.gain_E) / weights.sum(axis=-1)
        # a resample of one cluster is that cluster again
        if len(set(clusters)) < 2:
            gains_B = np.full_like(gains_B, np.nan)
        lo, hi = interval(gains_B, study.confidence)
        gain = Comparison(difference=float(fit.gain_E.mean()), lo=lo, hi=hi, p_value=two_sided_p(gains_B))

        # The naive gain is reported next to its null, so that nobody takes it for evidence.
        null = naive_null(first, second, permutations=self.permutations, seed=spec.seed)
        return _InstanceGains(temperatures=temperatures, fit=fit, gain=gain, null=null)


def own_temperatures(study: Study, name: str, gain: Comparison) -> Evidence:
    """Return evidence that choosing a temperature per instance helps: the cross-fitted gain over the best single one.

    A loss is no evidence against it: half of the samples may be too few to choose by.
    """
    why_not = join_reasons(_NOT_SHOWN if gain.hi < 0.0 else "", no_verdict_reason(study, name))
    return to_evidence(name, gain, supports_if="above 0", why_not=why_not)


def _instance_losses(task: TaskStudy, outputs: StrategyOutputs, study: Study, samples: range) -> Floats:
    """Return the EDA of each instance from these samples alone, [E]; of BLEU, quality is sentence BLEU."""
    language = task.scored.run.manifest.target_language
    chosen = outputs.sample_set(samples, language)
    spec = study.metrics
    metric = spec.metrics(task.quality, ())[0]
    statistics = metric.statistics(chosen)
    similarity = spec.self_bleu.statistics(chosen)
    assert statistics is not None
    assert similarity is not None
    assert task.constants is not None
    # corpus BLEU is not defined for one instance
    if isinstance(metric, SacreBleu):
        quality_E = metric.sentence_scores(statistics).mean(axis=-1)
    else:
        quality_E = metric.aggregate(statistics)
    return task.constants.score(quality_E, spec.self_bleu.aggregate(similarity))


def _gains_table(by_task: Mapping[str, _InstanceGains], study: Study) -> PageTable:
    """Return the gains over the best single temperature."""
    rows = []
    for name, entry in by_task.items():
        singles = " and ".join(f"{entry.temperatures[index]:g}" for index in sorted(set(entry.fit.single_2.tolist())))
        gain, null = entry.gain, entry.null
        rows.append(
            [
                name,
                singles,
                difference_cell(gain),
                p_cell(gain.p_value),
                f"{null.gain:+.2f}",
                f"{null.null_gain_R.mean():+.2f}",
                p_cell(null.p_value),
            ]
        )
    return PageTable(
        title="Gain in EDA of each instance's own temperature over the best single one",
        columns=[
            "task",
            "best single T",
            "cross-fitted gain (above 0 is better)",
            "p",
            "naive gain",
            "naive gain under the null",
            "p of the null",
        ],
        rows=rows,
        note=(
            "Cross-fitted: chosen on one half of the samples and scored on the other, in both directions, on test; "
            f"{100 * study.confidence:g} % interval over clusters. Naive: chosen and scored on the same samples. The "
            "null keeps each instance's noise and gives none its own best temperature. EDA of a single instance, with "
            "the constants of the study; of half of the samples, so the best single temperature need not be the main "
            "table's. A loss says that half of the samples are too few to find an instance's temperature. The null's "
            "p is for reading the naive gain, not for a verdict: it is a little too small, since its noise is added "
            "to means that contain some."
        ),
    )


def _histograms(by_task: Mapping[str, _InstanceGains], folder: Path) -> PageFigure:
    """Draw the number of instances per naive best temperature, with the mean under the null."""
    with panels(len(by_task), height=2.6) as (figure, axes):
        for axis, (name, entry) in zip(axes, by_task.items(), strict=True):
            at = np.arange(len(entry.temperatures))
            axis.bar(at, entry.null.histogram_T, color="#56B4E9", label="naive choice")
            axis.step(at, entry.null.null_T, where="mid", color="#D55E00", label="mean under the null")

            # Every third label: 24 of them would overlap.
            axis.set_xticks(at[::3], [f"{entry.temperatures[index]:g}" for index in at[::3]])
            axis.set(title=name, xlabel="T", ylabel="instances")
            axis.legend(frameon=False, fontsize=7)
        caption = (
            "How often each temperature is the best of an instance by EDA on its own samples. Where bars and line "
            "agree, the histogram shows noise."
        )
        return save(figure, folder, "histogram", title="Naive best temperatures", caption=caption)


def _instance_rows(name: str, task: TaskStudy, gains: _InstanceGains) -> list[dict[str, object]]:
    """Return each instance's chosen temperatures and gain."""
    entry = task.entry("test", task.choices[BASELINE].strategy_id)
    assert entry is not None
    outputs = entry.outputs

    # Temperatures are more readable than indices, and independent of the order of the family.
    chosen_2E = np.array(gains.temperatures)[gains.fit.chosen_2E]
    return [
        {
            "task": name,
            "example_id": example.example_id,
            "chosen_on_first_half": float(first),
            "chosen_on_second_half": float(second),
            "cross_fitted_gain": float(gain),
            "gain_on_the_half_chosen_on": float(naive),
        }
        for example, first, second, gain, naive in zip(
            outputs.examples, *chosen_2E, gains.fit.gain_E, gains.fit.naive_E, strict=True
        )
    ]
