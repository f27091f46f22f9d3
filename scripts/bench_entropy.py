"""Show how the figures of `bench_sweep` depend on the entropy: a real model article by article, and random models.

    python -m scripts.bench_entropy [--model edt:smollm2_135m [--data FILE --field COLUMN]] [--quick]

The rows of a sweep share a branch for as long as they have drawn the same tokens, so the higher the entropy, the more
rows the model must read. Each sweep has one prompt. The peer's cost depends on neither prompt nor entropy, so it is
timed once for the real model and once for the random ones. Ratios are of CPU seconds. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from scripts.bench_common import alternate, load_model, median_ratio, read_prompts, show, where
from scripts.bench_sweep import PEERS, SETTINGS, all_by_generate, by_generate, by_ours, parser

# isort: split
# After bench_common, which sets the threads' waiting policy before torch is imported.
from edt.decoding.engine_specs import BatchedSpec
from edt.models.language_model import LanguageModel
from edt.records import Prompt
from edt.strategies.base import Strategy

COLUMNS = {
    "mean_entropy": "mean entropy",
    "rows_over_forward_rows": "rows ÷ forward rows",
    "generate_over_ours_cpu": "generate ÷ ours",
    "top_p_over_plain_cpu": "top-p ÷ plain",
}


def time_peer(model: LanguageModel, prompt: Prompt, args: argparse.Namespace) -> list[float]:
    """Return the CPU seconds of one `generate` per setting, of each repeat."""
    fixed, dynamic = PEERS
    times = alternate(
        {
            "generate, fixed": lambda: by_generate(model, [prompt], fixed, args.tokens),
            "generate, edt": lambda: by_generate(model, [prompt], dynamic, args.tokens),
        },
        args.repeats,
    )
    return all_by_generate(times.cpu)


def measure(
    name: str, model: LanguageModel, prompts: Sequence[Prompt], peer: list[float], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Time a sweep of each prompt with top-p and without, and yield its figures."""
    engine = BatchedSpec(max_rows=args.max_rows).build(model)
    nucleus: list[Strategy] = [replace(strategy, top_p=0.95) for strategy in SETTINGS]
    for strategies in (SETTINGS, nucleus):
        by_ours(engine, prompts[:1], strategies, 2)  # compiles

    for prompt in prompts:
        seen: dict[str, Any] = {}

        def plain(prompt: Prompt = prompt, seen: dict[str, Any] = seen) -> None:
            seen["work"], seen["entropy"] = by_ours(engine, [prompt], SETTINGS, args.tokens)

        def truncated(prompt: Prompt = prompt) -> None:
            by_ours(engine, [prompt], nucleus, args.tokens)

        cpu = alternate({"sweep": plain, "top-p sweep": truncated}, args.repeats).cpu
        figures = {
            "name": name,
            "mean_entropy": round(seen["entropy"], 3),
            "rows_over_forward_rows": round(seen["work"].row_steps / seen["work"].forward_rows, 2),
            "generate_over_ours_cpu": round(median_ratio(peer, cpu["sweep"]), 2),
            "top_p_over_plain_cpu": round(median_ratio(cpu["top-p sweep"], cpu["sweep"]), 3),
            "cpu_seconds": cpu | {"generate × 36 (reckoned)": peer},
            "length": len(prompt.token_ids),
            "tokens": args.tokens,
            **where(model),
        }
        # As they come: all of them take a while.
        print(json.dumps(figures), file=sys.stderr, flush=True)
        yield figures


def main() -> None:
    """Run the benchmark and print it."""
    options = parser(__doc__, quick="one article, two entropies, 8 new tokens")
    options.add_argument("--entropies", type=float, nargs="*", default=[0.5, 1.0, 2.0, 3.0, 4.5, 6.0])
    options.set_defaults(repeats=1)
    args = options.parse_args()
    if args.quick:
        args.entropies, args.tokens, args.prompts = args.entropies[:2], 8, 1

    figures: list[dict[str, Any]] = []
    if args.model:
        model = load_model(args)
        prompts = read_prompts(args, model)
        figures += measure(args.model, model, prompts, time_peer(model, prompts[0], args), args)
    peer: list[float] = []
    for entropy in args.entropies:
        random = argparse.Namespace(**vars(args) | {"model": None, "entropy": entropy, "prompts": 1})
        model = load_model(random)
        prompts = read_prompts(random, model)
        peer = peer or time_peer(model, prompts[0], args)
        figures += measure(f"random, for {entropy:g} nats", model, prompts, peer, args)

    figures.sort(key=lambda each: (each["name"] != args.model, each["mean_entropy"]))
    rows = [(each["name"], *(f"{each[column]:.2f}" for column in COLUMNS)) for each in figures]
    show("36 settings × 8 samples, one prompt", ("model", *COLUMNS.values()), rows, {"sweeps": figures})


if __name__ == "__main__":
    main()
