"""Compare token with instance level: the temperature at each step, or once at the prompt's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.report.documents import write_tables
from edt.report.page import PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.statistics.verdicts import Evidence
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING, difference_cell, p_cell, setting_cell
from edt.study.experiments.primary import no_verdict_reason, to_evidence
from edt.study.results import Study

PAIRS = (("edt", "edt_instance"), ("kld", "kld_instance"))


@dataclass(frozen=True, kw_only=True)
class Granularity(Experiment):
    """Both levels of EDT and of KL-guided temperature."""

    title = "Token level against instance level"

    def families(self) -> Sequence[str]:
        """Return both levels of each rule, and the baseline."""
        return (BASELINE, *(name for pair in PAIRS for name in pair))

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write table.md and table.tex."""
        # A row per task and rule; only EDT's rows are evidence.
        rows, evidence = [], list[Evidence]()
        for name, task in study.tasks.items():
            for token, instance in PAIRS:
                own, other = (task.choices[family].strategy_id for family in (token, instance))
                eda, factuality = (
                    task.compare(own, other, metric, study.confidence) for metric in ("eda", "factuality")
                )

                why_not = no_verdict_reason(study, name, token, instance)
                # the claim is about EDT; KL-guided temperature is there to compare
                if token == "edt":  # noqa: S105  a family's name
                    evidence.append(to_evidence(name, eda, why_not=why_not))
                rows.append(
                    [
                        name,
                        f"{token} − {instance}".replace("_", " "),
                        setting_cell(task.choices[token]),
                        setting_cell(task.choices[instance]),
                        difference_cell(eda),
                        p_cell(None if eda is None else eda.p_value),
                        difference_cell(factuality),
                        why_not or MISSING,
                    ]
                )
        table = PageTable(
            title="Token − instance",
            columns=[
                "task",
                "difference",
                "token: chosen on dev",
                "instance: chosen on dev",
                "ΔEDA (below 0 is better)",
                "p",
                "Δfactuality",
                "no verdict because",
            ],
            rows=rows,
            note=f"On test, {100 * study.confidence:g} % paired intervals; p unadjusted; descriptive.",
        )
        write_tables(folder, "table", [table])
        section = Section(name="granularity", title=self.title, tables=[table])
        return ExperimentResult(section=section, evidence={"token_beats_instance": evidence})
