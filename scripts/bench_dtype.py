"""Compare bfloat16 with float32 on a real model and real prompts: tokens per second, and what it does to the scores.

    python -m scripts.bench_dtype --path FILE [--model edt:smollm2_135m] [--quick]

FILE holds rows of the task (`--task xlsum`: JSON lines with id, summary and text). Both dtypes decode the same articles
with the same settings and noise, a few articles at a time and in turn, so that each ratio is of neighbors in time. The
outputs of all articles are then scored: for each setting the paired difference bfloat16 − float32 with its interval,
and the share of rows whose tokens are all equal. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from scripts.bench_common import compile_setting, cpu_name, median_ratio, show, synchronize

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy
import pandas as pd

import edt
from edt.cli.build import task_requests
from edt.cli.composition import compose
from edt.decoding.engine_specs import BatchedSpec
from edt.generation.environment import git_commit
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Example
from edt.strategies import EDT, Fixed
from edt.strategies.base import Strategy
from edt.tasks.prompts import prompt_text

DTYPES = ("float32", "bfloat16")
SETTINGS: list[Strategy] = [
    *(Fixed(t0=t0) for t0 in (0.5, 0.7, 1.0)),
    *(EDT(t0=t0, theta=theta) for t0, theta in ((0.8, 0.3), (1.0, 0.5), (1.2, 1.0))),
]
METRICS = ("rouge_l", "self_bleu", "eda")


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="file or folder with rows of the task")
    parser.add_argument("--task", default="xlsum")
    parser.add_argument("--model", default="edt:smollm2_135m")
    parser.add_argument("--articles", type=int, default=40)
    parser.add_argument("--longest", type=int, default=640, help="tokens; articles with longer prompts are left out")
    parser.add_argument("--together", type=int, default=2, help="articles that are decoded before the dtypes change")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32, help="new tokens")
    parser.add_argument("--quick", action="store_true", help="two articles, one at a time, 8 new tokens")
    args = parser.parse_args()
    if args.quick:
        args.articles, args.together, args.tokens = 2, 1, 8
    return args


def load(path: str, dtype: str) -> edt.Model:
    """Return the model in a dtype, on a CPU, with prompts in its chat template where it has one."""
    model = LanguageModel.load(ModelSpec(path=path, dtype=dtype, device="cpu", chat_template="auto"))
    return edt.Model(BatchedSpec(compile=compile_setting(model)).build(model))


def articles(args: argparse.Namespace, model: edt.Model) -> list[Example]:
    """Return the first examples of the task's test split whose prompts are not too long."""
    config = compose("generate", [f"task={args.task}", f"task.path={args.path}", "task.limit=null"])
    (request,) = task_requests(config["task"])
    reader = model.engine.model.prompts
    chosen: list[Example] = []
    for example in request.task.load("test").examples:
        if len(reader.text_ids(prompt_text(example.parts))) <= args.longest:
            chosen.append(example)
        if len(chosen) == args.articles:
            break
    return chosen


def measure(
    models: dict[str, edt.Model], examples: Sequence[Example], args: argparse.Namespace
) -> tuple[dict[str, pd.DataFrame], dict[str, list[float]], dict[str, list[float]]]:
    """Return each dtype's samples, and its tokens per second of wall and of CPU time, group by group."""
    frames: dict[str, list[pd.DataFrame]] = {dtype: [] for dtype in models}
    wall: dict[str, list[float]] = {dtype: [] for dtype in models}
    cpu: dict[str, list[float]] = {dtype: [] for dtype in models}

    groups = [examples[start : start + args.together] for start in range(0, len(examples), args.together)]
    for number, group in enumerate(groups):
        # The order changes as well: whoever is second may find the memory warm.
        for dtype in list(models) if number % 2 else list(models)[::-1]:
            began, used = time.perf_counter(), time.process_time()
            frame = edt.decode(models[dtype], group, SETTINGS, samples=args.samples, max_new_tokens=args.tokens)
            synchronize()
            tokens = sum(map(len, frame["token_ids"]))
            wall[dtype].append(tokens / (time.perf_counter() - began))
            cpu[dtype].append(tokens / (time.process_time() - used))
            frames[dtype].append(frame)
    return {dtype: pd.concat(parts, ignore_index=True) for dtype, parts in frames.items()}, wall, cpu


def effects(frames: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return per setting the scores in float32, the paired differences of bfloat16, and the share of equal rows."""
    wide, half = (frames[dtype] for dtype in DTYPES)
    # One scale for both: EDA's constants are those of float32.
    fixed = edt.score(wide).query("strategy.str.startswith('fixed')").set_index("metric")["value"]
    scale: dict[str, Any] = {"q_star": float(fixed["rouge_l"].max()), "s_star": float(fixed["self_bleu"].max())}
    if min(scale.values()) <= 0:
        raise SystemExit(
            "every output in float32 scores 0, which no scale can be made of; use more articles or tokens."
        )

    rows = []
    for strategy in SETTINGS:
        name = strategy.strategy_id
        own, other = (frame[frame["strategy"] == name].reset_index(drop=True) for frame in (wide, half))
        both = pd.concat([own, other.assign(strategy=f"{name}, bfloat16")], ignore_index=True)
        scores = edt.score(own, **scale).set_index("metric")["value"]
        differences = edt.compare(both, baseline=name, **scale).set_index("metric")
        equal = statistics.mean(a == b for a, b in zip(own["token_ids"], other["token_ids"], strict=True))
        row: dict[str, Any] = {"strategy": name, "equal_rows": round(equal, 4)}
        for metric in METRICS:
            found = differences.loc[metric]
            row[metric] = {
                "float32": _rounded(scores[metric]),
                **{key: _rounded(found[key]) for key in ("difference", "lo", "hi", "p_value")},
            }
        rows.append(row)
    return rows


def _rounded(value: Any) -> float | None:
    """Return a number with three decimals, None for a missing one: differences that are all 0 have no interval."""
    return None if pd.isna(value) else round(float(value), 3)


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    models = {dtype: load(args.model, dtype) for dtype in DTYPES}
    examples = articles(args, models["float32"])
    # Compiles, and fills the caches of the processor's libraries, untimed.
    for model in models.values():
        edt.decode(model, examples[:1], SETTINGS, samples=2, max_new_tokens=4)

    frames, wall, cpu = measure(models, examples, args)
    rows = effects(frames)
    figures = {
        "bfloat16_over_float32_wall": round(median_ratio(wall["bfloat16"], wall["float32"]), 3),
        "bfloat16_over_float32_cpu": round(median_ratio(cpu["bfloat16"], cpu["float32"]), 3),
        "tokens_per_second": {dtype: round(statistics.median(values), 1) for dtype, values in wall.items()},
        "tokens_per_cpu_second": {dtype: round(statistics.median(values), 1) for dtype, values in cpu.items()},
        "mean_entropy": round(float(frames["float32"]["h_mean"].mean()), 3),
        "settings": rows,
        "articles": len(examples),
        "prompt_tokens": round(float(frames["float32"].drop_duplicates("prompt_id")["prompt_tokens"].mean())),
        "samples": args.samples,
        "new_tokens": args.tokens,
        "groups": len(wall["float32"]),
        "model": args.model,
        "device": cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "mkl_cbwr": os.environ.get("MKL_CBWR"),
        "torch": torch.__version__,
        "edt": edt.__version__,
        "commit": git_commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }

    def shown(value: dict[str, float | None]) -> str:
        if None in value.values():
            return "–"
        return f"{value['float32']:.2f} {value['difference']:+.2f} [{value['lo']:+.2f}, {value['hi']:+.2f}]"

    table = [(row["strategy"], *(shown(row[metric]) for metric in METRICS), f"{row['equal_rows']:.1%}") for row in rows]
    columns = ("setting", "ROUGE-L", "Self-BLEU", "EDA", "equal rows")
    show("scores in float32, and the difference of bfloat16 with its 95 % interval", columns, table, figures)


if __name__ == "__main__":
    main()
