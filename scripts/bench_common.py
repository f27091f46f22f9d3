"""What the speed benchmarks share: a model, prompts, clocks, memory. Import it before torch."""

from __future__ import annotations

import json
import os
import platform
import statistics
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich.console import Console
from rich.table import Table
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from edt.decoding.model import LanguageModel, ModelSpec
from edt.decoding.signals import entropy
from edt.records import Prompt

SHAPES: dict[str, dict[str, Any]] = {
    "smollm-135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                    "num_attention_heads": 9, "num_key_value_heads": 3},
    "llama-1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                 "num_attention_heads": 32, "num_key_value_heads": 8},
    "llama-8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                 "num_attention_heads": 32, "num_key_value_heads": 8},
}  # fmt: skip
"""Shapes of random models: SmolLM-135M's, and those of two Llamas for a GPU."""

TARGET_ENTROPY = 1.0
"""Mean entropy in nats to which a random model's logits are scaled: real models are about as sure."""
CALIBRATIONS = 7
"""Halvings of the interval in which the scale is sought: it is found within a few percent."""


class NoTokenizer:
    """Stands for the tokenizer of a random model: the benchmarks read token ids, not texts, and nothing ends a row."""

    pad_token_id = 0
    eos_token_id = None

    def __len__(self) -> int:
        return 1

    def batch_decode(self, token_ids: Sequence[Sequence[int]], **_: Any) -> list[str]:
        """Empty texts."""
        return ["" for _ in token_ids]


def device_of(args: Namespace) -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_model(args: Namespace, vocabulary: int | None = None) -> LanguageModel:
    """The folder `--model`, or a random Llama of `--shape`; float32 on a CPU, bfloat16 on a GPU unless `--dtype`."""
    device = device_of(args)
    dtype = args.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    if args.model:
        loaded = LanguageModel.load(ModelSpec(path=args.model, dtype=dtype, device=str(device)))
        vars(loaded)["eos_ids"] = frozenset()  # every row of every contender goes on to the last step
        return loaded
    torch.manual_seed(0)
    sizes = SHAPES[args.shape] | {"vocab_size": vocabulary or 49152, "max_position_embeddings": 2048}
    config = LlamaConfig(**sizes, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=0)
    with device:
        model = LlamaForCausalLM(config)
    model = model.to(getattr(torch, dtype)).eval().requires_grad_(False)
    scale_entropy(model)
    spec = ModelSpec(path=f"random {args.shape}", dtype=dtype, device=str(device))
    return LanguageModel(spec=spec, folder=Path(), adapter=None, model=model, tokenizer=NoTokenizer())


@torch.inference_mode()
def scale_entropy(model: Any) -> None:
    """Scale the norm ahead of the head, and with it the logits, until the mean entropy is TARGET_ENTROPY.

    It is that of texts which the model writes itself at T = 1: a random model likes to repeat itself, so on random
    texts it would be another.
    """
    weight, low, high = model.model.norm.weight, 1.0, 100.0
    for _ in range(CALIBRATIONS):
        middle = (low * high) ** 0.5
        weight.fill_(middle)
        low, high = (low, middle) if written_entropy(model) < TARGET_ENTROPY else (middle, high)


def written_entropy(model: Any, texts: int = 16, tokens: int = 16) -> float:
    """Mean entropy over the tokens that a model adds to random prompts at T = 1."""
    generator = torch.Generator(model.device).manual_seed(1)
    ids = torch.randint(3, model.config.vocab_size, (texts, 32), generator=generator, device=model.device)
    cache, found = DynamicCache(), []
    for _ in range(tokens):
        logits = model(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].float()
        found.append(entropy(logits))
        ids = torch.multinomial(logits.softmax(-1), 1, generator=generator)
    return float(torch.stack(found).mean())


def random_prompts(model: LanguageModel, count: int, length: int) -> list[Prompt]:
    """Prompts of random tokens; the last eighth stands for the prompt without its source."""
    ids = torch.randint(3, model.vocabulary, (count, length), generator=torch.Generator().manual_seed(2)).tolist()
    return [
        Prompt(
            task="bench",
            split="test",
            example_id=str(number),
            cluster_id=str(number),
            token_ids=tuple(row),
            plain_ids=tuple(row[-(length // 8) :]),
            truncated_tokens=0,
        )
        for number, row in enumerate(ids)
    ]


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def alternate(contenders: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each contender, run in turn `repeats` times."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            seconds[name].append(seconds_of(work))
    return seconds


@dataclass
class Peak:
    """Bytes above those at the start, at the highest."""

    extra: int = 0
    samples: list[int] = field(default_factory=list)


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measures the peak: the allocator's on a GPU, resident memory every few milliseconds on a CPU."""
    found = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found.extra = torch.cuda.max_memory_allocated() - before
        return
    before, stop = resident(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            found.samples.append(resident())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found.extra = max([*found.samples, resident()]) - before


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of runs that stood beside each other."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def where(model: LanguageModel) -> dict[str, Any]:
    """What a figure depends on: device, dtype, threads, versions."""
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
    """The processor's name, where the system tells it."""
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
