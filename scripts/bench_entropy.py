"""Show how the figures of `bench_sweep` depend on the entropy: random models at several, and a real model at its own.

    python -m scripts.bench_entropy [--model edt:smollm2_135m] [--entropies 0.5 1 2 3 4.5 6] [--quick]

The rows of a sweep share a branch for as long as they have drawn the same tokens, so the higher the entropy, the more
rows the model must read. The last line is one JSON object: the figures of each, as `bench_sweep` gives them.
"""

from __future__ import annotations

import argparse
from typing import Any

from scripts.bench_common import show
from scripts.bench_sweep import measure, parser

COLUMNS = {
    "mean_entropy": "mean entropy",
    "rows_over_forward_rows": "rows ÷ forward rows",
    "generate_over_ours": "generate ÷ ours",
    "generate_over_ours_cpu": "in CPU time",
    "top_p_over_plain": "top-p ÷ plain",
    "top_p_over_plain_cpu": "in CPU time",
    "share_in_model": "share in the model",
    "tokens_per_second": "tokens per s",
}


def main() -> None:
    """Run the benchmark and print it."""
    options = parser(__doc__, quick="two entropies, 8 new tokens")
    options.add_argument("--entropies", type=float, nargs="+", default=[0.5, 1.0, 2.0, 3.0, 4.5, 6.0])
    options.set_defaults(prompts=1, repeats=1)
    args = options.parse_args()
    if args.quick:
        args.entropies, args.tokens = args.entropies[:2], 8

    figures: dict[str, Any] = {}
    if args.model:
        figures[args.model] = measure(args)
    for entropy in args.entropies:
        figures[f"random, {entropy:g} nats"] = measure(
            argparse.Namespace(**vars(args) | {"model": None, "entropy": entropy})
        )
    rows = [(name, *(f"{each[column]:.2f}" for column in COLUMNS)) for name, each in figures.items()]
    show("36 settings × 8 samples", ("model", *COLUMNS.values()), rows, figures)


if __name__ == "__main__":
    main()
