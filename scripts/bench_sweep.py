"""Time a sweep of 36 settings × 8 samples against one `transformers` `generate` per setting, and against one setting.

    python -m scripts.bench_sweep [--model edt:smollm2_135m [--data FILE --field COLUMN]] [--quick]

With a model, the prompts are texts of a file (by default those of examples/data), to be summarized in a sentence;
without one, a random model of `--shape` reads random tokens, its logits scaled to `--entropy`. The peer decodes all
prompts in one `generate(num_return_sequences=8)` per setting. Its cost does not depend on the setting, so it is timed
on one fixed and one EDT setting and multiplied; the JSON says so. All contenders run in turn; compilation is reported
separately. `share_in_model` is of a separate sweep. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scripts.bench_common import (
    alternate,
    benchmark_parser,
    compile_setting,
    data_options,
    load_model,
    median_ratio,
    peak_memory,
    read_prompts,
    seconds_of,
    show,
    where,
)

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from edt.benchmark.random_model import TARGET_ENTROPY
from edt.benchmark.timing import ModelTimer
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
    ids, mask = model.pad([prompt.token_ids for prompt in prompts])
    dynamic = isinstance(strategy, EDT)
    output: Tensor = model.model.generate(
        ids,
        attention_mask=mask,
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
    entropies = [generation.h_mean for generation in generations if generation.h_mean is not None]
    return replace(engine.work), statistics.mean(entropies)


def parser(about: str | None, *, quick: str) -> argparse.ArgumentParser:
    """Return a parser with the options of a sweep."""
    options = benchmark_parser(about, length=512, quick=quick)
    data_options(options)
    options.add_argument("--entropy", type=float, default=TARGET_ENTROPY, help="of a random model, in nats")
    options.add_argument("--prompts", type=int, default=4)
    options.add_argument("--tokens", type=int, default=32, help="new tokens")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--max-rows", type=int, default=2048)
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time all contenders and return the figures."""
    model = load_model(args)
    prompts = read_prompts(args, model)
    engine = BatchedSpec(max_rows=args.max_rows, compile=compile_setting(model)).build(model)
    nucleus: list[Strategy] = [replace(strategy, top_p=0.95) for strategy in SETTINGS]

    def sweep(strategies: Sequence[Strategy]) -> tuple[Work, float]:
        return by_ours(engine, prompts, strategies, args.tokens)

    compiling = seconds_of(lambda: [by_ours(engine, prompts, strategies, 4) for strategies in (SETTINGS, nucleus)])
    warm = seconds_of(lambda: [by_ours(engine, prompts, strategies, 4) for strategies in (SETTINGS, nucleus)])
    # Memory, and the time within the model, in a run that is not timed: looking costs a little.
    start = time.perf_counter()
    with peak_memory() as peak, ModelTimer(model.model) as timer:
        work, mean_entropy = sweep(SETTINGS)
    share = timer.seconds / (time.perf_counter() - start)

    times = alternate(
        {
            "sweep": lambda: sweep(SETTINGS),
            "generate, fixed": lambda: by_generate(model, prompts, PEERS[0], args.tokens),
            "single": lambda: sweep([SINGLE]),
            "generate, edt": lambda: by_generate(model, prompts, PEERS[1], args.tokens),
            "top-p sweep": lambda: sweep(nucleus),
        },
        args.repeats,
    )
    wall, cpu = times.wall, times.cpu
    # What the caches would take if each row had its own copy of the prompt.
    longest = max(len(prompt.token_ids) for prompt in prompts)
    expanded = len(SETTINGS) * SAMPLES * len(prompts) * (longest + args.tokens) * model.cache_bytes_per_token
    return {
        "generate_over_ours": round(median_ratio(all_by_generate(wall), wall["sweep"]), 2),
        "sweep_over_single": round(median_ratio(wall["sweep"], wall["single"]), 3),
        "top_p_over_plain": round(median_ratio(wall["top-p sweep"], wall["sweep"]), 3),
        "memory_over_expanded": round(peak.extra / expanded, 4),
        "rows_over_forward_rows": round(work.row_steps / work.forward_rows, 2),
        "mean_entropy": round(mean_entropy, 3),
        "share_in_model": round(share, 3),
        "tokens_per_second": round(work.row_steps / statistics.median(wall["sweep"]), 1),
        "generate_over_ours_cpu": round(median_ratio(all_by_generate(cpu), cpu["sweep"]), 2),
        "top_p_over_plain_cpu": round(median_ratio(cpu["top-p sweep"], cpu["sweep"]), 3),
        "peer_settings_timed": len(PEERS),
        "settings": len(SETTINGS),
        "samples": SAMPLES,
        "seconds": {name: [round(value, 3) for value in values] for name, values in wall.items()},
        "cpu_seconds": {name: [round(value, 3) for value in values] for name, values in cpu.items()},
        "compilation_seconds": round(max(0.0, compiling - warm), 2),
        "compiled": engine.kernels.compiled,
        "peak_extra_bytes": peak.extra,
        "expanded_cache_bytes": expanded,
        "prompts": len(prompts),
        **{key: getattr(args, key) for key in ("tokens", "repeats")},
        "length": longest,
        "data": args.data.name if args.model else None,
        **where(model),
    }


def all_by_generate(seconds: dict[str, list[float]]) -> list[float]:
    """Return what the peer takes for all settings, repeat by repeat, from the two that were timed."""
    pairs = zip(seconds["generate, fixed"], seconds["generate, edt"], strict=True)
    return [len(SETTINGS) * (fixed + dynamic) / len(PEERS) for fixed, dynamic in pairs]


def main() -> None:
    """Run the benchmark and print it."""
    args = parser(__doc__, quick="1 prompt, one repeat").parse_args()
    if args.quick:
        args.prompts, args.repeats = 1, 1
    figures = measure(args)
    wall, cpu = (
        {name: statistics.median(values) for name, values in figures[key].items()}
        | {"generate × 36 (reckoned)": statistics.median(all_by_generate(figures[key]))}
        for key in ("seconds", "cpu_seconds")
    )
    rows = [(name, f"{wall[name]:.2f}", f"{cpu[name]:.2f}", f"{wall[name] / wall['sweep']:.2f}") for name in wall]
    show("36 settings × 8 samples", ("what", "seconds", "CPU seconds", "÷ sweep"), rows, figures)


if __name__ == "__main__":
    main()
