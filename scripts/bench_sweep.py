"""Time a sweep of 36 settings × 8 samples against one `transformers` `generate` per setting, and against one setting.

    python -m scripts.bench_sweep [--quick] [--model FOLDER]

The peer decodes all prompts in one `generate(num_return_sequences=8)` per setting. Its cost does not depend on the
setting, so it is timed on one fixed and one EDT setting and multiplied; the JSON says so. All contenders run in turn;
compilation is reported separately. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace

from scripts.bench_common import (
    alternate,
    benchmark_parser,
    load_model,
    median_ratio,
    peak_memory,
    random_prompts,
    seconds_of,
    show,
    where,
)

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from edt.decoding.batched_engine import BatchedEngine, Work
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.ops.signals import entropy
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.records import Generation, Prompt
from edt.strategies import EDT, Fixed
from edt.strategies.base import Strategy

SAMPLES = 8
FIXED = [Fixed(t0=round(0.1 * step, 1)) for step in range(1, 11)]
GRID = [EDT(t0=t0, theta=theta) for t0 in (0.6, 0.7, 0.8, 0.9, 1.0) for theta in (0.1, 0.3, 0.5, 0.8, 1.0)]
SETTINGS: list[Strategy] = [Fixed(t0=0.0), *FIXED, *GRID]
SINGLE = Fixed(t0=0.7)
PEERS = (Fixed(t0=0.7), EDT(t0=0.8, theta=0.5))
"""The settings that the peer is timed on."""


class PeerEDT(LogitsProcessor):
    """EDT as a user of `generate` would write it."""

    def __init__(self, strategy: EDT) -> None:
        self.strategy = strategy

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Divide by T0 · 0.8^(θ/H)."""
        temperature = self.strategy.t0 * 0.8 ** (self.strategy.theta / entropy(scores).clamp(min=1e-6))
        return scores / temperature.clamp(min=1e-4).unsqueeze(-1)


@torch.inference_mode()
def by_generate(model: LanguageModel, prompts: Sequence[Prompt], strategy: Fixed | EDT, tokens: int) -> Tensor:
    """Decode by the peer: all prompts, 8 samples each, one setting."""
    ids = torch.tensor([prompt.token_ids for prompt in prompts], device=model.device)

    dynamic = isinstance(strategy, EDT)
    output: Tensor = model.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0 if dynamic else strategy.t0,
        top_k=0,
        top_p=1.0,
        num_return_sequences=SAMPLES,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        pad_token_id=0,
        logits_processor=LogitsProcessorList([PeerEDT(strategy)] if isinstance(strategy, EDT) else []),
    )
    return output


def by_ours(
    engine: BatchedEngine, prompts: Sequence[Prompt], strategies: Sequence[Strategy], tokens: int
) -> tuple[Work, float]:
    """Decode all settings in one pass; return the work of the model and the mean entropy of its distributions."""
    request = DecodeRequest.all_rows(
        prompts,
        strategies,
        sampling=Sampling(samples=SAMPLES),
        limits=Limits(max_new_tokens=tokens, stop=()),
    )
    # The engine's counters add up over its life.
    engine.work.row_steps = engine.work.forward_rows = 0
    generations: list[Generation] = []
    for chunk in request.chunks(engine.plan(request)):
        generations += engine.generate(chunk)
    return replace(engine.work), statistics.mean(generation.h_mean for generation in generations)


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = benchmark_parser(__doc__, length=512, quick="1 prompt, one repeat")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32, help="new tokens")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=2048)
    args = parser.parse_args()
    if args.quick:
        args.prompts, args.repeats = 1, 1
    return args


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    model = load_model(args)
    prompts = random_prompts(model, args.prompts, args.length)
    engine = BatchedSpec(max_rows=args.max_rows).build(model)
    nucleus: list[Strategy] = [replace(strategy, top_p=0.95) for strategy in SETTINGS]

    def sweep(strategies: Sequence[Strategy]) -> tuple[Work, float]:
        return by_ours(engine, prompts, strategies, args.tokens)

    compiling = seconds_of(lambda: [by_ours(engine, prompts, strategies, 4) for strategies in (SETTINGS, nucleus)])
    warm = seconds_of(lambda: [by_ours(engine, prompts, strategies, 4) for strategies in (SETTINGS, nucleus)])
    # Memory in a run that is not timed: sampling it costs a little.
    with peak_memory() as peak:
        work, mean_entropy = sweep(SETTINGS)

    seconds = alternate(
        {
            "sweep": lambda: sweep(SETTINGS),
            "generate, fixed": lambda: by_generate(model, prompts, PEERS[0], args.tokens),
            "single": lambda: sweep([SINGLE]),
            "generate, edt": lambda: by_generate(model, prompts, PEERS[1], args.tokens),
            "top-p sweep": lambda: sweep(nucleus),
        },
        args.repeats,
    )
    peer = [36 * (a + b) / 2 for a, b in zip(seconds["generate, fixed"], seconds["generate, edt"], strict=True)]
    # What the caches would take if each row had its own copy of the prompt.
    expanded = len(SETTINGS) * SAMPLES * args.prompts * (args.length + args.tokens) * model.cache_bytes_per_token
    figures = {
        "generate_over_ours": round(median_ratio(peer, seconds["sweep"]), 2),
        "sweep_over_single": round(median_ratio(seconds["sweep"], seconds["single"]), 3),
        "top_p_over_plain": round(median_ratio(seconds["top-p sweep"], seconds["sweep"]), 3),
        "memory_over_expanded": round(peak.extra / expanded, 4),
        "rows_over_forward_rows": round(work.row_steps / work.forward_rows, 2),
        "mean_entropy": round(mean_entropy, 3),
        "peer_settings_timed": len(PEERS),
        "settings": len(SETTINGS),
        "samples": SAMPLES,
        "seconds": {name: [round(value, 3) for value in values] for name, values in seconds.items()},
        "compilation_seconds": round(max(0.0, compiling - warm), 2),
        "compiled": engine.kernels.compiled,
        "peak_extra_bytes": peak.extra,
        "expanded_cache_bytes": expanded,
        **{key: getattr(args, key) for key in ("prompts", "length", "tokens", "repeats")},
        **where(model),
    }
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    medians["generate × 36 (reckoned)"] = statistics.median(peer)
    rows = [(name, f"{value:.2f}", f"{value / medians['sweep']:.2f}") for name, value in medians.items()]
    show("36 settings × 8 samples", ("what", "seconds", "÷ sweep"), rows, figures)


if __name__ == "__main__":
    main()
