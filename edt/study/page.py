"""Write a study as one HTML page: every setting, the experiments' sections, and outputs to browse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edt.generation.environment import environment
from edt.records import Generation, Split
from edt.redact import without_secrets
from edt.report.frame import metric_label
from edt.report.html import study_html
from edt.report.page import PageExample, PageOutput, PageToken, Point, Section, StudyPage, known_means
from edt.report.run_facts import run_facts
from edt.store.atomic import write_text
from edt.study.protocol import SPLITS
from edt.study.results import QUALITY, Study, TaskStudy
from edt.study.spec import Browser
from edt.tasks.answers import answer_apart

METRICS = (QUALITY, "self_bleu", "eda", "temperature", "best_of", "factuality", "distinct_correct", "empty_share")


def write_page(study: Study, sections: Sequence[Section], paths: Sequence[Path], browser: Browser) -> None:
    """Write the page to each of the paths."""
    # Outputs are decoded again before anything is written, so that an error leaves no half page.
    examples, outputs = _browser_contents(study, browser)
    # Of the machine that writes the page; those of the decoding are in the runs' manifests.
    facts = environment()
    page = StudyPage(
        title=f"Sampling temperature of {without_secrets(study.request.model.path)}",
        about={
            "model": without_secrets(study.request.model.path),
            "tasks": ", ".join(study.tasks),
            "samples per example": str(study.request.sampling.samples),
            "examples": ", ".join(f"{split} {_sizes_text(study, split)}" for split in SPLITS),
            "bootstrap resamples": f"{study.metrics.bootstrap.resamples:,}",
            **run_facts([task.scored.run.manifest for task in study.tasks.values()]),
            "EDA's scale": _scales_text(study) or "–",
            "written": str(facts["created"])[:10],
            "machine": str(facts["device_name"]),
            **({"exploratory": study.exploratory} if study.exploratory else {}),
            **({"confirms": f"the choices of protocol {study.confirms}"} if study.confirms else {}),
        },
        quality={name: metric_label(task.quality) for name, task in study.tasks.items()},
        points=[point for name, task in study.tasks.items() for point in _points(name, task, study.confidence)],
        ideal=_ideals(study.tasks),
        sections=sections,
        examples=examples,
        outputs=outputs,
    )

    # The same page twice: next to the tables, and in the folder of the runs it was made from.
    text = study_html(page)
    for path in paths:
        write_text(path, text)


def _scales_text(study: Study) -> str:
    """Return EDA's constants of each task that has them."""
    # EDA is comparable only on one scale, so a reader needs it where two studies are compared.
    known = {name: task.constants for name, task in study.tasks.items() if task.constants is not None}
    return "; ".join(f"{name}: Q* = {scale.q_star:.4g}, S* = {scale.s_star:.4g}" for name, scale in known.items())


def _sizes_text(study: Study, split: Split) -> str:
    """Return the numbers of examples of a split, once where all tasks have the same."""
    # A set: most studies have one number for all tasks.
    counts = {str(task.scored.run.manifest.splits[split]["examples"]) for task in study.tasks.values()}
    return " / ".join(sorted(counts))


def _ideals(tasks: Mapping[str, TaskStudy]) -> dict[str, tuple[float, float]]:
    """Return quality and Self-BLEU of the grammar's own answers, by task."""
    by_task = {}
    for name, task in tasks.items():
        if task.ideal is not None:
            quality, self_bleu = (task.ideal.metrics[metric].value for metric in (task.quality, "self_bleu"))

            # With one sample the grammar has no Self-BLEU, so no point.
            if quality is not None and self_bleu is not None:
                by_task[name] = (quality, self_bleu)
    return by_task


def _points(name: str, task: TaskStudy, confidence: float) -> list[Point]:
    """Return every setting of every family on dev and on test."""
    points = []
    for family_name, family in task.families.items():
        params = {trial.strategy.strategy_id: dict(trial.params) for trial in family.trials}
        # Curves have other values of the same parameters.
        curves = [(curve, strategy) for curve in task.curves.get(family_name, ()) for strategy in curve.strategies]
        for curve, strategy in curves:
            params.setdefault(
                strategy.strategy_id, {name: strategy.params()[name] for name in (curve.axis, *curve.others)}
            )
        for strategy_id, values in params.items():
            for split in SPLITS:
                # On test there are the chosen settings and the curves alone.
                if task.entry(split, strategy_id) is None:
                    continue
                # Metrics that a task does not have are left out; the page shows a dash.
                measured = {metric: task.metric_value(split, strategy_id, metric) for metric in METRICS}
                points.append(
                    Point(
                        task=name,
                        split=split,
                        family=family_name.replace("_", " "),
                        strategy_id=strategy_id,
                        params={key: "null" if v is None else v for key, v in values.items()},
                        metrics={
                            metric: (entry.value, *entry.bounds(confidence))
                            for metric, entry in measured.items()
                            if entry is not None
                        },
                        chosen=task.choices[family_name].strategy_id == strategy_id,
                    )
                )
    return points


def _browser_contents(study: Study, browser: Browser) -> tuple[list[PageExample], list[PageOutput]]:
    """Return the first examples of test with the outputs of every chosen setting, token by token."""
    # Without examples nothing is to be decoded again.
    if browser.examples == 0:
        return [], []
    examples, outputs = [], []
    for name, task in study.tasks.items():
        # Examples without an output of the study would be a browser of nothing.
        if not task.choices:
            continue
        # The first examples, as everywhere: nobody chose them by their outputs.
        shown = study.tracer.examples(name, browser.examples)
        examples += [
            PageExample(
                task=name,
                example_id=e.example_id,
                prompt=_prompt_text(study, name, e.example_id),
                references=e.references,
                # The text is decoded from the tokens that the model reads, so it is that after shortening.
                shortened_by=study.tracer.prompt(name, e.example_id).truncated_tokens,
            )
            for e in shown
        ]
        # decoded again, with traces: the study's own outputs have none, and the same noise gives the same tokens
        families = {choice.strategy_id: family for family, choice in task.choices.items()}
        strategies = [task.strategy(strategy_id) for strategy_id in families]

        # A study with few samples has no more to show.
        samples = min(browser.samples, study.request.sampling.samples)
        generations = study.tracer.generations(name, [e.example_id for e in shown], strategies, samples)
        outputs += [_page_output(study, name, generation, families) for generation in generations]
    return examples, outputs


def _prompt_text(study: Study, task: str, example_id: str) -> str:
    """Return the text that the model reads."""
    return study.tracer.engine.model.decode([study.tracer.prompt(task, example_id).token_ids])[0]


def _page_output(study: Study, task: str, generation: Generation, families: Mapping[str, str]) -> PageOutput:
    assert generation.trace_entropy is not None
    assert generation.trace_temperature is not None
    pieces = study.tracer.token_texts.texts(generation.token_ids)
    columns = zip(pieces, generation.trace_temperature, generation.trace_entropy, strict=True)
    return PageOutput(
        task=task,
        example_id=generation.example_id,
        family=families[generation.strategy_id].replace("_", " "),
        strategy_id=generation.strategy_id,
        sample=generation.sample,
        text=generation.text,
        answer=answer_apart(generation.text, study.tasks[task].scored.run.manifest.answer_rule),
        scores=known_means(generation.t_mean, generation.h_mean),
        n_tokens=len(generation.token_ids),
        finish_reason=generation.finish_reason,
        tokens=[
            PageToken(text=text, temperature=round(temperature, 4), entropy=round(entropy, 4))
            for text, temperature, entropy in columns
        ],
    )
