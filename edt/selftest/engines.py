"""The engines against each other on the model at hand: batched, reference, and transformers' generate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.engine import Engine
from edt.decoding.engine_specs import BatchedSpec, ModelEngineSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Generation, Prompt
from edt.selftest.outcome import Outcome
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.strategies.base import Strategy

FAMILIES: tuple[Strategy, ...] = (
    Fixed(t0=0.0),
    Fixed(t0=1.0),
    Fixed(t0=1.0, top_k=20),
    Fixed(t0=1.2, min_p=0.05),
    EDT(t0=1.0, theta=0.5),
    EDT(t0=1.2, theta=0.3, top_p=0.9),
    EDT(t0=1.1, theta=0.4, granularity="instance"),
    KLD(t0=1.0, sigma=1.0),
    Dynatemp(t_min=0.2, t_max=1.5),
    Fixed(t0=1.2, typical_p=0.8),
    Fixed(t0=1.4, top_h=0.5),
    Switch(t_high=1.2, t_low=0.4, h=1.0),
    Schedule(t_high=1.3, t_low=0.3, decay=4.0),
    ShuffledEDT(t0=1.2, theta=0.5),
    InvertedEDT(t0=1.2, theta=0.5),
    RandomT(q0=0.2, q25=0.5, q50=0.8, q75=1.0, q100=1.4),
)
"""One or two of each family: what must be exact."""

TEXTS = (
    "The city council voted on Tuesday to",
    "Once upon a time there was a lighthouse keeper who",
    "In physics, entropy is",
    "Q: What is the capital of France?\nA:",
    "def fibonacci(n):\n    ",
    "The weather over the northern coast will stay cold until the weekend, the service said, with snow expected in",
    "She opened the letter and read:",
    "Ingredients: two eggs, a cup of flour,",
)
"""Short texts of unequal length."""

LARGEST_IN_FLOAT64 = 2_000_000_000
"""Weights up to which a model is also loaded in float64 where nothing else is said: 16 GB."""

MOST_WORK_ON_CPU = 35_000_000_000
"""Steps of the reference engine times weights, where sizes are not given: a minute of one core."""

LEAST_AGREEMENT = 0.5
"""Share of equal greedy rows below which a model's own dtype is no explanation."""

Rows = dict[tuple[str, str, int], tuple[int, ...]]
"""Tokens by example, strategy and sample."""

_WRONG_ENGINE = "the batched engine does not draw what the reference engine defines: runs of this model are wrong here"
_WRONG_GREEDY = "greedy decoding is not that of transformers' generate: the model is read wrongly here"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is decoded. prompts: of TEXTS. samples: of each setting. tokens: of each row."""

    prompts: int = 3
    samples: int = 2
    tokens: int = 16

    @classmethod
    def fitting(cls, parameters: int, device: torch.device, *, prompts: int | None, tokens: int | None) -> Sizes:
        """Return the sizes for a model: smaller ones for a large model on a CPU, but where they are given.

        The reference engine decodes each row alone, and a step of it takes time by the model's weights.
        """
        given = {name: value for name, value in {"prompts": prompts, "tokens": tokens}.items() if value is not None}
        choices = [replace(sizes, **given) for sizes in (cls(), *_SHORTER)]
        if device.type != "cpu":
            return choices[0]
        return next((sizes for sizes in choices if sizes._steps * parameters <= MOST_WORK_ON_CPU), choices[-1])

    @property
    def _steps(self) -> int:
        """Steps of the reference engine; reading a prompt costs as much as some more tokens."""
        return self.prompts * len(FAMILIES) * self.samples * (4 + self.tokens)


_SHORTER = (
    Sizes(tokens=8),
    Sizes(prompts=2, tokens=8),
    Sizes(prompts=2, samples=1, tokens=8),
    Sizes(prompts=2, samples=1, tokens=4),
)
"""What is tried for large models. Two prompts, which differ in length: with one there is no padding to be wrong. Four
tokens: rows of a prompt's settings have to part, and to continue after that.
"""


def engine_outcomes(spec: ModelSpec, *, tokens: int | None, prompts: int | None, float64: bool | None) -> list[Outcome]:
    """Return the checks of the engines on a model: in float64, where all must be equal, and in its own dtype.

    tokens, prompts: see Sizes; None: what fits. float64: whether to load the model in float64 as well; None: where it
    has LARGEST_IN_FLOAT64 weights or fewer.
    """
    own = LanguageModel.load(spec)
    sizes = Sizes.fitting(own.parameters, own.device, prompts=prompts, tokens=tokens)
    outcomes = _size_note(sizes, own.parameters, prompts=prompts, tokens=tokens)
    texts = text_prompts(own, TEXTS[: sizes.prompts])
    exact = own.parameters <= LARGEST_IN_FLOAT64 if float64 is None else float64
    dtype = str(own.model.dtype).removeprefix("torch.")
    # A model that is in float64 already needs no second comparison.
    if not (exact and dtype == "float64"):
        outcomes += _compare(own, texts, sizes, dtype=dtype, strict=False)
    if exact:
        # The first model goes before the second comes: together they may not fit.
        del own
        model = LanguageModel.load(replace(spec, dtype="float64"))
        outcomes += _compare(model, texts, sizes, dtype="float64", strict=True)
    return outcomes


def _size_note(sizes: Sizes, parameters: int, *, prompts: int | None, tokens: int | None) -> list[Outcome]:
    """Return a note where less is decoded than by default; what the user gave needs none."""
    full = Sizes()
    wanted = Sizes(prompts=prompts or full.prompts, tokens=tokens or full.tokens)
    if sizes == wanted:
        return []
    figure = (
        f"{sizes.prompts} texts × {sizes.samples} samples × {sizes.tokens} tokens, since {parameters:,} weights take a "
        f"CPU long; without: {wanted.prompts} × {wanted.samples} × {wanted.tokens}"
    )
    return [Outcome(part="engine", name="shortened", figure=figure, means="")]


def _compare(
    model: LanguageModel, prompts: Sequence[Prompt], sizes: Sizes, *, dtype: str, strict: bool
) -> list[Outcome]:
    """Compare the engines. strict: all rows must be equal; else rounding may part some of them."""

    def outcome(name: str, equal: int, rows: int, means: str) -> Outcome:
        # In a short dtype one draw in thousands is a near tie, and from there on the row is another text.
        passed = equal == rows if strict else equal >= LEAST_AGREEMENT * rows
        figure = f"{equal} of {rows} rows of {sizes.tokens} tokens equal" + (
            "" if strict else ", rounding may part some"
        )
        return Outcome(part="engine", name=f"{name}, {dtype}", figure=figure, passed=passed, means=means)

    # All families in one batch, as a study decodes them, against each row alone.
    amount = {"samples": sizes.samples, "tokens": sizes.tokens}
    batched = decode_tokens(model, prompts, FAMILIES, spec=BatchedSpec(), **amount)
    reference = decode_tokens(model, prompts, FAMILIES, spec=ReferenceSpec(), **amount)
    equal = count_equal(batched, reference)
    greedy = greedy_agreement(model, prompts, sizes.tokens)
    return [
        outcome("batched as reference", equal, len(batched), _WRONG_ENGINE),
        outcome("greedy as transformers", greedy, len(prompts), _WRONG_GREEDY),
    ]


def greedy_agreement(model: LanguageModel, prompts: Sequence[Prompt], tokens: int) -> int:
    """Return how many greedy rows of the batched engine equal those of transformers' generate."""
    # Without noise, so that a generator of another program plays no part.
    greedy = [Fixed(t0=0.0)]
    ours = decode_tokens(model, prompts, greedy, spec=BatchedSpec(), samples=1, tokens=tokens)
    theirs = decode_tokens(model, prompts, greedy, spec=HFGenerateSpec(), samples=1, tokens=tokens)
    return count_equal(ours, theirs)


def decode_rows(
    engine: Engine, prompts: Sequence[Prompt], strategies: Sequence[Strategy], *, samples: int, tokens: int
) -> list[Generation]:
    """Return what an engine decodes, chunk by chunk as a run would."""
    # No stop texts: a row that ends early would compare fewer tokens.
    limits = Limits(max_new_tokens=tokens, stop=())
    request = DecodeRequest.all_rows(prompts, strategies, sampling=Sampling(samples=samples), limits=limits)
    return [row for chunk in request.chunks(engine.plan(request)) for row in engine.generate(chunk)]


def decode_tokens(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    strategies: Sequence[Strategy],
    *,
    spec: ModelEngineSpec,
    samples: int,
    tokens: int,
) -> Rows:
    """Return the tokens alone, by example, strategy and sample."""
    rows = decode_rows(spec.build(model), prompts, strategies, samples=samples, tokens=tokens)
    return {(row.example_id, row.strategy_id, row.sample): row.token_ids for row in rows}


def count_equal(some: Rows, others: Rows) -> int:
    """Return how many rows have the same tokens in both."""
    return sum(tokens == others[key] for key, tokens in some.items())


def text_prompts(model: LanguageModel, texts: Sequence[str]) -> list[Prompt]:
    """Return texts as prompts; without its source each is its first characters."""
    return [
        Prompt(
            task="selftest",
            split="test",
            example_id=str(number),
            cluster_id=str(number),
            token_ids=tuple(model.tokenize(text)),
            unconditional_ids=tuple(model.tokenize(text[:8])),
            truncated_tokens=0,
        )
        for number, text in enumerate(texts)
    ]
