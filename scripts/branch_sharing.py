"""Measure rows ÷ forward rows of a sweep by temperature, length and number of settings, on a real model.

    python -m scripts.branch_sharing --model edt:smollm2_135m --data FILE --field COLUMN [--prompts 1] [--out FILE]

Each prompt is decoded once under 300 settings × 4 samples (75 fixed temperatures and 15 × 15 points of EDT). A forward
row is a distinct text so far, so the factor of any part of these settings follows from the tokens: of all of them, of
every k-th, of the fixed temperatures near a value, and of a single setting. The last line is one JSON object.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edt.api.decoding import decode, load_model
from edt.strategies import EDT, Fixed, Strategy

SAMPLES = 4
LENGTHS = (4, 8, 16, 32)
FIXED = [Fixed(t0=round(float(t), 3)) for t in np.linspace(0.1, 1.58, 75)]
DYNAMIC = [
    EDT(t0=round(float(t), 3), theta=round(float(theta), 3))
    for t in np.linspace(0.3, 1.7, 15)
    for theta in np.linspace(0.1, 1.5, 15)
]
CENTRES = (0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5)

Rows = list[tuple[int, ...]]


def forward_rows(rows: Iterable[tuple[int, ...]], length: int) -> tuple[int, int]:
    """Return the row steps and the forward rows after the prompt's own, of rows that share their texts so far."""
    rows = list(rows)
    steps = branches = 0
    # The first token comes from the prompt's logits, which are computed once.
    for step in range(1, length):
        alive = [row for row in rows if len(row) > step]
        steps += len(alive)
        branches += len({row[:step] for row in alive})
    return steps, branches


def factor(by_prompt: Iterable[Rows], length: int) -> float:
    """Return row steps ÷ forward rows over several prompts."""
    counts = np.array([forward_rows(rows, length) for rows in by_prompt]).sum(axis=0)
    return round(float(counts[0] / max(counts[1], 1)), 2)


def parts() -> dict[str, list[Strategy]]:
    """Return the parts of the settings that are measured, by name."""
    every: list[Strategy] = [*FIXED, *DYNAMIC]
    chosen: dict[str, list[Strategy]] = {f"{len(every[::k])} settings": every[::k] for k in (1, 2, 4, 8, 25)}
    for centre in CENTRES:
        near: list[Strategy] = [one for one in FIXED if abs(one.t0 - centre) < 0.101]
        chosen[f"fixed, T = {centre:g} ± 0.1"] = near
        chosen[f"fixed, T = {centre:g} alone"] = [min(FIXED, key=lambda one: abs(one.t0 - centre))]
    return chosen


def main() -> None:
    """Decode and count."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="edt:smollm2_135m")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--field", required=True)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    lines = args.data.read_text(encoding="utf-8").splitlines()[: args.prompts]
    texts = [f"Summarize the text in one sentence.\n\n{json.loads(line)[args.field][:1200]}" for line in lines]
    model = load_model(args.model, dtype=args.dtype, chat_template="auto")
    table = decode(model, texts, [*FIXED, *DYNAMIC], samples=SAMPLES, max_new_tokens=max(LENGTHS))

    by_strategy: dict[str, dict[str, Rows]] = defaultdict(lambda: defaultdict(list))
    for example, strategy, ids in zip(table["prompt_id"], table["strategy"], table["token_ids"], strict=True):
        by_strategy[strategy][example].append(tuple(ids))
    found: dict[str, Any] = {}
    for name, strategies in parts().items():
        by_prompt: dict[str, Rows] = defaultdict(list)
        for strategy in strategies:
            for example, rows in by_strategy[strategy.strategy_id].items():
                by_prompt[example] += rows
        found[name] = {str(length): factor(by_prompt.values(), length) for length in LENGTHS}
        print(f"{name:24s}", *(f"{found[name][str(length)]:8.2f}" for length in LENGTHS))
    content = {
        "rows_over_forward_rows": found,
        "samples": SAMPLES,
        "prompts": len(texts),
        "mean_entropy": round(float(table["h_mean"].mean()), 3),
        "mean_tokens": round(float(table["token_ids"].map(len).mean()), 1),
        "model": args.model,
        "dtype": args.dtype,
        "data": args.data.name,
    }
    if args.out is not None:
        args.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content))


if __name__ == "__main__":
    main()
