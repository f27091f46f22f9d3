"""Show where outputs go wrong: the entropy at the first departure from the right ones, and what an oracle reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from edt.decoding.model_engine import ModelEngine
from edt.decoding.sampling import Limits, Sampling
from edt.metrics.admissible import Automaton
from edt.metrics.factuality import words
from edt.ranges import check_whole
from edt.records import Example, Generation, Prompt, Split
from edt.report.documents import csv_from_rows
from edt.report.figures import panels, save
from edt.report.page import PageFigure, PageTable, Section
from edt.store.atomic import write_text
from edt.strategies import EDT, Fixed
from edt.strategies.base import Strategy
from edt.study.attribution.departures import SURE_BELOW, Departures, bin_names, count_departures
from edt.study.attribution.loss_by_entropy import COLUMNS, EntropyBin, bin_rows, loss_by_entropy, reference_ids
from edt.study.attribution.oracle import Oracle, decode_oracle
from edt.study.attribution.vocabulary import AdmissibleTokens, ByteVocabulary
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.results import Study
from edt.tasks.mini.generated_task import has_grammar, ideal_texts
from edt.tracing.decode_in_memory import decode_traced

RULES: dict[str, tuple[Strategy, ...]] = {
    "fixed": tuple(Fixed(t0=t0) for t0 in (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4)),
    "EDT": tuple(EDT(t0=t0, theta=theta) for theta, t0 in product((0.05, 0.2, 0.5), (0.8, 1.0, 1.2))),
    "fixed, min-p 0.05": tuple(Fixed(t0=t0, min_p=0.05) for t0 in (0.8, 1.0, 1.2, 1.4, 1.7)),
}
"""The settings of each rule that are decoded; the first departures of all of them are counted."""

ORACLES: dict[str, tuple[Oracle, ...]] = {
    "oracle: temperature": tuple(Oracle(care=care) for care in (1.0, 3.0, 10.0, 30.0, 100.0)),
    "oracle: truncation": tuple(Oracle(temperature=t, truncates=True) for t in (1.0, 1.4, 2.0, 3.0)),
    "oracle: both": (Oracle(truncates=True),),
}
"""The settings of each oracle; see `edt.study.attribution.oracle`."""

ALWAYS = (Fixed(t0=1.0),)
"""Settings with a row whatever dev chose: T = 1 is the model's own distribution."""

_SPLITS: tuple[Split, Split] = ("dev", "test")


@dataclass(frozen=True, kw_only=True)
class ErrorAttribution(Experiment):
    """examples: of dev, to choose each rule's setting, and of test, to report it. samples: outputs of each.

    references: of test, read for the loss-optimal temperature by entropy.
    """

    title = "Where errors come from"

    examples: int = 50
    samples: int = 8
    references: int = 100

    def __post_init__(self) -> None:
        for name, what in (
            ("examples", "the number of examples of dev, and of test"),
            ("samples", "the number of outputs of each example"),
            ("references", "the number of references that are read"),
        ):
            check_whole(f"experiments.error_attribution.{name}", getattr(self, name), what, most=10_000)

    def families(self) -> Sequence[str]:
        """Return no family; its settings are constants."""
        return ()

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write departures.png/.svg, settings.csv and temperature.csv."""
        measured: dict[str, list[_Measured]] = {}
        by_entropy: dict[str, list[EntropyBin]] = {}
        for name in study.tasks:
            # References are there for every task, so that this part is of any model and any data.
            by_entropy[name] = self._loss(study, name)
            # A real data set has no grammar: only its references can be read.
            if has_grammar(study.tracer.examples(name, 1)):
                measured[name] = self._measure(study, name)

        tables, figures = [_loss_table(by_entropy)], []
        if measured:
            tables.insert(0, _departures_table(measured, self.samples))
            rows = [row for name, settings in measured.items() for row in _setting_rows(name, settings)]
            write_text(folder / "settings.csv", csv_from_rows(rows))
            figures.append(_draw(measured, folder))
        write_text(folder / "temperature.csv", csv_from_rows(_bin_records(by_entropy)))
        section = Section(name="error_attribution", title=self.title, tables=tables, figures=figures)
        return ExperimentResult(section=section, evidence={})

    def _loss(self, study: Study, name: str) -> list[EntropyBin]:
        """Return the loss-optimal temperature by entropy on references of test."""
        tracer, task = study.tracer, study.tasks[name].task
        model = tracer.engine.model
        pairs = []
        # Of test, as everything that is reported; nothing is chosen by it.
        for example in tracer.examples(name, self.references):
            prompt = tracer.prompt(name, example.example_id).token_ids
            ids = reference_ids(model, prompt, example.references[0], language=task.target_language)
            pairs.append((prompt, ids))
        return loss_by_entropy(model, pairs)

    def _measure(self, study: Study, name: str) -> list[_Measured]:
        """Return every setting of every rule on dev and test, and the ideal sampler."""
        # The automaton reads bytes, since a token may end inside a character.
        vocabulary = ByteVocabulary.of(study.tracer.engine.model)
        parts = {split: self._part(study, name, split, vocabulary) for split in _SPLITS}
        strategies = [strategy for settings in RULES.values() for strategy in settings]
        # All settings in one pass: they share beginnings, as in the study itself.
        rules = [rule for rule, settings in RULES.items() for _ in settings]
        decoded = {split: part.departures(strategies) for split, part in parts.items()}
        return [
            *(
                _Measured(rule=rule, label=strategy.strategy_id, on={split: decoded[split][n] for split in _SPLITS})
                for n, (rule, strategy) in enumerate(zip(rules, strategies, strict=True))
            ),
            *(
                _Measured(
                    rule=rule, label=oracle.label, on={split: part.oracle(oracle) for split, part in parts.items()}
                )
                for rule, oracles in ORACLES.items()
                for oracle in oracles
            ),
            _Measured(rule="ideal sampler", label="grammar", on={split: part.ideal() for split, part in parts.items()}),
        ]

    def _part(self, study: Study, name: str, split: Split, vocabulary: ByteVocabulary) -> _Part:
        """Return the first examples of a split, so that nobody could choose them by their outputs."""
        prepared = study.tracer.prepared(name)
        examples = prepared.examples[split].examples[: self.examples]
        prompts = [prepared.prompts[split][example.example_id] for example in examples]
        return _Part(
            engine=study.tracer.engine,
            vocabulary=vocabulary,
            examples=examples,
            prompts=prompts,
            automata={example.example_id: Automaton(example.meta["grammar"]) for example in examples},
            sampling=replace(study.request.sampling, samples=self.samples),
            limits=prepared.limits,
        )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What became of the outputs of one setting of a rule, by split."""

    rule: str
    label: str
    on: Mapping[Split, Departures]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The examples of one split that are decoded, with what is needed to decode and judge them."""

    engine: ModelEngine
    vocabulary: ByteVocabulary
    examples: Sequence[Example]
    prompts: Sequence[Prompt]
    automata: Mapping[str, Automaton]
    sampling: Sampling
    limits: Limits

    def departures(self, strategies: Sequence[Strategy]) -> list[Departures]:
        """Decode all settings together, and return what became of the outputs of each."""
        outputs: dict[str, dict[str, list[Generation]]] = {strategy.strategy_id: {} for strategy in strategies}
        # Together: the model runs once per distinct prefix of all settings.
        for generation in decode_traced(self.engine, self.prompts, strategies, self.sampling, self.limits):
            outputs[generation.strategy_id].setdefault(generation.example_id, []).append(generation)
        return [
            count_departures(self.vocabulary, self.automata, self.examples, outputs[strategy.strategy_id])
            for strategy in strategies
        ]

    def oracle(self, oracle: Oracle) -> Departures:
        """Decode by an oracle; where its outputs depart is not counted."""
        model = self.engine.model
        decoded = decode_oracle(model, self.prompts, self._tokens, oracle, sampling=self.sampling, limits=self.limits)
        # Without the end token, which may have a text where it is spelled out.
        texts = {name: model.decode([ids[:-1] for ids in rows if ids is not None]) for name, rows in decoded.items()}
        return self._judged(texts)

    def ideal(self) -> Departures:
        """Return the grammar's own answers."""
        texts = ideal_texts(self.examples, self.sampling.samples)
        return self._judged({example.example_id: row for example, row in zip(self.examples, texts, strict=True)})

    def _judged(self, right: Mapping[str, Sequence[str]]) -> Departures:
        """Count outputs that are known to be correct among the samples of each example."""
        return Departures(
            outputs=len(self.examples) * self.sampling.samples,
            correct=sum(len(texts) for texts in right.values()),
            distinct=[len({words(text) for text in texts}) for texts in right.values()],
        )

    @cached_property
    def _tokens(self) -> Mapping[str, AdmissibleTokens]:
        # Kept, since every oracle asks for the same states.
        return {name: AdmissibleTokens(self.vocabulary, automaton) for name, automaton in self.automata.items()}


def _chosen(settings: Sequence[_Measured]) -> list[_Measured]:
    """Return each rule's setting with the most distinct correct outputs on dev, and those that are always shown."""
    best: dict[str, _Measured] = {}
    for setting in settings:
        if setting.rule not in best or _distinct(setting, "dev") > _distinct(best[setting.rule], "dev"):
            best[setting.rule] = setting
    always = {strategy.strategy_id for strategy in ALWAYS}
    return [setting for setting in settings if setting is best[setting.rule] or setting.label in always]


def _distinct(setting: _Measured, split: Split) -> float:
    return float(np.mean(setting.on[split].distinct))


def _departures_table(measured: Mapping[str, Sequence[_Measured]], samples: int) -> PageTable:
    """Return, by task and rule, the share of wrong outputs, where they departed, and distinct correct outputs."""
    rows = []
    for task, settings in measured.items():
        for setting in _chosen(settings):
            found = setting.on["test"]
            wrong = 100 * (1 - found.correct / found.outputs)
            shares = ["–"] * (len(found.departed) + 1)
            if found.wrong:
                shares = [f"{100 * count / found.wrong:.0f}" for count in found.departed]
                shares.append(f"{100 * found.at_unsure:.1f}")
            sure = f"{100 * found.steps[0] / found.steps.sum():.0f}" if found.steps.sum() else "–"
            standard_error = (
                np.std(found.distinct, ddof=1) / np.sqrt(len(found.distinct)) if len(found.distinct) > 1 else 0
            )
            distinct = f"{_distinct(setting, 'test'):.2f} ± {standard_error:.2f}"
            rows.append([task, setting.rule, setting.label, distinct, f"{wrong:.1f}", *shares, sure])
    heads = [f"% first departures at H {name}" for name in bin_names()]
    return PageTable(
        title="Where outputs go wrong, and what an oracle would reach",
        columns=[
            "task", "rule", "setting", f"distinct correct of {samples}", "% wrong", *heads,
            f"% at H ≥ {SURE_BELOW:g}", f"% of steps at H < {SURE_BELOW:g}",
        ],
        rows=rows,
        note=(
            "On test; of each rule the setting with the most distinct correct outputs on dev, and T = 1. ±: standard "
            "error over examples. A departure is the first token after which no continuation makes the output correct; "
            "H is the entropy in nats of the model's own distribution there. Steps are counted up to the departure. An "
            "oracle knows these tokens: it chooses the temperature of each step, draws only tokens that stay right "
            "(truncation), or both. All draw with the same noise. Outputs cut by the limit are wrong without a "
            "departure."
        ),
    )  # fmt: skip


def _loss_table(by_entropy: Mapping[str, Sequence[EntropyBin]]) -> PageTable:
    return PageTable(
        title="The temperature with the least loss, by entropy",
        columns=["task", *COLUMNS],
        rows=[[task, *row] for task, found in by_entropy.items() for row in bin_rows(found)],
        note=(
            "Teacher-forced on references of test: of the steps in each bin of entropy the temperature at which the "
            "reference's tokens have the least mean loss, with a 95 % interval over references. Descriptive."
        ),
    )


def _setting_rows(task: str, settings: Sequence[_Measured]) -> list[dict[str, object]]:
    """Return every setting of dev and test, with the counts behind the table."""
    rows = []
    for setting in settings:
        # Both splits, so that a reader can check the choice on dev.
        for split, found in setting.on.items():
            row: dict[str, object] = {"task": task, "rule": setting.rule, "setting": setting.label, "split": split}
            row |= {"outputs": found.outputs, "correct": found.correct, "cut": found.cut}
            # Six digits: a mean over some dozens of examples, and files that can be compared by eye.
            row |= {"distinct": round(float(np.mean(found.distinct)), 6)}
            for name, departed, steps in zip(bin_names(), found.departed, found.steps, strict=True):
                row |= {f"departed {name}": int(departed), f"steps {name}": int(steps)}
            rows.append(row)
    return rows


def _bin_records(by_entropy: Mapping[str, Sequence[EntropyBin]]) -> list[dict[str, object]]:
    records = []
    for task, found in by_entropy.items():
        for entry in found:
            # CSV has no pair in a cell, so the interval becomes two columns.
            record: dict[str, object] = {"task": task, **asdict(entry)}
            lo, hi = entry.interval or (None, None)
            del record["interval"]
            records.append({**record, "best_lo": lo, "best_hi": hi})
    return records


def _draw(measured: Mapping[str, Sequence[_Measured]], folder: Path) -> PageFigure:
    """Draw a panel per task: the share of outputs that depart in each bin of entropy, by fixed temperature."""
    with panels(len(measured)) as (figure, axes):
        for axis, (name, settings) in zip(axes, measured.items(), strict=True):
            # Fixed temperatures alone: one axis that every reader knows, and the other rules are in the table.
            fixed = [setting for setting in settings if setting.rule == "fixed"]
            labels = [f"{RULES['fixed'][n].params()['t0']:g}" for n in range(len(fixed))]
            # Stacked: the whole bar is the share that departs at all.
            below = np.zeros(len(fixed))
            for index, (bin_name, color) in enumerate(zip(bin_names(), _COLORS, strict=True)):
                share = np.array([100 * s.on["test"].departed[index] / s.on["test"].outputs for s in fixed])
                axis.bar(labels, share, bottom=below, color=color, label=f"H {bin_name}")
                below += share
            axis.set(title=name, xlabel="fixed temperature", ylabel="% of outputs that depart")
        axes[0].legend(frameon=False, fontsize=7)
        caption = "Outputs that leave the right ones, by the entropy of the step at which they do, on test."
        return save(figure, folder, "departures", title="Where outputs go wrong", caption=caption)


_COLORS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")
"""One for each bin of entropy, from sure to unsure; distinguishable with any color vision."""
