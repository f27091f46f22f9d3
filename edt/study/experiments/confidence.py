"""Show how sure the model is along the decoding steps, and EDT's temperature there, for some examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edt.ranges import check_whole
from edt.records import Generation
from edt.report.documents import csv_from_rows
from edt.report.figures import panels, save
from edt.report.page import PageFigure, PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.results import Study

SURE_BELOW = 0.1
"""Entropy in nats below which a step counts as sure."""
_ENDLESS = "length"
"""How an output ended that has left the model's language: at the limit, at steps near the largest entropy there is."""


@dataclass(frozen=True, kw_only=True)
class Confidence(Experiment):
    """examples: drawn one by one. background: examples whose mean is drawn behind them. samples: of each."""

    title = "Entropy along the decoding steps"

    examples: int = 3
    background: int = 40
    samples: int = 2

    def __post_init__(self) -> None:
        for name, least, what in (
            ("examples", 1, "the number of examples with a curve"),
            ("background", 0, "the number of examples whose mean is drawn"),
            ("samples", 1, "the number of outputs of each example"),
        ):
            check_whole(f"experiments.confidence.{name}", getattr(self, name), what, least=least, most=10_000)

    def families(self) -> Sequence[str]:
        """Return EDT, and fixed temperature to compare it with."""
        return (BASELINE, "edt")

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write steps.png/.svg and steps.csv."""
        of_edt = {name: self._traced(study, name, "edt") for name in study.tasks}
        by_family = {
            (name, family): of_edt[name] if family == "edt" else self._traced(study, name, family)
            for name in study.tasks
            for family in self.families()
        }
        table = _sureness_table(by_family)
        write_text(
            folder / "steps.csv",
            csv_from_rows([row for name, outputs in of_edt.items() for row in _step_rows(name, outputs)]),
        )

        # The figure is of EDT; a fixed temperature would be a straight line.
        figure = self._draw(of_edt, study, folder)
        section = Section(name="confidence", title=self.title, tables=[table], figures=[figure])
        return ExperimentResult(section=section, evidence={})

    def _traced(self, study: Study, task: str, family: str) -> list[Generation]:
        """Return outputs of the family's best setting on dev; for EDT the best with θ above 0.

        Where θ = 0 was chosen, EDT is a fixed temperature, and there would be nothing to see.
        """
        results = study.tasks[task]
        strategy = results.strategy(results.best_own_setting(family))

        # The first examples of test, so that nobody could choose them by their outputs.
        ids = [example.example_id for example in study.tracer.examples(task, self.background)]
        return study.tracer.generations(task, ids, [strategy], self.samples)

    def _draw(self, by_task: Mapping[str, Sequence[Generation]], study: Study, folder: Path) -> PageFigure:
        """Draw a panel per task: entropy as a line, temperature dotted."""
        with panels(len(by_task)) as (figure, axes):
            for axis, (name, generations) in zip(axes, by_task.items(), strict=True):
                mean = _mean_entropy(generations)
                axis.fill_between(range(len(mean)), mean, color="#999999", alpha=0.3, lw=0, label="mean")

                # One sample of each example, since an example has one color.
                shown = [g for g in generations if g.sample == 0][: self.examples]
                for generation, color in zip(shown, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=False):
                    _draw_output(axis, generation, color)
                axis.set(title=f"{name}\n{study.tasks[name].best_own_setting('edt')}", xlabel="step")
                axis.set_ylabel("entropy (nats); dotted: T")
            axes[0].legend(frameon=False, fontsize=7)
            caption = (
                f"Entropy of the next-token distribution at each step for {self.examples} test examples, the "
                "temperature that EDT draws at (dotted), and the mean entropy over "
                f"up to {self.background} examples × {self.samples} samples that come to an end (grey), at the setting "
                "chosen on dev."
            )
            return save(figure, folder, "steps", title=self.title, caption=caption)


def _draw_output(axis: Any, generation: Generation, color: str) -> None:
    entropy, temperature = _traces(generation)
    axis.plot(entropy, color=color, lw=1.0, label=generation.example_id)
    axis.plot(temperature, color=color, lw=0.9, ls=":")


def _traces(generation: Generation) -> tuple[Sequence[float], Sequence[float]]:
    """Return entropy and temperature at each step."""
    assert generation.trace_entropy is not None
    assert generation.trace_temperature is not None
    return generation.trace_entropy, generation.trace_temperature


def _mean_entropy(generations: Sequence[Generation]) -> list[float]:
    """Return the mean at each step, over the outputs that have this step and come to an end."""
    rows = [_traces(generation)[0] for generation in generations if generation.finish_reason != _ENDLESS]

    # Outputs that have ended do not count as 0: the mean at late steps is of the few that are still running.
    longest = max(map(len, rows), default=0)
    return [float(np.mean([row[step] for row in rows if len(row) > step])) for step in range(longest)]


def _sureness_table(by_family: Mapping[tuple[str, str], Sequence[Generation]]) -> PageTable:
    """Return, by task and family, the share of sure steps, the mean temperatures, and the share of endless outputs."""
    rows = []
    for (task, family), generations in by_family.items():
        # Outputs without an end are left out: a few of them would be most of the steps, all at the largest entropy.
        ended = [_traces(generation) for generation in generations if generation.finish_reason != _ENDLESS]
        # Steps of all outputs together, since the table is about steps.
        entropy, temperature = (np.concatenate([np.empty(0), *(trace[n] for trace in ended)]) for n in (0, 1))
        sure = entropy < SURE_BELOW

        # There may be no sure step at all, or no output with an end; the mean is then missing, not 0.
        means = [f"{values.mean():.2f}" if len(values) else "–" for values in (temperature[sure], temperature[~sure])]
        shares = ["–"] * 3
        if len(entropy):
            shares = [f"{100 * sure.mean():.0f}", f"{entropy.mean():.2f}", f"{np.median(entropy):.2f}"]
        endless = 100 * (1 - len(ended) / len(generations))

        # The setting is named: at another temperature the model would be less or more sure.
        name = f"{family.replace('_', ' ')}: {generations[0].strategy_id}"
        rows.append([task, name, str(len(entropy)), *shares, *means, f"{endless:.0f}"])
    columns = ["task", "best on dev", "steps", "% sure", "mean H", "median H", "mean T where sure"]
    return PageTable(
        title="Sure and unsure steps",
        columns=[*columns, "mean T elsewhere", "% outputs without an end"],
        rows=rows,
        note=(
            f"Sure: entropy below {SURE_BELOW:g} nats. Steps of outputs that came to an end; those without one reached "
            "the limit of new tokens, most of them at entropies near the largest there is, and would raise the means. "
            "The same examples, samples and noise for both families; of EDT the best setting on dev with θ above 0; "
            "descriptive."
        ),
    )


def _step_rows(name: str, generations: Sequence[Generation]) -> list[dict[str, object]]:
    return [
        {
            "task": name,
            "example_id": generation.example_id,
            "sample": generation.sample,
            "step": step,
            "entropy": round(entropy, 6),
            "temperature": round(temperature, 6),
        }
        for generation in generations
        for step, (entropy, temperature) in enumerate(zip(*_traces(generation), strict=True))
    ]
