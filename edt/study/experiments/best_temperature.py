"""Say whether instances have best temperatures of their own: the variance of the interaction, and what can be used.

The evidence chooses nothing: the best of a few noisy scores of one instance is mostly noise. What can be used is a
choice from losses that are shrunk toward the common ones. Shapes: E instances, T temperatures, B resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edt.metrics.bleu import SacreBleu
from edt.ranges import check_whole
from edt.report.documents import csv_from_rows
from edt.report.figures import panels, save
from edt.report.numbers import interval_text
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.scoring.outputs import StrategyOutputs
from edt.statistics.arrays import Floats
from edt.statistics.bootstrap import Comparison, interval, resample_weights, two_sided_p
from edt.statistics.interaction import FEWEST_CLUSTERS, Interaction, ShrunkChoice, interaction_variance, shrunk_choice
from edt.statistics.verdicts import Evidence, join_reasons
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import difference_cell, p_cell
from edt.study.experiments.deciding import Decided, decided
from edt.study.results import Study, TaskStudy

ALL, NEAR = "all", "nearest to the best on dev"


@dataclass(frozen=True, kw_only=True)
class OwnTemperatures:
    """One task's instances.

    interactions: the variance over all temperatures, and over those nearest to the best one on dev. shrunk: the choice
    that can be used; difference: its EDA less that of the best single temperature, with the verdict.
    """

    temperatures: Floats
    near: Floats
    interactions: Mapping[str, Interaction]
    shrunk: ShrunkChoice
    difference: Decided


@dataclass(frozen=True, kw_only=True)
class BestTemperature(Experiment):
    """near: how many temperatures, those with the lowest EDA on dev, count as near the best one."""

    title = "The best fixed temperature of each instance"
    least_samples = 4
    """Two halves, one to choose on and one to score on, of at least two samples, which Self-BLEU needs."""

    near: int = 5

    def __post_init__(self) -> None:
        what = "the number of temperatures near the best one"
        check_whole("experiments.best_temperature.near", self.near, what, least=2, most=1000)

    def families(self) -> Sequence[str]:
        """Return the fixed temperatures alone."""
        return (BASELINE,)

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write histogram.png/.svg, interaction.csv and instances.csv (a row per instance)."""
        halves = {
            name: _halves(task, study)
            for name, task in study.tasks.items()
            if BASELINE in task.curves and task.clusters >= FEWEST_CLUSTERS
        }
        by_task = {
            name: own_temperatures(study, name, first, second, self.near) for name, (first, second) in halves.items()
        }
        table = _table(study, by_task)
        write_text(folder / "interaction.csv", csv_from_rows(_interaction_rows(by_task)))
        rows = [row for name, own in by_task.items() for row in _instance_rows(name, study.tasks[name], own)]
        write_text(folder / "instances.csv", csv_from_rows(rows))
        left_out = [name for name in study.tasks if name not in by_task]
        section = Section(
            name="best_temperature",
            title=self.title,
            warnings=[
                f"Not measured: {name} has no curve of fixed temperatures, or fewer than {FEWEST_CLUSTERS} clusters."
                for name in left_out
            ],
            tables=[table],
            figures=[_histograms(by_task, folder)] if by_task else [],
        )
        evidence = [
            interaction_evidence(study, name, by_task[name].interactions[ALL] if name in by_task else None)
            for name in study.tasks
        ]
        return ExperimentResult(section=section, evidence={"no_single_temperature_suits_all": evidence})


def own_temperatures(study: Study, name: str, first_ET: Floats, second_ET: Floats, near: int) -> OwnTemperatures:
    """Return what two halves of the samples say about a task's instances. The halves hold losses (EDA)."""
    task, spec = study.tasks[name], study.metrics.bootstrap
    (curve,) = task.curves[BASELINE]
    temperatures = np.array([float(strategy.params()[curve.axis]) for strategy in curve.strategies])
    clusters = _clusters(task, curve.strategy_ids)

    # By dev, so that the choice of temperatures has not seen the losses on test.
    on_dev = [task.value("dev", strategy_id, "eda") for strategy_id in curve.strategy_ids]
    nearest = np.sort(np.argsort(on_dev, kind="stable")[:near])
    interactions = {
        which: interaction_variance(
            first_ET[:, kept],
            second_ET[:, kept],
            clusters,
            resamples=spec.resamples,
            confidence=study.confidence,
            seed=spec.seed,
        )
        for which, kept in ((ALL, np.arange(len(temperatures))), (NEAR, nearest))
    }

    # All temperatures: the choice must be free to find one far from the common best.
    shrunk = shrunk_choice(first_ET, second_ET, clusters)
    # Less EDA is better, so a gain is a negative difference, as everywhere in the study.
    weights_BE = resample_weights(clusters, spec.resamples, spec.seed)
    differences_B = -(weights_BE @ shrunk.gain_E) / weights_BE.sum(axis=-1)
    lo, hi = interval(differences_B, study.confidence)
    comparison = Comparison(difference=float(-shrunk.gain_E.mean()), lo=lo, hi=hi, p_value=two_sided_p(differences_B))
    return OwnTemperatures(
        temperatures=temperatures,
        near=temperatures[nearest],
        interactions=interactions,
        shrunk=shrunk,
        difference=decided(study, name, "eda", comparison, differences_B),
    )


def interaction_evidence(study: Study, name: str, interaction: Interaction | None) -> Evidence:
    """Return evidence that instances differ in their best temperature: the variance of the interaction.

    It can be above 0, and not below: an estimate below 0 is noise, and no evidence against it.
    """
    nan = float("nan")
    lo, hi, variance = (
        (nan, nan, nan) if interaction is None else (interaction.lo, interaction.hi, interaction.variance)
    )
    below = "a variance is not below 0" if hi < 0.0 else ""
    missing = "missing" if interaction is None else ""
    why = join_reasons(missing, below, study.too_few(name))
    return Evidence(about=name, difference=variance, lo=lo, hi=hi, supports_if="above 0", usable=not why, why=why)


def _clusters(task: TaskStudy, strategy_ids: Sequence[str]) -> list[str]:
    """Return the cluster of each instance of test."""
    entry = task.entry("test", strategy_ids[0])
    assert entry is not None
    return [example.cluster_id for example in entry.outputs.examples]


def _halves(task: TaskStudy, study: Study) -> tuple[Floats, Floats]:
    """Return the losses at each fixed temperature on two halves of the samples, [E, T] each."""
    # The curve of fixed temperatures, all of which are decoded on test.
    (curve,) = task.curves[BASELINE]
    entries = [task.entry("test", name) for name in curve.strategy_ids]
    outputs = [entry.outputs for entry in entries if entry is not None]

    # With an odd number of samples one is left out: Self-BLEU grows with the samples, so both halves must have the same
    # number.
    half = study.request.sampling.samples // 2
    first, second = (
        np.stack([_instance_losses(task, entry, study, samples) for entry in outputs], axis=-1)
        for samples in (range(half), range(half, 2 * half))
    )
    return first, second


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


def _table(study: Study, by_task: Mapping[str, OwnTemperatures]) -> PageTable:
    """Return the variance of the interaction, and what the shrunk choice gains."""
    rows = []
    for name, own in by_task.items():
        singles = " and ".join(f"{own.temperatures[index]:g}" for index in sorted(set(own.shrunk.single_2.tolist())))
        for which, interaction in own.interactions.items():
            is_all = which == ALL
            kept = own.temperatures if is_all else own.near
            rows.append(
                [
                    name,
                    f"{which}: {', '.join(f'{value:g}' for value in kept)}",
                    interval_text(interaction.variance, interaction.lo, interaction.hi, digits=2),
                    p_cell(interaction.p_value),
                    f"{interaction.reliability:.2f}",
                    singles if is_all else "",
                    difference_cell(own.difference.comparison) if is_all else "",
                    own.difference.detectable_cell if is_all else "",
                    own.difference.verdict_cell if is_all else "",
                ]
            )
    return PageTable(
        title="Do instances differ in their best fixed temperature?",
        columns=[
            "task",
            "temperatures",
            "variance of the interaction, EDA²",
            "p",
            "reliability",
            "best single T",
            "ΔEDA of the shrunk choice (below 0 is better)",
            "detectable",
            "verdict on the choice",
        ],
        rows=rows,
        secondary=["detectable"],
        note=(
            "Losses of two halves of the samples, less the instance's and the temperature's mean: their covariance is "
            "the variance of what is an instance's own, without a choice; p is one-sided, of none. Reliability: the "
            "share of a half's variance that is not noise. Shrunk choice: each instance's losses are shrunk toward the "
            "common ones by their reliability on other instances, the lowest is chosen on one half and scored on the "
            "other, against the best single temperature chosen in the same way. A part of the variance may be scale: "
            f"worse instances have less to lose. On test; {100 * study.confidence:g} % intervals over clusters. EDA of "
            "a single instance and of half of the samples, with the constants of the study, so the best single "
            "temperature need not be the main table's."
        ),
    )


def _histograms(by_task: Mapping[str, OwnTemperatures], folder: Path) -> PageFigure:
    """Draw how often the shrunk choice takes each temperature, with the best single one."""
    with panels(len(by_task), height=2.6) as (figure, axes):
        for axis, (name, own) in zip(axes, by_task.items(), strict=True):
            at = np.arange(len(own.temperatures))
            counts = np.bincount(own.shrunk.chosen_2E.ravel(), minlength=len(at)) / 2
            axis.bar(at, counts, color="#56B4E9", label="shrunk choice, mean of both halves")
            for number, index in enumerate(sorted(set(own.shrunk.single_2.tolist()))):
                axis.axvline(index, color="#D55E00", lw=1.2, label="best single T" if number == 0 else None)
            axis.set_xticks(at, [f"{value:g}" for value in own.temperatures])
            axis.tick_params(labelsize=7)
            axis.set(title=name, xlabel="T", ylabel="instances")
            axis.legend(frameon=False, fontsize=7)
        caption = (
            "The temperature that each instance is given by its shrunk losses on one half of the samples. Where "
            "nothing is known of an instance it is the best single one."
        )
        return save(figure, folder, "histogram", title="Temperatures of the shrunk choice", caption=caption)


def _interaction_rows(by_task: Mapping[str, OwnTemperatures]) -> list[dict[str, object]]:
    """Return the variances and the gains in full digits."""
    return [
        {
            "task": name,
            "temperatures": which,
            "variance": interaction.variance,
            "lo": interaction.lo,
            "hi": interaction.hi,
            "p_value": interaction.p_value,
            "reliability": interaction.reliability,
            "shrunk_difference": own.difference.comparison.difference,
            "shrunk_lo": own.difference.comparison.lo,
            "shrunk_hi": own.difference.comparison.hi,
        }
        for name, own in by_task.items()
        for which, interaction in own.interactions.items()
    ]


def _instance_rows(name: str, task: TaskStudy, own: OwnTemperatures) -> list[dict[str, object]]:
    """Return each instance's chosen temperatures and gain."""
    entry = task.entry("test", task.curves[BASELINE][0].strategy_ids[0])
    assert entry is not None

    # Temperatures are more readable than indices.
    chosen_2E = own.temperatures[own.shrunk.chosen_2E]
    columns = (entry.outputs.examples, *chosen_2E.tolist(), own.shrunk.gain_E.tolist())
    return [
        {
            "task": name,
            "example_id": example.example_id,
            "chosen_on_first_half": first,
            "chosen_on_second_half": second,
            "gain": gain,
        }
        for example, first, second, gain in zip(*columns, strict=True)
    ]
