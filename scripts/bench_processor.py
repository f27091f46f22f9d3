"""Compare the EDT processor in transformers' `generate` with a fixed temperature there: seconds of a decoding step.

    python -m scripts.bench_processor [--quick] [--vocabularies 8192 49152 151936]

Both contenders run the same `generate` with the same prescribed tokens: a processor placed last in both lists leaves
one token to draw. Calls alternate; a step is the time between two calls of that last processor: forward pass,
temperature, draw and everything around them, without the prompts' prefill. The figures are medians over the calls of
the ratio of neighbours' median steps. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from scripts.bench_common import benchmark_parser, load_model, median_ratio, random_prompts, show, synchronize, where

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper

from edt import EDTLogitsProcessor
from edt.models.language_model import LanguageModel

FORCED = 1e9
"""The score of the token to draw: whatever the others have, its probability is 1."""


class Forced(LogitsProcessor):
    """Leaves only the prescribed token, and records when."""

    def __init__(self, tokens_SR: Tensor, clock: Callable[[], float]) -> None:
        self.tokens_SR, self.clock = tokens_SR, clock
        self.times: list[float] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores with one far above the others."""
        # The step before must have ended on a GPU, or its time would be counted in the next.
        synchronize()
        self.times.append(self.clock())
        return scores.scatter_(1, self.tokens_SR[len(self.times) - 1].unsqueeze(-1), FORCED)

    def median_step(self) -> float:
        """Return the median seconds from one step to the next."""
        return statistics.median(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def contenders() -> dict[str, LogitsProcessor]:
    """Return what scales the logits in each."""
    return {"fixed": TemperatureLogitsWarper(0.7), "edt": EDTLogitsProcessor(t0=0.8, theta=0.5)}


def median_step(model: LanguageModel, ids_RL: Tensor, processor: LogitsProcessor, forced: Forced) -> float:
    """Return the median step of one `generate`, in seconds."""
    model.model.generate(
        input_ids=ids_RL,
        attention_mask=torch.ones_like(ids_RL),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=len(forced.tokens_SR),
        eos_token_id=None,
        pad_token_id=model.pad_id,
        logits_processor=LogitsProcessorList([processor, forced]),
    )
    return forced.median_step()


def measure(model: LanguageModel, args: Any) -> dict[str, list[float]]:
    """Return the median steps of each contender's calls, run in turn; the first of each may compile and is left out."""
    generator = torch.Generator().manual_seed(3)
    tokens_SR = torch.randint(3, model.vocabulary, (args.tokens, args.rows), generator=generator).to(model.device)
    prompts = [prompt.token_ids for prompt in random_prompts(model, args.rows, args.length)]
    ids_RL = torch.tensor(prompts, device=model.device)
    processors = contenders()
    seconds: dict[str, list[float]] = {name: [] for name in processors}

    # One call more than the repeats: the first may compile.
    for turn in range(args.repeats + 1):
        for name in list(processors) if turn % 2 else list(processors)[::-1]:
            forced = Forced(tokens_SR, time.process_time if args.cpu_time else time.perf_counter)
            seconds[name].append(median_step(model, ids_RL, processors[name], forced))
    return {name: values[1:] for name, values in seconds.items()}


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = benchmark_parser(__doc__, length=32, quick="one vocabulary of 49,152, short prompts, 4 tokens a call")
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[8192, 49152, 151936])
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=10, help="new tokens of a call")
    parser.add_argument("--repeats", type=int, default=20, help="calls of each contender")
    parser.add_argument("--cpu-time", action="store_true", help="the process's CPU time: for a machine that others use")
    args = parser.parse_args()
    if args.quick:
        args.vocabularies, args.length, args.tokens = [49152], 8, 4
    return args


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    by_vocabulary: dict[str, Any] = {}

    rows: list[Sequence[str]] = []
    for vocabulary in [None] if args.model else args.vocabularies:
        model = load_model(args, vocabulary)
        seconds = measure(model, args)
        ratio = median_ratio(seconds["edt"], seconds["fixed"])
        step = {name: statistics.median(values) for name, values in seconds.items()}
        by_vocabulary[str(model.vocabulary)] = {
            "edt_over_fixed": round(ratio, 4),
            **{f"{name}_step_ms": round(1000 * value, 2) for name, value in step.items()},
        }
        milliseconds = [f"{1000 * step[name]:.1f}" for name in ("fixed", "edt")]
        rows.append((f"{model.vocabulary:,}", *milliseconds, f"{ratio:.3f}"))
    figures = {
        "by_vocabulary": by_vocabulary,
        "rows": args.rows,
        "tokens": args.tokens,
        "repeats": args.repeats,
        "clock": "cpu" if args.cpu_time else "wall",
    }

    columns = ("vocabulary", "fixed, ms", "EDT processor, ms", "EDT ÷ fixed, median")
    show(f"a step of generate, {args.rows} rows", columns, rows, figures | where(model))


if __name__ == "__main__":
    main()
