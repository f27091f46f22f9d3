"""Show one example under three strategies at matched Self-BLEU, its tokens colored by temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edt.errors import ConfigError
from edt.ranges import check_whole
from edt.records import Trace, TracedOutput
from edt.report.page import PageTable, Section
from edt.scoring.eda_constants import BASELINE
from edt.store.atomic import write_text
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.protocol import SPLITS
from edt.study.results import Study, TaskStudy
from edt.tracing.token_figure import token_figure
from edt.tracing.trace_page import trace_page

FAMILIES = (BASELINE, "kld", "edt")
WITHOUT_TEXTS = "Without prompt, reference and outputs: experiments.case_study.texts=false."


@dataclass(frozen=True, kw_only=True)
class CaseStudy(Experiment):
    """tasks: the first of them that is in the study, or the study's first. example: its id, None for the first of test.

    self_bleu: the Self-BLEU on dev that all three come closest to; None takes that of EDT's best setting.
    texts: False shows temperatures alone, for data that may not be passed on: no prompt, no reference, no output.
    """

    optional_families = ("kld",)
    title = "One article under three strategies at matched Self-BLEU"

    tasks: tuple[str, ...]
    example: str | None = None
    self_bleu: float | None = None
    samples: int = 3
    texts: bool = True

    def __post_init__(self) -> None:
        check_whole("experiments.case_study.samples", self.samples, "the number of outputs shown", most=1000)
        if self.self_bleu is not None and not 0 <= self.self_bleu <= 100:
            raise ConfigError(
                f"experiments.case_study.self_bleu is {self.self_bleu}; it must be a Self-BLEU, 0 to 100, or null for "
                "that of EDT's chosen setting."
            )

    def families(self) -> Sequence[str]:
        """Return the families of which one setting each is shown."""
        return FAMILIES

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write tokens.png/.svg and case.html; without texts neither, and none of an earlier run is left."""
        # a study without these tasks still shows one
        name = next((name for name in self.tasks if name in study.tasks), next(iter(study.tasks)))
        task, settings = study.tasks[name], self._matched(study.tasks[name])
        trace = self._trace(study, name, list(settings.values()))
        table = _outputs_table(task, settings, trace, texts=self.texts)
        if not self.texts:
            # of an earlier run with texts
            for path in (folder / "case.html", *folder.glob("tokens.*")):
                path.unlink(missing_ok=True)
            section = Section(name="case_study", title=self.title, text=[WITHOUT_TEXTS], tables=[table])
            return ExperimentResult(section=section, evidence={})
        write_text(folder / "case.html", trace_page(trace))
        caption = "Dark is cold, light is hot. The same noise draws all three."
        figure = token_figure(trace.outputs, folder, "tokens", title=f"{name}: {trace.origin}", caption=caption)
        text = [f"Prompt: {trace.prompt}", f"Reference: {trace.references[0]}"]
        section = Section(name="case_study", title=self.title, text=text, tables=[table], figures=[figure])
        return ExperimentResult(section=section, evidence={})

    def _matched(self, task: TaskStudy) -> dict[str, str]:
        """Return each family's setting whose Self-BLEU on dev is closest to the target.

        Settings of EDT and KL-guided temperature that are a fixed temperature are left out: they would show nothing.
        """
        # By default EDT's best setting decides at which diversity all three are shown.
        target = self.self_bleu
        if target is None:
            target = task.value("dev", task.choices["edt"].strategy_id, "self_bleu")

        def distance(strategy_id: str) -> float:
            return abs(task.value("dev", strategy_id, "self_bleu") - target)

        present = [family for family in FAMILIES if family in task.families]
        return {family: min(self._candidates(task, family), key=distance) for family in present}

    def _candidates(self, task: TaskStudy, family: str) -> list[str]:
        """Return the settings of a family that were decoded on test and are no fixed temperature, if there is one."""
        on_test = task.on_test(family)
        own = [name for name in on_test if family == BASELINE or not task.strategy(name).is_constant]
        return own or on_test

    def _trace(self, study: Study, name: str, ids: Sequence[str]) -> Trace:
        """Return the outputs, token by token."""
        tracer, task = study.tracer, study.tasks[name]

        # Of test: dev decided the settings, so its examples would flatter them.
        examples = {example.example_id: example for example in tracer.prepared(name).examples["test"].examples}

        # The first example, so that it was not chosen by its outputs.
        chosen = next(iter(examples)) if self.example is None else self.example
        if chosen not in examples:
            raise ConfigError(
                f"experiments.case_study.example is '{chosen}'; test of {name} has {', '.join(list(examples)[:3])}, …"
            )
        strategies = {strategy_id: task.strategy(strategy_id) for strategy_id in ids}

        # Decoded again with traces, on the study's seed: the same noise draws all three, so differences are the rule's.
        generations = tracer.generations(name, [chosen], list(strategies.values()), self.samples)
        return Trace(
            model=study.request.model.path,
            origin=f"example {chosen} of test",
            prompt=tracer.engine.model.decode([tracer.prompt(name, chosen).token_ids])[0],
            references=examples[chosen].references,
            seed=study.request.sampling.seed,
            outputs=tuple(tracer.output(name, g, strategies[g.strategy_id]) for g in generations),
        )


def _outputs_table(task: TaskStudy, settings: Mapping[str, str], trace: Trace, *, texts: bool) -> PageTable:
    """Return the outputs with the range of their temperature; without their texts, their lengths."""
    family = {strategy_id: name.replace("_", " ") for name, strategy_id in settings.items()}
    rows = [
        [
            family[output.strategy_id],
            output.strategy_id,
            *(f"{task.value(split, output.strategy_id, 'self_bleu'):.1f}" for split in SPLITS),
            str(output.sample),
            output.text if texts else str(len(output.tokens)),
            _temperatures_text(output),
        ]
        for output in trace.outputs
    ]
    return PageTable(
        title="Outputs",
        columns=[
            *("family", "setting", "Self-BLEU on dev", "on test", "sample"),
            *("output" if texts else "tokens", "T: mean (least to largest)"),
        ],
        rows=rows,
        note=(
            "Of each family the setting whose Self-BLEU on dev is nearest; the columns say how near. "
            "Of EDT and KL-guided temperature those that are a fixed temperature (θ = 0, σ = ∞) are left out."
        ),
    )


def _temperatures_text(output: TracedOutput) -> str:
    temperatures = [token.temperature for token in output.tokens]
    return f"{output.t_mean:.2f} ({min(temperatures):.2f} to {max(temperatures):.2f})"
