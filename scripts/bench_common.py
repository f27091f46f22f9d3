"""Share a model, prompts, clocks and memory among the speed benchmarks. Import this before torch."""

from __future__ import annotations

import json
import os
import platform
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# Spinning threads make timings useless on a machine with neighbors; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table

from edt.benchmark.random_model import SHAPES, TARGET_ENTROPY, VOCABULARY, random_model, random_prompts
from edt.benchmark.timing import median_ratio, peak_memory, seconds_of, synchronize
from edt.decoding.ops.kernels import MIN_COMPILED_VOCABULARY
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from edt.tasks.prompts import encode

PASSAGES = Path(__file__).parents[1] / "examples" / "data" / "passages.jsonl"
"""Texts of this repository, for where no others are given."""

__all__ = [
    "alternate",
    "benchmark_parser",
    "data_options",
    "load_model",
    "median_ratio",
    "peak_memory",
    "random_prompts",
    "read_prompts",
    "seconds_of",
    "show",
    "synchronize",
    "where",
]


def benchmark_parser(about: str | None, *, length: int, quick: str) -> ArgumentParser:
    """Return a parser with the options of every benchmark that has a model.

    length: the default tokens of a prompt. quick: the help of `--quick`.
    """
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model, such as edt:smollm2_135m (default: a random one of --shape)")
    parser.add_argument("--shape", choices=list(SHAPES), default="smollm-135m")
    parser.add_argument("--dtype", help="default: float32 on a CPU, bfloat16 on a GPU")
    parser.add_argument("--length", type=int, default=length, help="tokens of a prompt")
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def load_model(args: Namespace, vocabulary: int | None = None) -> LanguageModel:
    """Load the folder `--model`, or a random Llama of `--shape`; by default float32 on a CPU, bfloat16 on a GPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = args.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    if args.model:
        chat: Any = {"auto": "auto", "on": True, "off": False}[getattr(args, "chat_template", "auto")]
        loaded = LanguageModel.load(ModelSpec(path=args.model, dtype=dtype, device=str(device), chat_template=chat))
        vars(loaded)["eos_ids"] = frozenset()  # every row of every contender continues to the last step
        return loaded
    entropy = getattr(args, "entropy", TARGET_ENTROPY)
    return random_model(args.shape, vocabulary=vocabulary or VOCABULARY, dtype=dtype, device=device, entropy=entropy)


def compile_setting(model: LanguageModel) -> bool | Literal["if_found"]:
    """Return an `engine.compile` that compiles as in long work, which a benchmark stands for, however short it is."""
    return "if_found" if model.vocabulary >= MIN_COMPILED_VOCABULARY else False


def data_options(parser: ArgumentParser) -> None:
    """Add the options that say which texts a real model reads."""
    parser.add_argument("--data", type=Path, default=PASSAGES, help="JSON lines whose texts a real model reads")
    parser.add_argument("--field", default="passage", help="the column with the text")
    parser.add_argument(
        "--chat-template",
        choices=["auto", "on", "off"],
        default="auto",
        help="off: a prompt that the model continues as a base model would, at a higher entropy",
    )


def read_prompts(args: Namespace, model: LanguageModel) -> list[Prompt]:
    """Return `--prompts` prompts of at most `--length` tokens, from `--data`; random ones for a random model."""
    if not args.model:
        return random_prompts(model, args.prompts, args.length)
    template = Template(head="Summarize the text in one sentence.\n\n", source=f"{{{args.field}}}", tail="\n\nSummary:")
    # The column is its own reference, since nothing is scored here.
    task = JsonLines(path=str(args.data), reference=args.field, template=template, limit=args.prompts)
    return [encode(example, model.tokenize, budget=args.length) for example in task.load("all").examples]


@dataclass(frozen=True)
class Times:
    """The wall and CPU seconds of each contender, repeat by repeat."""

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]


def alternate(contenders: dict[str, Callable[[], object]], repeats: int) -> Times:
    """Run the contenders in turn, `repeats` times each."""
    times = Times({name: [] for name in contenders}, {name: [] for name in contenders})
    for _ in range(repeats):
        for name, work in contenders.items():
            used = time.process_time()
            times.wall[name].append(seconds_of(work))
            times.cpu[name].append(time.process_time() - used)
    return times


def where(model: LanguageModel) -> dict[str, Any]:
    """Return what a figure depends on: device, dtype, threads, versions."""
    device = model.device
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_name()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "mkl_cbwr": os.environ.get("MKL_CBWR"),
        "model": model.spec.path,
        "dtype": str(model.model.dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }


def cpu_name() -> str:
    """Return the processor's name, where the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], figures: dict[str, Any]) -> None:
    """Print a table, and the figures as one line of JSON."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    print(json.dumps(figures))
