"""Check and time the logits processor inside a real vLLM, in vLLM's own Python and in one process.

    PYTHONPATH=. VLLM_PYTHON scripts/vllm_processor_check.py --model FOLDER [--rows 64] [--tokens 24] [--repeats 5]

First, requests of every family with several samples: each step's temperature against the formula in float64 from the
logits that vLLM gives. Then `--rows` samples of one request with EDT: the share of a step's CPU time that the
processor takes. Shares of CPU time bear other work on the machine. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from typing import Any

# vLLM reads it when it is imported: in one process, the processor's figures can be read.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

import torch
from torch import Tensor
from vllm import LLM, SamplingParams

from edt.adapters.vllm_processor import EDTProcessor
from edt.decoding.ops.draw import TEMPERATURE_FLOOR

FAMILIES: list[dict[str, Any] | None] = [
    {"t0": 0.8, "theta": 0.5},
    {"t0": 1.2, "theta": 0.3, "granularity": "instance"},
    {"family": "inverted_edt", "t0": 1.0, "theta": 0.1},
    {"family": "dynatemp", "t_min": 0.4, "t_max": 1.4},
    {"family": "switch", "t_high": 1.2, "t_low": 0.5, "h": 1.5},
    {"family": "schedule", "t_high": 1.2, "t_low": 0.5, "decay": 20.0},
    None,
]


class Watched(EDTProcessor):
    """The processor with its CPU time, and where `checks` is true, each row against the formula."""

    checks = False
    seconds = 0.0
    rows: dict[str, int] = {}  # noqa: RUF012  one processor per process
    worst: dict[str, float] = {}  # noqa: RUF012

    def apply(self, logits: Tensor, ctx: Any = None) -> Tensor:
        """Apply the processor, and watch it."""
        before = logits.clone() if Watched.checks else logits
        steps = {row: len(request.output) for row, request in self.requests.items()}
        start = time.process_time()
        logits = super().apply(logits, ctx)
        Watched.seconds += time.process_time() - start
        if Watched.checks:
            self._compare(before, logits, steps)
        return logits

    def _compare(self, before: Tensor, after: Tensor, steps: dict[int, int]) -> None:
        for row in range(len(before)):
            request = self.requests.get(row)
            if request is None:
                name, error = "none", float(not torch.equal(before[row], after[row]))
            else:
                given = request.params.extra_args["edt"]  # type: ignore[index]
                name = given.get("family", "edt") + ("" if "granularity" not in given else " per instance")
                z = before[row].double()
                if "granularity" in given and steps[row]:
                    wanted = getattr(request, "watched", math.nan)
                else:
                    wanted = temperature(z, given, steps[row])
                    request.watched = wanted  # type: ignore[attr-defined]
                # The temperature that vLLM samples at, from the two logits that are furthest apart.
                low, high = int(z.argmin()), int(z.argmax())
                used = float((z[high] - z[low]) / (after[row, high].double() - after[row, low].double()))
                # At the floor of the temperature the best token alone is left.
                alone = float(after[row].double().softmax(-1).amax() < 1)
                error = alone if wanted <= TEMPERATURE_FLOOR else abs(used / wanted - 1)
            Watched.rows[name] = Watched.rows.get(name, 0) + 1
            Watched.worst[name] = max(Watched.worst.get(name, 0.0), error)


def temperature(z: Tensor, given: dict[str, Any], step: int) -> float:
    """Return T by the family's formula, written out here."""
    p = z.softmax(-1)
    h = float(-(p * p.clamp(min=1e-300).log()).sum())
    match given.get("family", "edt"):
        case "edt":
            return float(given["t0"] * 0.8 ** (given["theta"] / h))
        case "inverted_edt":
            return float(given["t0"] * 0.8 ** (given["theta"] * h))
        case "dynatemp":
            return float(given["t_min"] + (given["t_max"] - given["t_min"]) * h / math.log(len(z)))
        case "switch":
            return float(given["t_high"] if h >= given["h"] else given["t_low"])
        case _:
            return max(1 + float(given["t_high"]) - math.exp(step / given["decay"]), float(given["t_low"]))


def main() -> None:
    """Run the check and the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    llm = LLM(
        args.model,
        dtype="bfloat16",
        block_size=32,
        max_model_len=512,
        max_num_seqs=args.rows,
        enable_chunked_prefill=False,
        enforce_eager=True,
        logits_processors=[Watched],
    )
    base: dict[str, Any] = {"temperature": 1.0, "max_tokens": args.tokens, "ignore_eos": True}

    # 1. Every family at once, in one batch.
    Watched.checks = True
    prompts = ["The capital of France is", "Once upon a time, a fox", "In 1969", "The three primary colors are"]
    pairs = [(prompt, edt) for prompt in prompts for edt in FAMILIES]
    params = [SamplingParams(n=2, extra_args=None if edt is None else {"edt": edt}, **base) for _, edt in pairs]
    llm.generate([prompt for prompt, _ in pairs], params, use_tqdm=False)
    Watched.checks = False
    for name, count in Watched.rows.items():
        print(f"{name:24s} {count:6d} steps of rows, largest error of T {Watched.worst[name]:.1e}")

    # 2. The share of a step.
    shares, per_step = [], []
    request = SamplingParams(n=args.rows, extra_args={"edt": FAMILIES[0]}, **base)
    for _ in range(args.repeats + 1):
        Watched.seconds, start = 0.0, time.process_time()
        llm.generate(prompts[:1], request, use_tqdm=False)
        total = time.process_time() - start
        shares.append(Watched.seconds / (total - Watched.seconds))
        per_step.append(1000 * Watched.seconds / args.tokens)
    # The first one warms up.
    shares, per_step = shares[1:], per_step[1:]
    print(
        json.dumps(
            {
                "rows": args.rows,
                "threads": torch.get_num_threads(),
                "steps_of_rows": Watched.rows,
                "largest_error": Watched.worst,
                "share_of_a_step": [round(share, 4) for share in shares],
                "median_share": round(statistics.median(shares), 4),
                "processor_cpu_ms": round(statistics.median(per_step), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
