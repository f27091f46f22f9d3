"""Time one decode step: EDT against a fixed temperature, and KL-guided against both, on replayed tokens.

    python -m scripts.bench_step [--quick] [--vocabularies 8192 49152 151936]

Every contender decodes the same rows on the same branches: tokens are prescribed, and what each draws is not used. At
each step all contenders take their turn, in an order that rotates; the figures are medians over the steps of the
ratios within a step. Every contender records the entropy, also the fixed temperature, as the engine always does; `bare`
is a fixed step without it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from scripts.bench_common import benchmark_parser, load_model, median_ratio, seconds_of, show, where

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy

from edt.benchmark.replay import BARE, WARM_UP, Contender, build_contenders, replay
from edt.decoding.ops.kernels import Kernels
from edt.models.language_model import LanguageModel
from edt.strategies import EDT, KLD, Fixed
from edt.strategies.base import Strategy

CONTENDERS: dict[str, Strategy] = {
    "fixed": Fixed(t0=0.7),
    BARE: Fixed(t0=0.7),
    "edt": EDT(t0=0.8, theta=0.5),
    "kld shared": KLD(t0=0.8, sigma=1.0),
    "kld dual": KLD(t0=0.8, sigma=1.0, mode="dual"),
}


def all_contenders(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, Contender]:
    """Return all contenders on the same prompt."""
    sizes = {"length": args.length, "rows": args.rows, "steps": args.steps}
    return build_contenders(CONTENDERS, model, second=second, kernels=kernels, **sizes)


@torch.inference_mode()
def measure(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, list[float]]:
    """Return the seconds of each contender at each step."""
    return replay(all_contenders(model, second, kernels, args), model.vocabulary, args.steps)


@torch.inference_mode()
def models_used(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, set[int]]:
    """Return the models whose contexts each contender holds, by `id`."""
    return {name: contender.models for name, contender in all_contenders(model, second, kernels, args).items()}


def median_ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Return the median ratios."""
    pairs = {
        "edt_over_fixed": ("edt", "fixed"),
        "edt_over_bare": ("edt", BARE),
        "kld_shared_over_fixed": ("kld shared", "fixed"),
        "kld_shared_over_dual": ("kld shared", "kld dual"),
        "kld_dual_over_fixed": ("kld dual", "fixed"),
    }
    return {name: round(median_ratio(seconds[a], seconds[b]), 4) for name, (a, b) in pairs.items()}


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = benchmark_parser(__doc__, length=512, quick="one vocabulary of 49,152, 24 steps")
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[8192, 49152, 151936])
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=64)
    args = parser.parse_args()
    if args.quick:
        args.vocabularies, args.steps = [49152], 24
    return args


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    by_vocabulary: dict[str, Any] = {}
    rows: list[Sequence[str]] = []
    for vocabulary in [None] if args.model else args.vocabularies:
        model, second = load_model(args, vocabulary), load_model(args, vocabulary)
        kernels = Kernels(compile=None, vocabulary=model.vocabulary, device=model.device)
        # The first run of a vocabulary compiles; its time is reported by itself.
        compiling = seconds_of(partial(measure, model, second, kernels, short(args)))
        seconds = measure(model, second, kernels, args)

        figures = median_ratios(seconds)
        weights = sum(p.numel() * p.element_size() for p in model.model.parameters())
        extra = {
            f"{name.replace(' ', '_')}_extra_weight_bytes": (len(models) - 1) * weights
            for name, models in models_used(model, second, kernels, args).items()
            if name.startswith("kld")
        }
        by_vocabulary[str(model.vocabulary)] = {**figures, **extra, "first_steps_seconds": round(compiling, 2)}
        rows += [(f"{model.vocabulary:,}", name, f"{value:.3f}") for name, value in figures.items()]
    facts = {
        "by_vocabulary": by_vocabulary,
        "rows": args.rows,
        "steps": args.steps - WARM_UP,
        "compiled": kernels.compiled,
    }
    show(f"one step of {args.rows} rows", ("vocabulary", "ratio", "median"), rows, facts | where(model))


def short(args: argparse.Namespace) -> argparse.Namespace:
    """Return the same arguments with few steps, to compile."""
    return argparse.Namespace(**vars(args) | {"steps": 4})


if __name__ == "__main__":
    main()
