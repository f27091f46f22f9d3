"""Estimate the hours of a paper-size study with a 13B model on 1 to 4,096 GPUs, and simulate its queue.

    python -m scripts.scaling

Measured: the figures of `results/gpu/gpu_check.json` (one H100, a 1B shape), `results/bench/branch_sharing.json`
(SmolLM2 on a CPU) and `results/bench/vllm.txt` (vLLM on a CPU). Everything else is a formula of this file or an
assumption of `WORK`, `QUEUE` and `LLAMA_13B`. Nothing is decoded; the tables are those of docs/concepts/scaling.md.
"""

from __future__ import annotations

import heapq
import json
import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
GIB = 2.0**30


@dataclass(frozen=True, kw_only=True)
class Work:
    """A study: what is decoded."""

    tasks: int = 4
    prompts: int = 1000
    settings: int = 300
    samples: int = 8
    tokens: int = 32
    prompt_tokens: int = 550

    @property
    def row_steps(self) -> int:
        """Tokens to be drawn."""
        return self.tasks * self.prompts * self.settings * self.samples * self.tokens


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder: its weights and what a token of its cache takes, in bfloat16."""

    parameters: float
    cache_bytes: float


@dataclass(frozen=True, kw_only=True)
class Device:
    """A GPU, as measured.

    flops: per second in the model, reached while rows are decoded. overhead: seconds per row step outside the model.
    """

    flops: float
    bytes_per_s: float
    memory: float
    overhead: float


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What delays a chunk: assumptions, not measured.

    start: seconds until a worker has loaded its model. spread: the standard deviation of ln(time). slow: the share of
    chunks on a disturbed machine, that take `slow_factor` of the time. hours_to_failure: of one worker, on average.
    write: seconds of the driver, which alone writes, per chunk.
    """

    start: float = 90.0
    spread: float = 0.15
    slow: float = 0.02
    slow_factor: float = 3.0
    hours_to_failure: float = 200.0
    write: float = 0.3


WORK, QUEUE = Work(), Queue()
# Llama-2-13B: 40 layers, a key and a value of 5,120 numbers each, 2 bytes.
LLAMA_13B = Model(parameters=13.0e9, cache_bytes=40 * 2 * 5120 * 2)
# Of the shape llama-1b in edt/benchmark/random_model.py, tied embeddings included.
PARAMETERS_1B = 1.074e9


def measured_device() -> Device:
    """Return the H100 of results/gpu, from its decoding of 64 prompts of 512 tokens under 36 settings × 8 samples."""
    check = json.loads((RESULTS / "gpu" / "gpu_check.json").read_text())
    rows, device = check["rows"], check["device"]
    run = rows["65536"]
    row_steps = run["seconds"] * run["row_steps_per_s"]
    # The factor of the sweep of the same shape and entropy; the prompts are read in the same time.
    forward_rows = row_steps / check["sweep"]["rows_over_forward_rows"] + rows["prompts"] * check["sweep"]["length"]
    in_model = run["seconds"] * run["model_share"]
    return Device(
        flops=2 * PARAMETERS_1B * forward_rows / in_model,
        bytes_per_s=device["copy_gb_per_s"] * 1e9,
        memory=0.9 * device["memory_gib"] * GIB,
        overhead=(run["seconds"] - in_model) / row_steps,
    )


def measured_factors() -> dict[str, dict[int, float]]:
    """Return rows ÷ forward rows by part of the settings and length."""
    content = json.loads((RESULTS / "bench" / "branch_sharing.json").read_text())
    return {
        name: {int(length): value for length, value in by_length.items()}
        for name, by_length in content["rows_over_forward_rows"].items()
    }


def vllm_row_cost() -> float:
    """Return the CPU time of a row step in vLLM ÷ that of a forward row of ours, as measured on a CPU."""
    figures = json.loads((RESULTS / "bench" / "vllm.txt").read_text().splitlines()[-1])
    return float(figures["vllm_over_ours_cpu"] / figures["rows_over_forward_rows"])


def decode_seconds(forward_rows: float, at_once: float, model: Model, device: Device) -> float:
    """Return the seconds in the model: its products, or the reading of its weights where few rows share a step."""
    steps = forward_rows / at_once
    return max(2 * model.parameters * forward_rows / device.flops, steps * 2 * model.parameters / device.bytes_per_s)


def prefill_seconds(prompts: float, work: Work, model: Model, device: Device) -> float:
    """Return the seconds in which prompts are read."""
    return 2 * model.parameters * prompts * work.prompt_tokens / device.flops


def rows_at_once(work: Work, model: Model, device: Device, prompts_shared: bool) -> float:
    """Return the texts whose caches fit next to the weights; each with its own prompt unless that is shared."""
    free = device.memory - 2 * model.parameters
    own = model.cache_bytes * (work.tokens / 2 + (0 if prompts_shared else work.prompt_tokens))
    return free / own


def gpu_hours(work: Work, model: Model, device: Device, factor: float) -> dict[str, float]:
    """Return the hours of one GPU by engine."""
    prompts = work.tasks * work.prompts
    shared, alone = (rows_at_once(work, model, device, one) for one in (True, False))
    overhead = work.row_steps * device.overhead

    ours = decode_seconds(work.row_steps / factor, shared, model, device) + overhead
    ours += prefill_seconds(prompts, work, model, device)
    # Every row is a forward row; the prefix cache reads a prompt once.
    unshared = decode_seconds(work.row_steps, shared, model, device)
    vllm = unshared + prefill_seconds(prompts, work, model, device)
    # A call per setting, whose prompts are repeated for each sample before they are read.
    generate = decode_seconds(work.row_steps, alone, model, device)
    generate += prefill_seconds(prompts * work.settings * work.samples, work, model, device)
    return {
        "engine=batched": ours / 3600,
        "one forward row per row (vLLM), at the cost of ours": vllm / 3600,
        "the same, at vLLM's cost per row on a CPU": (vllm - unshared * (1 - vllm_row_cost())) / 3600,
        "engine=hf_generate": generate / 3600,
    }


def simulate(chunk_seconds: float, chunks: int, workers: int, queue: Queue, seed: int = 0) -> tuple[float, int]:
    """Return the seconds until the last chunk is written, and how many failures there were.

    Workers take the next chunk as they become free. A failing worker starts again, and its chunk waits behind the
    others. The driver writes one chunk at a time, in the order in which they end.
    """
    draw = random.Random(seed)
    failing = 1 / (3600 * queue.hours_to_failure)
    # With the time from which a chunk can be taken: not before the failure that brought it back.
    waiting, failures = [(0.0, chunk) for chunk in range(chunks)], 0
    free = [(queue.start, worker) for worker in range(min(workers, chunks))]
    heapq.heapify(free)
    done = [0.0] * chunks
    while waiting:
        ready, worker = heapq.heappop(free)
        available, chunk = heapq.heappop(waiting)
        now = max(ready, available)
        takes = chunk_seconds * draw.lognormvariate(-(queue.spread**2) / 2, queue.spread)
        takes *= queue.slow_factor if draw.random() < queue.slow else 1.0
        until_failure = draw.expovariate(failing)
        if until_failure < takes:
            failures += 1
            heapq.heappush(waiting, (now + until_failure, chunk))
            heapq.heappush(free, (now + until_failure + queue.start, worker))
        else:
            done[chunk] = now + takes
            heapq.heappush(free, (now + takes, worker))

    written = 0.0
    for at in sorted(done):
        written = max(written, at) + queue.write
    return written, failures


def chunks_of(work: Work, model: Model, device: Device, factor: float) -> int:
    """Return the chunks of the plan: as many prompts in each as fit with their branches at the last token."""
    branches = work.settings * work.samples / factor
    per_prompt = model.cache_bytes * (work.prompt_tokens + branches * work.tokens)
    in_chunk = max(1, math.floor((device.memory - 2 * model.parameters) / per_prompt))
    return math.ceil(work.tasks * work.prompts / in_chunk)


def sharing_table(factors: dict[str, dict[int, float]]) -> list[str]:
    """Return rows ÷ forward rows by part and length."""
    lengths = sorted(next(iter(factors.values())))
    lines = ["| settings | " + " | ".join(f"{length} tokens" for length in lengths) + " |"]
    lines.append("|---|" + "---:|" * len(lengths))
    for name, values in factors.items():
        lines.append(f"| {name} | " + " | ".join(f"{values[length]:.1f}" for length in lengths) + " |")
    return lines


def hours_table(work: Work, device: Device, factor: float) -> list[str]:
    """Return the hours by engine on 1, 8 and 64 GPUs, by the simulation."""
    chunks = chunks_of(work, LLAMA_13B, device, factor)
    lines = ["| | 1 GPU | 8 GPUs | 64 GPUs |", "|---|---:|---:|---:|"]
    for name, hours in gpu_hours(work, LLAMA_13B, device, factor).items():
        each = [simulate(3600 * hours / chunks, chunks, workers, QUEUE)[0] / 3600 for workers in (1, 8, 64)]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f} h" for value in each) + " |")
    return lines


def queue_table(work: Work, device: Device, factor: float) -> list[str]:
    """Return hours and efficiency by the number of workers, and what the same queue does without its faults."""
    chunks = chunks_of(work, LLAMA_13B, device, factor)
    chunk = 3600 * gpu_hours(work, LLAMA_13B, device, factor)["engine=batched"] / chunks
    calm = replace(QUEUE, spread=0.0, slow=0.0, hours_to_failure=1e9)
    lines = [
        "| GPUs | hours | of the ideal | without stragglers and failures | failures |",
        "|---:|---:|---:|---:|---:|",
    ]
    for workers in (1, 8, 64, 256, 512, 1024, 2048, 4096):
        seconds, failures = simulate(chunk, chunks, workers, QUEUE)
        ideal = chunk * chunks / workers
        undisturbed, _ = simulate(chunk, chunks, workers, calm)
        lines.append(
            f"| {workers:,} | {seconds / 3600:.2f} | {100 * ideal / seconds:.0f} % | "
            f"{100 * ideal / undisturbed:.0f} % | {failures} |"
        )
    return lines


def main() -> None:
    """Print the tables."""
    device, factors = measured_device(), measured_factors()
    factor = factors["300 settings"][WORK.tokens]
    print(f"{WORK.row_steps / 1e6:.0f} million tokens to draw; rows ÷ forward rows: {factor:.1f}")
    print(f"in the model {device.flops / 1e12:.0f} TFLOP/s; outside of it {1e6 * device.overhead:.2f} µs per token")
    print(f"a row of vLLM costs {vllm_row_cost():.2f} of a forward row of ours (CPU)")
    chunks = chunks_of(WORK, LLAMA_13B, device, factor)
    hours = gpu_hours(WORK, LLAMA_13B, device, factor)["engine=batched"]
    print(f"{chunks:,} chunks of {3600 * hours / chunks:.0f} s")
    for table in (
        sharing_table(factors),
        hours_table(WORK, device, factor),
        queue_table(WORK, device, factor),
    ):
        print("", *table, sep="\n")


if __name__ == "__main__":
    main()
