"""Rows that an engine decodes from a few prompts of the random model, for the tests of every engine."""

import dataclasses

from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.records import Prompt
from edt.strategies import EDT, KLD, Dynatemp, Fixed

TEXTS = ["The capital", "Once upon a time there was a small model that", "a", "x y z x y z x y"]
OF_GENERATE = [
    Fixed(t0=0),
    Fixed(t0=0.9),
    Fixed(t0=1, top_k=5),
    EDT(t0=1.2, theta=0.7),
    EDT(t0=1, theta=0.2, top_p=0.8),
    EDT(t0=1.3, theta=0.4, granularity="instance"),
    KLD(t0=1.2, sigma=1.5),
    KLD(t0=0.8, sigma=3, min_p=0.1),
    Dynatemp(t_min=0.2, t_max=1.5),
    Dynatemp(t_min=0.2, t_max=1.5, granularity="instance", top_k=20),
]
"""Strategies of every kind that engine=hf_generate can decode."""


def prompt(tiny, number, text):
    """A prompt; without its source it is its first three characters."""
    return Prompt(
        task="task",
        split="test",
        example_id=f"example-{number}",
        cluster_id=f"example-{number}",
        token_ids=tuple(tiny.tokenize(text)),
        unconditional_ids=tuple(tiny.tokenize(text[:3])),
        truncated_tokens=0,
    )


def generate(model, prompts, strategies, *, spec=None, samples=2, tokens=12, stop=(), rows=None, batch=512, **how):
    """What the engine (batched by default) decodes, by example, strategy and sample."""
    engine = (BatchedSpec() if spec is None else spec).build(model)
    limits, sampling = Limits(max_new_tokens=tokens, stop=stop), Sampling(samples=samples, **how)
    request = DecodeRequest.all_rows(prompts, strategies, sampling=sampling, limits=limits)
    request = dataclasses.replace(request, rows=rows or request.rows, rows_per_batch=batch)
    return {(g.example_id, g.strategy_id, g.sample): g for g in engine.generate(request)}


def plan(engine, prompts, strategies, rows, limits):
    """The engine's plan for these rows of the prompts."""
    return engine.plan(
        DecodeRequest(prompts=prompts, strategies=strategies, rows=rows, sampling=Sampling(), limits=limits)
    )


def tokens_of(generations):
    """Their tokens."""
    return {key: generation.token_ids for key, generation in generations.items()}


def check_ends(model, generations, *, tokens, stop):
    """Each row ends as its finish reason says, and its text before the stop string."""
    for g in generations.values():
        raw = model.decode([g.token_ids])[0]
        if g.finish_reason == "eos":
            assert g.token_ids[-1] == 2
            assert 2 not in g.token_ids[:-1]
        elif g.finish_reason == "stop":
            assert raw.endswith(stop)
            assert sum(raw.count(word) for word in stop) == 1
        else:
            assert len(g.token_ids) == tokens
        before = raw
        for word in stop:
            before = before.split(word)[0]
        assert g.text == before.strip()
