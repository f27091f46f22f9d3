"""Measure the loss-optimal temperature by entropy on the references of any task, for any model.

    python -m scripts.temperature_by_entropy model=mini task=mini_xlsum task.limit=100
    python -m scripts.temperature_by_entropy model=smollm2_135m task=xlsum task.path=FILE task.limit=20

The arguments are those of `edt run` for the model and the task. Each reference is read once behind its prompt; nothing
is drawn. 20 references of XL-Sum take a minute with SmolLM2-135M on two cores. It prints a table in Markdown: for each
bin of entropy the temperature with the least loss, what it gains over T = 1, how often the likeliest token is the
reference's, and the mass outside the 10 likeliest tokens.
"""

from __future__ import annotations

import sys
from typing import Any

from omegaconf import OmegaConf

from edt.cli.build import generation_request
from edt.cli.composition import compose
from edt.decoding.model_engine import ModelEngine
from edt.errors import EdtError
from edt.generation.session import Session
from edt.study.attribution.loss_by_entropy import COLUMNS, bin_rows, loss_by_entropy, reference_ids


def main() -> None:
    """Compose the configuration of `edt run`, read the references, print the table."""
    try:
        for name, rows in measure(sys.argv[1:]).items():
            print(f"\n{name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
            print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    except EdtError as error:
        print(f"temperature_by_entropy: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def measure(overrides: list[str]) -> dict[str, list[list[str]]]:
    """Return the rows of each task's table, by what they are of."""
    config: Any = OmegaConf.to_container(compose("run", overrides))
    session = Session.open(generation_request(config))
    assert isinstance(session.engine, ModelEngine)
    model, tables = session.engine.model, {}
    for number, request in enumerate(session.request.tasks):
        prepared = session.prepared(number)
        for split, subset in prepared.examples.items():
            pairs = []
            for example in subset.examples:
                prompt = prepared.prompts[split][example.example_id].token_ids
                ids = reference_ids(model, prompt, example.references[0], language=request.task.target_language)
                pairs.append((prompt, ids))
            name = f"{request.task.name}, {split}, {len(pairs)} references, {model.spec.path}"
            tables[name] = bin_rows(loss_by_entropy(model, pairs))
    return tables


if __name__ == "__main__":
    main()
