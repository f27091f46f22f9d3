"""One decode step: EDT against a fixed temperature, and KL-guided against both, on replayed tokens.

    python -m scripts.bench_step [--quick] [--vocabularies 8192 49152 151936]

Every contender decodes the same rows on the same branches: tokens are prescribed, what each draws is thrown away. At
each step all contenders take their turn, in an order that rotates; the figures are medians over the steps of the
ratio of neighbours. Every contender's step writes down the entropy, a fixed temperature's too, as the engine always
does; `bare` is a fixed step without it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from scripts.bench_common import load_model, median_ratio, parser_of, seconds_of, show, where

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy

from edt.benchmark.replay import WARM_UP, Contender, build_contenders, replay
from edt.decoding.cache.branches import Branches
from edt.decoding.ops.kernels import Kernels
from edt.models.language_model import LanguageModel
from edt.strategies import EDT, KLD, Fixed
from edt.strategies.base import Signals, Strategy

CONTENDERS: dict[str, Strategy] = {
    "fixed": Fixed(t0=0.7),
    "bare": Fixed(t0=0.7),
    "edt": EDT(t0=0.8, theta=0.5),
    "kld shared": KLD(t0=0.8, sigma=1.0),
    "kld dual": KLD(t0=0.8, sigma=1.0, mode="dual"),
}


class BareBranches(Branches):
    """Branches that compute no entropy."""

    def signals(self) -> Signals:
        """Zeros."""
        zero_R = torch.zeros(len(self.branch_R), dtype=self.logits_BV.dtype, device=self.logits_BV.device)
        return Signals(entropy_R=zero_R, max_entropy_R=zero_R, kl_R=zero_R, uniform_R=zero_R)


def all_contenders(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, Contender]:
    """All contenders on the same prompt."""
    sizes = {"length": args.length, "rows": args.rows, "steps": args.steps}
    found = build_contenders(CONTENDERS, model, second=second, kernels=kernels, **sizes)
    found["bare"].branches.__class__ = BareBranches
    return found


@torch.inference_mode()
def measure(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, list[float]]:
    """Seconds of each contender at each step."""
    return replay(all_contenders(model, second, kernels, args), model.vocabulary, args.steps)


@torch.inference_mode()
def models_used(model: LanguageModel, second: LanguageModel, kernels: Kernels, args: Any) -> dict[str, set[int]]:
    """The models whose contexts each contender holds, by identity."""
    return {name: found.models for name, found in all_contenders(model, second, kernels, args).items()}


def figures_of(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Median ratios."""
    pairs = {
        "edt_over_fixed": ("edt", "fixed"),
        "edt_over_bare": ("edt", "bare"),
        "kld_shared_over_fixed": ("kld shared", "fixed"),
        "kld_shared_over_dual": ("kld shared", "kld dual"),
        "kld_dual_over_fixed": ("kld dual", "fixed"),
    }
    return {name: round(median_ratio(seconds[a], seconds[b]), 4) for name, (a, b) in pairs.items()}


def arguments() -> argparse.Namespace:
    """The command line; `--quick` sets the sizes."""
    parser = parser_of(__doc__, length=512, quick="one vocabulary of 49,152, 24 steps")
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
    found: dict[str, Any] = {}
    rows: list[Sequence[str]] = []
    for vocabulary in [None] if args.model else args.vocabularies:
        model, second = load_model(args, vocabulary), load_model(args, vocabulary)
        kernels = Kernels(compile=None, vocabulary=model.vocabulary, device=model.device)
        compiling = seconds_of(partial(measure, model, second, kernels, short(args)))
        seconds = measure(model, second, kernels, args)
        figures = figures_of(seconds)
        weights = sum(p.numel() * p.element_size() for p in model.model.parameters())
        extra = {
            f"{name.replace(' ', '_')}_extra_weight_bytes": (len(models) - 1) * weights
            for name, models in models_used(model, second, kernels, args).items()
            if name.startswith("kld")
        }
        found[str(model.vocabulary)] = {**figures, **extra, "first_steps_seconds": round(compiling, 2)}
        rows += [(f"{model.vocabulary:,}", name, f"{value:.3f}") for name, value in figures.items()]
    told = {"by_vocabulary": found, "rows": args.rows, "steps": args.steps - WARM_UP, "compiled": kernels.compiled}
    show(f"one step of {args.rows} rows", ("vocabulary", "ratio", "median"), rows, told | where(model))


def short(args: argparse.Namespace) -> argparse.Namespace:
    """The same with few steps, to compile."""
    return argparse.Namespace(**vars(args) | {"steps": 4})


if __name__ == "__main__":
    main()
