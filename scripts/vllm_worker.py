"""Decode sweeps with vLLM on a CPU, on request: the half of `scripts.bench_vllm` that vLLM's own Python runs.

The first line of the input is a JSON object: model, dtype, threads, prompts (token ids), temperatures, samples, tokens.
Each further line starts one sweep. Answers are lines that begin with ANSWER; whatever else vLLM prints is not read.
It imports nothing of edt: vLLM has a separate environment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

ANSWER = "ANSWER "


def cpu_seconds() -> float:
    """Return the user and system time of this process and of the children that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def answer(content: dict[str, Any]) -> None:
    """Write one line for the caller."""
    print(ANSWER + json.dumps(content), flush=True)


def main() -> None:
    """Load the model, then decode a sweep for each line of the input."""
    job = json.loads(sys.stdin.readline())
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: job["threads"]]))
    os.environ["OMP_NUM_THREADS"] = str(job["threads"])
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = cores
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "2"  # GiB
    # In this process, so that its CPU time can be read.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

    start = time.perf_counter()
    from vllm import LLM, SamplingParams, TokensPrompt, __version__

    most = max(map(len, job["prompts"])) + job["tokens"]
    engine = LLM(
        model=job["model"],
        dtype=job["dtype"],
        enable_prefix_caching=True,
        enable_chunked_prefill=False,
        block_size=32,
        max_model_len=most,
        max_num_batched_tokens=max(2048, most),
        max_num_seqs=256,
        seed=0,
    )
    answer({"vllm": __version__, "start_seconds": round(time.perf_counter() - start, 1)})

    # Each prompt once per setting, its settings one after another: the second finds the prompt in the prefix cache.
    requests = [(ids, temperature) for ids in job["prompts"] for temperature in job["temperatures"]]
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids, _ in requests]
    for line in sys.stdin:
        tokens = int(line)
        parameters = [
            # vLLM refuses several greedy samples, which would be equal: it decodes one.
            SamplingParams(
                n=job["samples"] if t > 0 else 1, temperature=t, max_tokens=tokens, ignore_eos=True, detokenize=False
            )
            for _, t in requests
        ]
        # What an earlier sweep has read must not serve this one.
        engine.reset_prefix_cache()
        before, start = cpu_seconds(), time.perf_counter()
        outputs = engine.generate(prompts, parameters, use_tqdm=False)
        seconds, used = time.perf_counter() - start, cpu_seconds() - before
        drawn = sum(len(sequence.token_ids) for output in outputs for sequence in output.outputs)
        answer({"seconds": seconds, "cpu_seconds": used, "tokens": drawn})


if __name__ == "__main__":
    main()
