"""Check a GPU machine in ten minutes: exactness, speed, memory, and a small comparison on a real model.

    python -m scripts.gpu_check --out FOLDER [--model FOLDER] [--data TASK=FILE …] [--quick]

Sections, in this order; each writes FOLDER/gpu_check.json as soon as it is done, so that a machine that goes away
leaves what was measured, and an error in one section is recorded and does not end the others:

    device      its name, memory, driver, versions of torch and transformers, the peak of a matrix product and of a copy
    noise       the identity-keyed noise, eager and compiled, equal to the CPU's bit for bit
    draws       chi-square of every strategy's draws against its exact distribution, as in `edt selftest`
    exactness   float64: the batched engine's tokens equal the reference engine's on this device, and those of the CPU;
                float32 and bfloat16 on --model: greedy tokens equal to transformers' generate
    study       `edt generate` and `edt score` on --data with --model: strategy=wide_grid on the dev halves
    rows        tokens per second of a sweep as a function of engine.max_rows, with the share of time in the model
    profile     the kernels of some steps: how long the device is busy, with what, how often Python waits for it
    sweep_real  scripts.bench_sweep on --model
    sweep       scripts.bench_sweep on a 1B shape in bfloat16
    step        scripts.bench_step on a 1B shape

Runs on a CPU as well (smaller, to try it out). The last line is one JSON object with the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from edt.benchmark.random_model import random_model, random_prompts
from edt.benchmark.timing import ModelTimer, seconds_of, synchronize
from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.selftest.draws import draw_outcomes
from edt.selftest.engines import (
    FAMILIES,
    TEXTS,
    count_equal,
    decode_rows,
    decode_tokens,
    greedy_agreement,
    text_prompts,
)
from edt.selftest.known_noise import compare_with_cpu
from edt.selftest.outcome import failures
from scripts.bench_sweep import SETTINGS


class Check:
    """The figures of all sections, written after each."""

    def __init__(self, folder: Path, seconds: float, only: Sequence[str] | None) -> None:
        """Begin; the sections together may take so many seconds. only: the sections to run, None for all."""
        self.folder, self.deadline, self.only = folder, time.monotonic() + seconds, only
        self.figures: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    def section(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Run a section, note its figures or its error, and write all that is known by now."""
        if self.only is not None and name not in self.only:
            return
        start = time.monotonic()
        if self.left < 20:
            self.figures[name] = {"skipped": "no time left"}
        else:
            try:
                self.figures[name] = work()
            # The machine may be gone in a minute: whatever a section raises is recorded, and the next one is tried.
            except Exception as error:
                self.figures[name] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        self.figures[name]["section_seconds"] = round(time.monotonic() - start, 1)
        print(f"{name}: {json.dumps(self.figures[name])[:600]}", flush=True)
        (self.folder / "gpu_check.json").write_text(json.dumps(self.figures, indent=1) + "\n", encoding="utf-8")


def device_figures(device: torch.device) -> dict[str, Any]:
    """Return what the machine is, and the two ceilings of everything else: matrix products and memory traffic."""
    import transformers

    figures: dict[str, Any] = {"torch": torch.__version__, "transformers": transformers.__version__}
    if device.type != "cuda":
        return figures | {"name": "CPU", "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(device)
    size = 8192
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    b = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    wide = torch.empty(2**30, device=device, dtype=torch.uint8)
    copy = torch.empty_like(wide)
    for _ in range(3):
        a @ b
        copy.copy_(wide)
    product = min(seconds_of(lambda: a @ b) for _ in range(10))
    copied = min(seconds_of(lambda: copy.copy_(wide)) for _ in range(10))
    return figures | {
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
        "matmul_bf16_tflops": round(2 * size**3 / product / 1e12),
        "copy_gb_per_s": round(2 * wide.numel() / copied / 1e9),
    }


def draws_figures(device: torch.device, quick: bool) -> dict[str, Any]:
    """Compare the draws of every strategy with their exact distributions, as `edt selftest` does."""
    outcomes = draw_outcomes(device, draws=2000 if quick else 100_000, seed=0)
    return {
        "checks": len(outcomes),
        "failed": [f"{one.name}: {one.figure}" for one in failures(outcomes, 1e-6)],
        "smallest_p": min(one.p for one in outcomes if one.p is not None),
    }


def exactness_figures(device: torch.device, model: str | None, quick: bool) -> dict[str, Any]:
    """Compare tokens: batched with reference, this device with the CPU (float64), and greedy with transformers."""
    sizes = {"samples": 2, "tokens": 8 if quick else 16}
    made = {
        where.type: random_model("tiny", vocabulary=4096, dtype="float64", device=where)
        for where in (torch.device("cpu"), device)
    }
    prompts = random_prompts(made[device.type], 3, 48)
    batched = decode_tokens(made[device.type], prompts, FAMILIES, spec=BatchedSpec(), **sizes)
    reference = decode_tokens(made[device.type], prompts, FAMILIES, spec=ReferenceSpec(), **sizes)
    figures: dict[str, Any] = {
        "float64_rows": len(batched),
        "float64_equal_to_reference": count_equal(batched, reference),
    }
    if device.type != "cpu":
        # The same weights: the random model is made on each device by its own generator, so they are copied over.
        made["cpu"].model.load_state_dict(made[device.type].model.state_dict())
        on_cpu = decode_tokens(made["cpu"], prompts, FAMILIES, spec=BatchedSpec(), **sizes)
        figures["float64_equal_to_cpu"] = count_equal(batched, on_cpu)
    if model is not None:
        figures["greedy_equal_to_generate"] = {
            dtype: greedy_figures(model, dtype, device, quick) for dtype in ("float32", "bfloat16")
        }
    return figures


def greedy_figures(path: str, dtype: str, device: torch.device, quick: bool) -> dict[str, Any]:
    """Return how many greedy rows of the batched engine equal transformers' generate, of texts of unequal length."""
    model = LanguageModel.load(ModelSpec(path=path, dtype=dtype, device=str(device)))
    prompts = text_prompts(model, TEXTS[:3] if quick else TEXTS)
    tokens = 16 if quick else 48
    return {"equal": greedy_agreement(model, prompts, tokens), "rows": len(prompts), "tokens": tokens}


def rows_figures(device: torch.device, quick: bool, check: Check) -> dict[str, Any]:
    """Measure rows × steps per second of a sweep for several engine.max_rows, and the share of the model in it."""
    shape, dtype = ("llama-1b", "bfloat16") if device.type == "cuda" else ("smollm-135m", "float32")
    model = random_model(shape, dtype=dtype, device=device)
    prompts = random_prompts(model, 2 if quick else 64, 128 if quick else 512)
    tokens, samples = (4, 2) if quick else (32, 8)
    figures: dict[str, Any] = {"shape": shape, "dtype": dtype, "prompts": len(prompts), "settings": len(SETTINGS)}
    for max_rows in (256, 512) if quick else (1024, 4096, 16384, 65536):
        if check.left < 60:
            break
        engine = BatchedSpec(max_rows=max_rows).build(model)
        decode_rows(engine, prompts[:1], SETTINGS, samples=samples, tokens=4)  # compile the passes
        timer = ModelTimer(model.model)
        with timer:
            start = time.perf_counter()
            results = decode_rows(engine, prompts, SETTINGS, samples=samples, tokens=tokens)
            synchronize()
            seconds = time.perf_counter() - start
        steps = sum(len(generation.token_ids) for generation in results)
        figures[str(max_rows)] = {
            "seconds": round(seconds, 2),
            "row_steps_per_s": round(steps / seconds),
            "model_share": round(timer.seconds / seconds, 3),
            "model_calls": timer.calls,
            "peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 1) if device.type == "cuda" else None,
        }
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
    return figures


def profile_figures(device: torch.device, path: str | None, folder: Path, quick: bool) -> dict[str, Any]:
    """Profile the steps of one batch of each model; the tables of operations go to FOLDER/profile_NAME.txt."""
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    figures: dict[str, Any] = {"dtype": dtype}
    for shape in ("smollm-135m",) if device.type == "cpu" else ("llama-1b", "smollm-135m"):
        figures[shape] = _profiled(random_model(shape, dtype=dtype, device=device), shape, folder, quick)
    if path is not None:
        real = LanguageModel.load(ModelSpec(path=path, dtype=dtype, device=str(device)))
        figures["model"] = _profiled(real, "model", folder, quick)
    return figures


def _profiled(model: LanguageModel, name: str, folder: Path, quick: bool) -> dict[str, Any]:
    from torch.profiler import ProfilerActivity, profile

    cuda = model.device.type == "cuda"
    # Settings × samples × prompts rows in one batch.
    prompts = random_prompts(model, 64 if cuda and not quick else 2, 512 if cuda else 64)
    samples, tokens = 8, 16 if cuda else 8
    # One engine: a new one tries the sharing of prompts again.
    engine = BatchedSpec().build(model)
    decode_rows(engine, prompts, SETTINGS, samples=samples, tokens=tokens)
    synchronize()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as recorded:
        start = time.perf_counter()
        decode_rows(engine, prompts, SETTINGS, samples=samples, tokens=tokens)
        synchronize()
        seconds = time.perf_counter() - start

    events = recorded.key_averages()
    orders = ("self_device_time_total", "self_cpu_time_total") if cuda else ("self_cpu_time_total",)
    tables = [events.table(sort_by=order, row_limit=50, max_name_column_width=90) for order in orders]
    (folder / f"profile_{name}.txt").write_text("\n".join(tables), encoding="utf-8")
    counts = {event.key: event.count for event in events}
    calls = ("cudaLaunchKernel", "cudaStreamSynchronize", "cudaMemcpyAsync", "aten::item", "aten::nonzero")
    return {
        "rows": len(prompts) * len(SETTINGS) * samples,
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "device_busy_seconds": round(sum(event.self_device_time_total for event in events) / 1e6, 3),
        "calls": {call: counts.get(call, 0) for call in calls},
    }


def benchmark(module: str, arguments: Sequence[str], seconds: float) -> dict[str, Any]:
    """Run a benchmark script in a process and return the JSON object of its last line."""
    shown = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=max(10.0, seconds)
    )
    if shown.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with {shown.returncode}: {shown.stderr[-400:]}")
    figures: dict[str, Any] = json.loads(shown.stdout.strip().splitlines()[-1])
    return figures


def study_figures(model: str, data: Sequence[str], folder: Path, device: torch.device, quick: bool) -> dict[str, Any]:
    """Decode the dev half of each data file with the settings of strategy=wide_grid, and score it; tables and times.

    data: TASK=FILE, as xlsum=articles.jsonl. The test half is not read: it is left for a confirmation.
    """
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    figures: dict[str, Any] = {"dtype": dtype}
    for entry in data:
        task, _, file = entry.partition("=")
        # The folder's name is in no identity, and is not shown: the figures name the task alone.
        common = [f"task={task}", f"task.path={file}", "task.split=dev", f"paths.runs={folder / 'runs'}"]
        words = [
            *common,
            "model=hf",
            f"model.path={model}",
            f"model.dtype={dtype}",
            "model.chat_template=true",
            f"task.limit={2 if quick else 'null'}",
            f"task.max_new_tokens={8 if quick else 48}",
            "task.max_prompt_tokens=1024",
            "strategy=fixed_grid" if quick else "strategy=wide_grid",
            f"sampling.samples={2 if quick else 8}",
        ]
        decoded_s, log = _edt("generate", words, folder / f"study_{task}.log")
        (run,) = (folder / "runs").glob(f"*{task}*")
        tables = folder / "runs" / f"{task}_tables"
        scored_s, table = _edt("score", [f"runs={run}", f"out={tables}"], folder / f"study_{task}.txt")
        figures[task] = {"decode_seconds": decoded_s, "score_seconds": scored_s, "plan": log[:2], "last": table[-1:]}
        for path in [*tables.glob("table.*"), run / "scores.parquet", run / "manifest.json"]:
            (folder / f"study_{task}_{path.name}").write_bytes(path.read_bytes())
        with tarfile.open(folder / f"study_{task}_statistics.tar.gz", "w:gz") as tar:
            tar.add(run / "statistics", arcname="statistics")
    return figures


def _edt(command: str, words: Sequence[str], log: Path) -> tuple[float, list[str]]:
    """Run a command of edt; return its seconds and the lines that it printed, which are also written to `log`."""
    start = time.perf_counter()
    shown = subprocess.run([sys.executable, "-m", "edt", command, *words], capture_output=True, text=True)
    seconds = round(time.perf_counter() - start, 1)
    log.write_text(shown.stderr + shown.stdout, encoding="utf-8")
    if shown.returncode:
        raise RuntimeError(f"edt {command} ended with {shown.returncode}: {shown.stderr[-400:]}")
    return seconds, (shown.stderr + shown.stdout).strip().splitlines()


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--model", help="folder of a real model (default: random ones only)")
    parser.add_argument("--data", nargs="*", default=[], help="TASK=FILE, for the study: xlsum=articles.jsonl")
    parser.add_argument("--seconds", type=float, default=540, help="for all sections together")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--only", nargs="+", help="these sections alone")
    return parser.parse_args()


def main() -> None:
    """Run all sections and print one line of JSON."""
    args = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check = Check(args.out, args.seconds, args.only)
    quick = ["--quick"] if args.quick else []
    large = ["--shape", "llama-1b"] if device.type == "cuda" else []
    check.section("device", lambda: device_figures(device))
    check.section("noise", lambda: compare_with_cpu(device))
    check.section("draws", lambda: draws_figures(device, args.quick))
    check.section("exactness", lambda: exactness_figures(device, args.model, args.quick))
    if args.model and args.data:
        check.section("study", lambda: study_figures(args.model, args.data, args.out, device, args.quick))
    check.section("rows", lambda: rows_figures(device, args.quick, check))
    check.section("profile", lambda: profile_figures(device, args.model, args.out, args.quick))
    # One repeat: a GPU that is lent for minutes is not shared with others, and generate takes a minute each time.
    many = ["--prompts", "32", "--max-rows", "65536"] if device.type == "cuda" else []
    sweep = ["--repeats", "1", *many, *quick]
    if args.model:
        texts = ["--data", str(args.articles), "--field", "text"] if args.articles else []
        real = ["--model", args.model, *texts, *sweep]
        check.section("sweep_real", lambda: benchmark("scripts.bench_sweep", real, check.left))
    check.section("sweep", lambda: benchmark("scripts.bench_sweep", [*large, *sweep], check.left))
    check.section("step", lambda: benchmark("scripts.bench_step", [*large, *quick], check.left))
    print(json.dumps(check.figures))


if __name__ == "__main__":
    main()
