"""What the browser of outputs shows: examples, and outputs with their scores and, where traced, their tokens."""

from __future__ import annotations

import math
from typing import Any

from edt.report.frame import HEADINGS, QUALITY
from edt.report.page import PageOutput, StudyPage


def browser_data(page: StudyPage) -> dict[str, Any]:
    """Examples in their order, outputs in theirs, and the highest temperature of any token.

    Raises ValueError for an output whose example is not on the page, and for two examples of one name.
    """
    examples = [(example.task, example.example_id) for example in page.examples]
    known = set(examples)
    if len(known) < len(examples):
        twice = next(name for name in examples if examples.count(name) > 1)
        raise ValueError(f"example {twice[1]!r} of {twice[0]} is there twice; give each example once")
    for output in page.outputs:
        if (output.task, output.example_id) not in known:
            raise ValueError(
                f"an output of {output.strategy_id} answers example {output.example_id!r} of {output.task}, "
                "which is not among the examples; add it or leave the output out"
            )
    temperatures = [token.temperature for output in page.outputs for token in output.tokens or ()]
    hottest = max((temperature for temperature in temperatures if math.isfinite(temperature)), default=None)
    return {
        "examples": [
            {"task": each.task, "id": each.example_id, "prompt": each.prompt, "references": list(each.references)}
            for each in page.examples
        ],
        "outputs": [output_data(output) for output in page.outputs],
        "hottest": hottest,
    }


def output_data(output: PageOutput) -> dict[str, Any]:
    """An output; its tokens as three lists of equal length, which is a third of their size as records."""
    tokens = output.tokens
    return {
        "task": output.task,
        "example": output.example_id,
        "family": output.family,
        "id": output.strategy_id,
        "sample": output.sample,
        "text": output.text,
        "scores": {score_label(name): score for name, score in output.scores.items()},
        "tokens": None
        if tokens is None
        else {
            "text": [token.text for token in tokens],
            "t": [round(token.temperature, 4) for token in tokens],
            "h": [round(token.entropy, 4) for token in tokens],
        },
    }


def score_label(name: str) -> str:
    """A score's name as the tables have it."""
    return QUALITY.get(name) or HEADINGS.get(name, name.replace("_", " ")).rstrip(" ↑↓")
