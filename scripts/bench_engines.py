"""Compare engine=vllm with engine=batched in one process: rows, the reason of each difference, distributions, time.

    make test-vllm
    .venv-vllm/bin/python -m scripts.bench_engines [--prompts N] [--tokens N] [--draws N] [--out FILE.md]

Both decode the same rows, of every family but KLD, with the same noise; where a row differs, the draw at its first
other token is made again from the logits of each engine. A difference is explained where the two engines' own scores
put the two tokens in the two orders: the draw's margin is below the difference of their logits. The last line is one
JSON object; --out also writes a page.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench_common import compile_setting, show, where

import torch  # isort: skip  after bench_common, which sets the threads' waiting policy
from scipy.stats import chisquare

from edt.adapters.vllm_engine import VLLMEngine
from edt.adapters.vllm_spec import VLLMSpec
from edt.decoding.engine import Engine, noise_key
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.ops.noise import gumbel_noise
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Generation, Prompt
from edt.selftest.engines import FAMILIES, TEXTS
from edt.strategies import EDT, KLD, Dynatemp, Fixed
from edt.strategies.base import Strategy
from edt.tasks.prompts import text_prompt
from edt.tracing.distribution import sampling_probabilities, strategy_temperature
from edt.tracing.teacher_forcing import forced_logits

DECODABLE = [strategy for strategy in FAMILIES if not isinstance(strategy, KLD)]
DISTRIBUTIONS = [Fixed(t0=1.0), Fixed(t0=1.2, min_p=0.05), EDT(t0=1.0, theta=0.5), Dynatemp(t_min=0.2, t_max=1.5)]
SAMPLES = 2
TESTED_PROMPTS = 2
LEAST_EXPECTED = 5.0
"""Draws that a cell of the chi-square test must expect; rarer tokens are one cell."""

Rows = dict[tuple[str, str, int], Generation]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first token in which a row differs: what ours scores above theirs, in ours and by vLLM's own logits."""

    ours: float
    theirs: float

    @property
    def is_explained(self) -> bool:
        """Whether rounding of the logits alone put the two tokens in the other order."""
        return self.ours >= 0 >= self.theirs


def decode(engine: Engine, request: DecodeRequest) -> tuple[Rows, float, float]:
    """Return what an engine decodes, with its wall and CPU seconds."""
    began, used = time.perf_counter(), time.process_time()
    made = [row for chunk in request.chunks(engine.plan(request)) for row in engine.generate(chunk)]
    seconds = time.perf_counter() - began, time.process_time() - used
    return {(row.example_id, row.strategy_id, row.sample): row for row in made}, *seconds


def differences(
    model: LanguageModel, vllm: VLLMEngine, request: DecodeRequest, ours: Rows, theirs: Rows
) -> list[Difference]:
    """Return the first difference of each row that has one."""
    prompts = {prompt.example_id: prompt for prompt in request.prompts}
    strategies = {strategy.strategy_id: strategy for strategy in request.strategies}
    found = []
    for key, one in ours.items():
        other = theirs[key]
        pairs = zip(one.token_ids, other.token_ids, strict=False)
        step = next((step for step, (a, b) in enumerate(pairs) if a != b), None)
        if step is None:
            continue
        prompt = prompts[key[0]]
        noise = noise_key(prompt, strategies[key[1]], key[2], request.sampling)
        found.append(first_difference(model, vllm, prompt, noise, one, other, step))
    return found


def first_difference(
    model: LanguageModel,
    vllm: VLLMEngine,
    prompt: Prompt,
    key: tuple[int, int],
    one: Generation,
    other: Generation,
    step: int,
) -> Difference:
    """Draw again between the two tokens at one step, from each engine's logits and at its own temperature."""
    assert one.trace_temperature is not None
    assert other.trace_temperature is not None
    a, b = one.token_ids[step], other.token_ids[step]
    logits_V = forced_logits(model, prompt.token_ids, one.token_ids[: step + 1])[-1]
    noise_V = gumbel_noise(torch.tensor([key]), step, model.vocabulary, torch.float32)[0]
    drawn = float(noise_V[a] - noise_V[b])
    # Raw log-probabilities: their difference is that of the logits.
    raw = raw_logprobs(vllm, [*prompt.token_ids, *one.token_ids[:step]], [a, b])
    floor = 1e-4

    def score(difference: float, temperature: float) -> float:
        return difference if temperature <= floor else difference / temperature + drawn

    return Difference(
        ours=score(float(logits_V[a] - logits_V[b]), one.trace_temperature[step]),
        theirs=score(raw[a] - raw[b], other.trace_temperature[step]),
    )


def raw_logprobs(vllm: VLLMEngine, token_ids: Sequence[int], tokens: Sequence[int]) -> dict[int, float]:
    """Return vLLM's own log-probabilities of some next tokens, before any processor."""
    from vllm import SamplingParams, TokensPrompt

    params = SamplingParams(
        temperature=0.0, max_tokens=1, logprobs=1, logprob_token_ids=list(tokens), detokenize=False, ignore_eos=True
    )
    (output,) = vllm.llm.generate([TokensPrompt(prompt_token_ids=list(token_ids))], params, use_tqdm=False)
    (at_step,) = output.outputs[0].logprobs
    return {token: at_step[token].logprob for token in tokens}


def chi_square(model: LanguageModel, vllm: VLLMEngine, prompt: Prompt, draws: int) -> dict[str, float]:
    """Return, by setting, the p-value that vLLM's first tokens are draws of the distribution that is meant.

    Each setting has its own noise: with shared noise the tests would be of the same numbers.
    """
    request = DecodeRequest.all_rows(
        [prompt],
        DISTRIBUTIONS,
        sampling=Sampling(samples=draws, noise="per_strategy"),
        limits=Limits(max_new_tokens=1, stop=()),
    )
    made, _, _ = decode(vllm, request)
    logits_1V = forced_logits(model, prompt.token_ids, [0])
    values = {}
    for strategy in DISTRIBUTIONS:
        meant_V = sampling_probabilities(logits_1V, strategy_temperature(logits_1V, strategy), strategy)[0].double()
        counts_V = torch.zeros_like(meant_V)
        for (_, strategy_id, _), row in made.items():
            if strategy_id == strategy.strategy_id:
                counts_V[row.token_ids[0]] += 1
        assert not counts_V[meant_V == 0].any(), "a token that the truncation drops was drawn"
        common_V = draws * meant_V >= LEAST_EXPECTED
        observed = [*counts_V[common_V].tolist(), float(counts_V[~common_V].sum())]
        expected = [*(draws * meant_V[common_V]).tolist(), float(draws * meant_V[~common_V].sum())]
        # A last cell that expects next to nothing would make the test of one rare draw.
        if expected[-1] < LEAST_EXPECTED:
            observed[-2:], expected[-2:] = [sum(observed[-2:])], [sum(expected[-2:])]
        # Where one token has all of the probability, there is nothing to test.
        if len(expected) > 1:
            scale = sum(observed) / sum(expected)
            values[strategy.strategy_id] = float(chisquare(observed, [value * scale for value in expected]).pvalue)
    return values


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="edt:smollm2_135m")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--draws", type=int, default=500, help="first tokens of each distribution")
    parser.add_argument("--compile", action="store_true", help="let both compile, as in long work")
    parser.add_argument("--out", type=Path, help="a page with the figures")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB

    spec = ModelSpec(path=args.model, dtype=args.dtype)
    began = time.perf_counter()
    options = {"max_model_len": 512, "enforce_eager": not args.compile}
    vllm = VLLMSpec(options=options).open(spec)
    start = time.perf_counter() - began
    model = LanguageModel.load(spec)
    batched = BatchedSpec(compile=compile_setting(model) if args.compile else False).build(model)

    prompts = [text_prompt(text, model.tokenize) for text in TEXTS[: args.prompts]]
    figures = measure(model, batched, vllm, prompts, DECODABLE, args)
    figures |= {
        "vllm_start_seconds": round(start, 1),
        "vllm": vllm_version(),
        "load": os.getloadavg()[0],
        **where(model),
    }
    rows = [(name.replace("_", " "), str(value)) for name, value in figures.items() if not isinstance(value, dict)]
    show("engine=vllm and engine=batched", ("figure", "measured"), rows, figures)
    if args.out is not None:
        args.out.write_text(page(figures, rows))


def measure(
    model: LanguageModel,
    batched: Engine,
    vllm: VLLMEngine,
    prompts: Sequence[Prompt],
    strategies: Sequence[Strategy],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Return all figures."""
    request = DecodeRequest.all_rows(
        prompts,
        strategies,
        sampling=Sampling(samples=SAMPLES, trace=True),
        limits=Limits(max_new_tokens=args.tokens, stop=()),
    )
    theirs, vllm_seconds, vllm_cpu = decode(vllm, request)
    ours, our_seconds, our_cpu = decode(batched, request)
    found = differences(model, vllm, request, ours, theirs)
    equal = [key for key, one in ours.items() if one.token_ids == theirs[key].token_ids]
    entropy, temperature = largest_gaps([(ours[key], theirs[key]) for key in equal])
    values = {
        f"{strategy_id}, prompt {number}": value
        for number, prompt in enumerate(prompts[:TESTED_PROMPTS])
        for strategy_id, value in chi_square(model, vllm, prompt, args.draws).items()
    }
    return {
        "rows": len(ours),
        "tokens": sum(len(row.token_ids) for row in ours.values()),
        "equal_rows": len(equal),
        "share_of_equal_rows": round(len(equal) / len(ours), 4),
        "differences": len(found),
        "differences_explained": sum(one.is_explained for one in found),
        "largest_margin_of_a_difference": max((one.ours for one in found), default=0.0),
        "largest_entropy_gap": entropy,
        "largest_relative_temperature_gap": temperature,
        "chi_square_p": {name: round(value, 4) for name, value in values.items()},
        "smallest_chi_square_p": round(min(values.values()), 4),
        "draws_per_distribution": args.draws,
        "seconds_batched": round(our_seconds, 2),
        "seconds_vllm": round(vllm_seconds, 2),
        "cpu_seconds_batched": round(our_cpu, 2),
        "cpu_seconds_vllm": round(vllm_cpu, 2),
        "compiled": args.compile,
    }


def largest_gaps(pairs: Sequence[tuple[Generation, Generation]]) -> tuple[float, float]:
    """Return the largest |ΔH| in nats and |ΔT|/T over the steps of rows that are equal."""
    entropy = temperature = 0.0
    for one, other in pairs:
        entropies = zip(one.trace_entropy or (), other.trace_entropy or (), strict=True)
        entropy = max(entropy, *(abs(a - b) for a, b in entropies))
        both = zip(one.trace_temperature or (), other.trace_temperature or (), strict=True)
        # Below the floor every temperature is the argmax.
        temperature = max(temperature, *(abs(a - b) / max(a, b, 1e-4) for a, b in both))
    return entropy, temperature


def vllm_version() -> str:
    """Return vLLM's version."""
    import vllm

    return str(vllm.__version__)


def page(figures: dict[str, Any], rows: Sequence[tuple[str, str]]) -> str:
    """Return the figures as Markdown."""
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    values = "\n".join(f"| `{name}` | {value} |" for name, value in figures["chi_square_p"].items())
    return f"""# engine=vllm against engine=batched

Written by `python -m scripts.bench_engines` in vLLM's environment: every family but KLD, the same noise, one process.

| figure | measured |
|---|---:|
{table}

vLLM's first tokens against the distribution that is meant, chi-square:

| setting | p |
|---|---:|
{values}

```json
{json.dumps(figures)}
```
"""


if __name__ == "__main__":
    main()
