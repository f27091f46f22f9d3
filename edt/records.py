"""The records that flow through a run and are written to disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "dev", "test", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptParts:
    """A prompt's text in parts: `head + source + turns + tail` is what the model reads.

    head: instruction and labels ahead of the source, never shortened.
    source: the text that answers come from; the token budget shortens it from its end, and the prompt
        "without the source" (the second context of KL-guided temperature) has it empty.
    turns: earlier dialogue turns, oldest first; dropped whole, oldest first, once the source is gone.
    tail: the question and the cue for the answer, never shortened.
    """

    head: str
    source: str
    turns: tuple[str, ...] = ()
    tail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One test item. `cluster_id` groups examples that are not independent (a QuAC dialogue)."""

    task: str
    split: Split
    example_id: str
    cluster_id: str
    parts: PromptParts
    # Several are the rule in question answering; BLEU and ROUGE-L take the best of them.
    references: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON for the task's extra metrics; nothing of it reaches the model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """An example as token ids. `unconditional_ids`: the same prompt without the source, for KL-guided temperature."""

    task: str
    split: Split
    example_id: str
    cluster_id: str
    token_ids: tuple[int, ...]
    # Made for every prompt, since it costs nothing and a strategy of a later command may need it.
    unconditional_ids: tuple[int, ...]
    # Counted for the page and for warnings: an answer may be in what was cut.
    truncated_tokens: int
    """Tokens of the full prompt that the budget cut off."""


FinishReason = Literal["eos", "stop", "length"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One row's output: (example, strategy, sample) with its tokens and what the temperature did (nats, per step).

    What a program that draws elsewhere does not say of temperature and entropy is None.
    """

    task: str
    split: Split
    example_id: str
    cluster_id: str
    strategy_id: str
    family: str
    # A column each on disk: families have different parameters, and some of them are texts.
    params: Mapping[str, float | str]
    granularity: str
    sample: int
    token_ids: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    t_mean: float | None
    t_min: float | None
    t_max: float | None
    h_mean: float | None
    floored_steps: int | None
    """Steps whose temperature fell to the floor, where the draw is the argmax."""
    prompt_tokens: int
    truncated_tokens: int
    # Only on request: a trace takes as many bytes on disk as the token ids.
    trace_entropy: tuple[float, ...] | None = None
    """Entropy at each step, nats; None where tracing was off."""
    trace_temperature: tuple[float, ...] | None = None
    """Temperature at each step; None where tracing was off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """A token that a step could have drawn.

    probability: the model's, at T = 1. sampling_prob: at the step's temperature and after truncation.
    """

    token: str
    probability: float
    sampling_prob: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedToken:
    """A token of an output, and the distribution that it was drawn from; entropy in nats, rank 1 is the likeliest."""

    step: int
    token_id: int
    token: str
    entropy: float
    temperature: float
    rank: int
    probability: float
    sampling_prob: float
    alternatives: tuple[Alternative, ...]
    """The likeliest tokens of the step, the likeliest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedOutput:
    """One output, token by token."""

    strategy_id: str
    sample: int
    text: str
    finish_reason: FinishReason
    t_mean: float
    h_mean: float
    tokens: tuple[TracedToken, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The outputs of one prompt. `origin` says where the prompt comes from; `prompt` is the text that was read."""

    model: str
    origin: str
    prompt: str
    # Empty where the prompt is the user's and belongs to no task.
    references: tuple[str, ...]
    seed: int
    outputs: tuple[TracedOutput, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """One metric of one strategy on one split, with its interval; a missing value is None, never 0."""

    task: str
    split: Split
    model_name: str
    strategy_id: str
    family: str
    params: Mapping[str, float | str]
    granularity: str
    metric: str
    value: float | None
    lo: float | None
    hi: float | None
    confidence: float
    n_examples: int
    n_samples: int
    signature: str
    # What the value was computed from, so that a table can be traced to its run.
    generation_id: str
    note: str = ""
    """The reason why a value is missing, or what qualifies it ("provisional")."""
    is_quality: bool | None = None
    """Whether the metric is the task's quality; None in scores of version 0.1, where its name says it."""
    group_size: int | None = None
    """Samples of a group, within which what depends on their number was computed; None in scores of version 0.1, where
    it is n_samples.
    """
    baseline: str = ""
    """The strategy that this one is compared with; empty where there is none."""
    baseline_origin: str = ""
    """How it became the baseline: as set, or by a choice on dev or on this split."""
    difference: float | None = None
    """This value less the baseline's."""
    difference_lo: float | None = None
    difference_hi: float | None = None
    """The paired interval of the difference, over the resamples that both values share; not adjusted for the number of
    comparisons."""
