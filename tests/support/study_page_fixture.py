"""A made-up study, as large as a real one, for the tests of its page."""

import math
import random

from edt.report.page import PageExample, PageFigure, PageOutput, PageTable, PageToken, Point, Section, StudyPage

TASKS = {"mini_xlsum": "ROUGE-L", "mini_msmarco": "ROUGE-L", "mini_quac": "ROUGE-L", "mini_wmt19": "SacreBLEU"}
T0 = (0.3, 0.5, 0.7, 0.9, 1.0, 1.2)
SECOND = {
    "edt": ("theta", (0.1, 0.3, 0.5, 1.0)),
    "kld": ("sigma", (0.5, 2.0, 8.0, 32.0)),
    "dynatemp": ("exponent", (0.5, 1.0, 2.0, 4.0)),
}
FAMILIES = ("fixed", "edt token", "edt instance", "kld token", "kld instance", "dynatemp token", "random_t token")
WORDS = [
    "the",
    "council",
    "of",
    "Marlow",
    "approved",
    "48",
    "new",
    "homes",
    "on",
    "Friday",
    "after",
    "a",
    "long",
    "debate",
    "about",
    "water",
    "roads",
    "and",
    "schools",
]
HOSTILE = "<script>document.title = 'ran'; alert(1)</script> </script><!-- a\u2028b 决定 & <b>bold</b> \"quoted\" 'it' {{ 7 * 7 }}"


def settings(family):
    """(strategy id, params) of a family: 24 of a grid, a line of fixed temperatures, three axes for random_t."""
    kind, _, granularity = family.partition(" ")
    if kind == "fixed":
        return [(f"fixed(t0={t0:g})", {"t0": t0}) for t0 in (0.0, *(round(0.1 * step, 1) for step in range(1, 16)))]
    if kind == "random_t":
        grid = [
            (low, high, shape)
            for low in (0.1, 0.3, 0.5)
            for high in (0.8, 1.0, 1.2, 1.4)
            for shape in ("even", "skewed")
        ]
        return [
            (f"random_t(low={low:g},high={high:g},shape={shape})", {"low": low, "high": high, "shape": shape})
            for low, high, shape in grid
        ]
    name, values = SECOND[kind]
    suffix = "" if granularity == "token" else ",granularity=instance"
    return [(f"{kind}(t0={t0:g},{name}={v:g}{suffix})", {"t0": t0, name: v}) for t0 in T0 for v in values]


def heat_of(params):
    """A mean temperature that such a setting might come to."""
    if "low" in params:
        return (params["low"] + params["high"]) / (2.0 if params["shape"] == "even" else 2.4)
    damping = {"theta": 0.35, "sigma": -0.12, "exponent": 0.2}
    return params["t0"] * math.exp(
        -sum(damping[name] * math.log1p(v) for name, v in params.items() if name in damping) - 0.05
    )


def point(task, split, family, strategy_id, params, rng):
    """A setting's scores: quality and Self-BLEU fall with heat, EDT a little later than the others."""
    heat = heat_of(params)
    kindness = {"edt": 2.5, "kld": 1.0, "dynatemp": 0.8, "random_t": -1.5}.get(family.split(" ")[0], 0.0)
    ceiling = 34.0 if task == "mini_wmt19" else 70.0
    quality = ceiling - 13.0 * heat**1.8 + kindness * heat + rng.gauss(0, 0.35)
    self_bleu = 100.0 * math.exp(-0.62 * heat**1.3) + rng.gauss(0, 0.5) - kindness * heat * 0.6
    eda = 100 * math.sqrt((max(0.0, 1 - quality / ceiling) ** 2 + (self_bleu / 100) ** 2) / 2)
    around = lambda value, width: (value, value - width, value + width * 1.1)  # noqa: E731
    metrics = {
        "quality": around(quality, 2.6),
        "self_bleu": around(self_bleu, 2.1),
        "eda": around(eda, 1.5),
        "temperature": around(heat, 0.01),
        "factuality": around(100 - 24 * heat**3, 3.0),
        "distinct_correct": around(1 + 2.4 * min(heat, 1.1), 0.1),
        "empty_share": (0.0, 0.0, 0.0),
    }
    return Point(task=task, split=split, family=family, strategy_id=strategy_id, params=params, metrics=metrics)


def points(rng):
    """All settings on both splits; the best of a family by EDA on dev is its choice."""
    found = []
    for task in TASKS:
        for split in ("dev", "test"):
            for family in FAMILIES:
                found += [point(task, split, family, *setting, rng) for setting in settings(family)]
    best = {}
    for each in found:
        key = (each.task, each.family)
        if each.split == "dev" and (key not in best or each.metrics["eda"][0] < best[key].metrics["eda"][0]):
            best[key] = each
    names = {(key, each.strategy_id) for key, each in best.items()}
    return [Point(**{**vars(each), "chosen": ((each.task, each.family), each.strategy_id) in names}) for each in found]


def tokens(heat, rng):
    """A traced output: temperatures between 0 and the setting's own, entropies to match."""
    words = [rng.choice(WORDS) for _ in range(rng.randint(14, 34))]
    entropies = [rng.expovariate(1.2) for _ in words]
    return tuple(
        PageToken(
            text=(" " if place else "") + word,
            temperature=1.3 * heat * 0.8 ** (0.4 / max(entropy, 0.02)),
            entropy=entropy,
        )
        for place, (word, entropy) in enumerate(zip(words, entropies, strict=True))
    )


def shown_strategies():
    """Two settings of each family, which have outputs on the page."""
    return [(family, *settings(family)[place]) for family in FAMILIES for place in (4, 14)]


def outputs(rng, examples, samples):
    """Traced but for the fixed temperatures, which are plain texts, and one empty."""
    found = []
    for task, example_id in examples:
        for family, strategy_id, params in shown_strategies():
            for sample in range(samples):
                traced = None if family == "fixed" else tokens(heat_of(params), rng)
                text = "".join(token.text for token in traced) if traced else " ".join(rng.choices(WORDS, k=18))
                scores = {"rouge_l": rng.uniform(20, 80), "factuality": 100.0}
                found.append(
                    PageOutput(
                        task=task, example_id=example_id, family=family, strategy_id=strategy_id, sample=sample,
                        text=text, scores=scores, tokens=traced,
                    )
                )  # fmt: skip
    return found


def cell(interval):
    return "–" if interval[0] is None else f"{interval[0]:.1f} [{interval[1]:.1f}, {interval[2]:.1f}]"


def comparison(found, task):
    """The table of a task's settings on test."""
    rows = [
        [
            each.strategy_id,
            each.family,
            *(cell(each.metrics[name]) for name in ("quality", "self_bleu", "eda")),
            f"{each.metrics['temperature'][0]:.2f}",
        ]
        for each in found
        if each.task == task and each.split == "test"
    ]
    columns = ("strategy", "family", "quality ↑", "Self-BLEU ↓", "EDA ↓", "mean T")
    return PageTable(
        title=f"{task}, test",
        columns=columns,
        rows=[*rows, ["grammar", "grammar", "58.7 [56.4, 61.1]", "57.9 [55.4, 60.3]", "42.5 [40.8, 44.2]", "–"]],
    )


SVG = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 400 120" width="400pt" height="120pt">
<defs><clipPath id="p1"><rect x="0" y="0" width="400" height="120"/></clipPath><path id="dot" d="M 0 0 h 8 v 8 z"/></defs>
<g clip-path="url(#p1)"><path d="M 10 100 L 120 60 L 390 20" fill="none" stroke="#1256cb"/><use xlink:href="#dot" x="120" y="60"/></g></svg>
"""
VERDICTS = PageTable(
    title="Chosen settings, test",
    columns=("task", "family", "chosen on dev", "EDA ↓", "against fixed", "p (Holm)"),
    rows=(
        ("mini_xlsum", "edt token", "edt(t0=1,theta=0.1)", "40.7 [39.0, 42.5]", "−1.3 [−2.0, −0.6]", "<0.001"),
        ("mini_xlsum", "kld token", "kld(t0=1,sigma=8)", "41.9 [40.3, 43.8]", "0.4 [−0.3, 1.1]", "0.21"),
        ("mini_quac", "edt token", "edt(t0=0.9,theta=0.3)", "9.7 [8.1, 11.4]", "−0.2 [−0.9, 0.5]", "0.6"),
        ("mini_wmt19", "edt token", "edt(t0=1.2,theta=0.5)", "–", "–", "–"),
        ("mini_msmarco", "edt token", "edt(t0=1,theta=0.5)", "100.0 [97.2, 101.4]", "12.1 [10.9, 13.0]", "1"),
    ),
    note="Differences in EDA, with paired 95 % bootstrap intervals; below 0 the family is better than fixed temperatures.",
)  # fmt: skip


def sections(found):
    """Three experiments: verdicts, a table per task, a drawing."""
    text = "EDT is compared with fixed temperatures at settings that were chosen on dev. The interval says how sure the difference is."
    figure = PageFigure(title="Temperature over the steps.", svg=SVG, caption="One line per family.")
    return (
        Section(
            name="verdicts",
            title="Does entropy help?",
            text=(text, "If the interval contains 0, the difference is undetermined."),
            tables=(VERDICTS,),
        ),
        Section(
            name="front",
            title="Every setting",
            text=("All settings on test.",),
            tables=[comparison(found, task) for task in TASKS],
        ),
        Section(name="steps", title="Over the steps", figures=(figure, figure)),
    )


def example(task, example_id):
    if task == "mini_wmt19":
        prompt = f"Translate to Chinese: The council of Marlow approved 48 new homes. ({example_id})"
        return PageExample(
            task=task, example_id=example_id, prompt=prompt, references=("马洛镇议会周五批准了 48 套新住房。",)
        )
    article = (
        f"Article {example_id}. "
        + "The council met on Friday. It heard from residents about water, roads and schools, then it voted. " * 6
    )
    return PageExample(
        task=task,
        example_id=example_id,
        prompt=article + "\nSummary:",
        references=("The council approved 48 homes.", "Marlow will build homes."),
    )


def study_page(*, examples=6, samples=2, hostile=False):
    """4 tasks × 7 families × up to 24 settings × 2 splits; with `hostile`, the first example and outputs try to break out."""
    rng = random.Random(0)
    found = points(rng)
    names = [(task, f"{task}-{number}") for task in TASKS for number in range(examples)]
    answers = outputs(rng, names, samples)
    given = [example(*name) for name in names]
    if hostile:
        given[0] = PageExample(
            task=given[0].task, example_id=given[0].example_id, prompt=f"Prompt: {HOSTILE}", references=(HOSTILE,)
        )
        answers[0] = PageOutput(**{**vars(answers[0]), "text": f"Output: {HOSTILE}", "scores": {"rouge_l": math.nan}})
        tokens = (
            PageToken(text=HOSTILE, temperature=math.nan, entropy=math.inf),
            PageToken(text="\n\n", temperature=0.0, entropy=0.0),
        )
        answers[4] = PageOutput(**{**vars(answers[4]), "text": HOSTILE + "\n\n", "tokens": tokens})
    about = {
        "model": "edt:mini, 1.2 M parameters", "date": "2026-11-21", "commit": "e2ca175", "examples": "200 dev, 500 test", "samples": "4 per example",
        "settings": str(len(found) // 8), "intervals": "95 %, 1,000 bootstrap samples of examples",
    }  # fmt: skip
    return StudyPage(
        title="Sampling temperatures on four small tasks", about=about, quality=TASKS, points=found,
        ideal={"mini_xlsum": (58.7, 57.9), "mini_quac": (61.0, 50.2), "mini_wmt19": (31.0, 42.0)},
        sections=sections(found), examples=given, outputs=answers,
    )  # fmt: skip
