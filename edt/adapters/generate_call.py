"""Translate a strategy into arguments of transformers' `generate`. Shapes: R rows, P prompts, V vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from edt.adapters.kld_generate import KLDGenerate
from edt.adapters.sampler_scores import sampler_scores
from edt.adapters.top_n_sigma_warper import TopNSigmaLogitsWarper
from edt.adapters.transformers_processor import EDTLogitsProcessor, Observer
from edt.decoding.loop import check_temperatures
from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.decoding.ops.kernels import shared_kernels
from edt.decoding.ops.signals import collision, surprisal, varentropy
from edt.errors import ConfigError
from edt.models.language_model import LanguageModel
from edt.models.token_rules import TokenRules, decoder_start_id
from edt.records import Prompt
from edt.strategies.base import TRUNCATIONS, Signals, Strategy
from edt.strategies.edt import EDT
from edt.strategies.fixed import Fixed
from edt.strategies.kld import KLD
from edt.strategies.rows import StrategyTable

_CHAINED = frozenset({"top_k", "top_p", "min_p"})
"""Truncations that mean the same in `generate`'s chain as here, whichever of them are combined."""

_OWN_NAMES = ("epsilon_cutoff", "eta_cutoff", "typical_p", "top_h")


def check_strategy(strategy: Strategy, *, encoder_decoder: bool, has_token_rules: bool) -> None:
    """Raise ConfigError for what `generate` has no equivalent for."""
    guided = "kl" in strategy.needs
    kld = strategy if isinstance(strategy, KLD) else None
    truncations = [name for name in TRUNCATIONS if getattr(strategy, name) is not None]
    # The first reason that applies is reported, before anything is decoded.
    reasons = {
        "truncates first (order=truncate_first)": strategy.order != "temperature_first",
        "truncates by p_less": strategy.p_less is not None,
        # There each warper renormalizes what the one before it left; here only top-p and typical do.
        f"combines {' and '.join(truncations)}": len(truncations) > 1 and not _CHAINED.issuperset(truncations),
        "guides an encoder-decoder by KL": guided and encoder_decoder,
        "guides by KL a model that forces or suppresses tokens": guided and has_token_rules,
        "reads 'kl' by another rule than kld's": guided and type(strategy) is not KLD,
        "runs a second model (mode=dual)": kld is not None and kld.mode != "shared",
        "keeps a KL-guided temperature per instance (granularity=instance)": guided and strategy.granularity != "token",
    }

    for reason, applies in reasons.items():
        if applies:
            raise ConfigError(
                f"strategy {strategy.strategy_id} {reason}, which transformers' generate cannot do; use engine=batched."
            )


def arguments(strategy: Strategy, model: LanguageModel, prompts: Sequence[Prompt], observe: Observer) -> dict[str, Any]:
    """Return the arguments that make `generate` decode by this strategy and report its temperatures to `observe`.

    They are transformers' own where it has them (a fixed temperature, every truncation), else our processors.
    """
    rules = [] if model.token_rules.is_empty else [_RestrictProcessor(model.token_rules)]
    fixed_t = strategy.t0 if type(strategy) is Fixed else None
    # generate refuses a temperature of 0; greedy decoding is another mode there.
    if fixed_t is not None and fixed_t <= TEMPERATURE_FLOOR:
        return {
            "do_sample": False,
            "logits_processor": LogitsProcessorList([*rules, _RuleProcessor(strategy, observe)]),
        }

    # 0 and 1.0 switch top-k and top-p off: left out, generate would truncate to its default of 50 tokens.
    how: dict[str, Any] = {
        "do_sample": True,
        "temperature": 1.0 if fixed_t is None else fixed_t,
        "top_k": 0 if strategy.top_k is None else strategy.top_k,
        "top_p": 1.0 if strategy.top_p is None else strategy.top_p,
        "min_p": strategy.min_p,
    }
    # generate's own names; its defaults leave them off.
    how |= {name: value for name in _OWN_NAMES if (value := getattr(strategy, name)) is not None}
    # Last, so that the observer sees the entropy of all tokens; no temperature changes its cut.
    cuts = [] if strategy.top_n_sigma is None else [TopNSigmaLogitsWarper(strategy.top_n_sigma)]
    if isinstance(strategy, KLD):
        guided_loop = _guided_loop(strategy, model, prompts, observe)
        return {**how, "custom_generate": guided_loop, "logits_processor": LogitsProcessorList(cuts)}
    # `type(…) is`, not isinstance: a subclass may have changed the rule.
    processor: LogitsProcessor = _RuleProcessor(strategy, observe)
    if type(strategy) is EDT:
        processor = EDTLogitsProcessor(
            strategy.t0, strategy.theta, n=strategy.n, granularity=strategy.granularity, observe=observe
        )
    return {**how, "logits_processor": LogitsProcessorList([*rules, processor, *cuts])}


def _guided_loop(strategy: KLD, model: LanguageModel, prompts: Sequence[Prompt], observe: Observer) -> KLDGenerate:
    """Return the loop that also reads the prompts without their source."""
    unconditional_PL, mask_PL = model.pad([prompt.unconditional_ids for prompt in prompts])
    return KLDGenerate(
        t0=strategy.t0,
        sigma=strategy.sigma,
        unconditional_input_ids=unconditional_PL,
        unconditional_attention_mask=mask_PL,
        observe=observe,
    )


class _RestrictProcessor(LogitsProcessor):
    """What the checkpoint forces or suppresses, as in the other engines; `generate` is not shown its settings."""

    def __init__(self, rules: TokenRules) -> None:
        """Prepare for one call of `generate`, whose steps are counted."""
        self.rules, self.step = rules, 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits without the tokens that are not allowed, [R, V]."""
        self.step += 1
        return self.rules.apply(scores, self.step - 1)


class _RuleProcessor(LogitsProcessor):
    """The rule of any strategy that reads what one model's logits give.

    A fixed temperature is observed, and left to `generate`.
    """

    def __init__(self, strategy: Strategy, observe: Observer) -> None:
        """Prepare for one call of `generate`, in which a temperature per instance is that of the first step."""
        self.strategy, self.observe = strategy, observe
        self.step, self.kept_R = 0, torch.empty(0)
        self.before_RV: Tensor | None = None
        """The logits of the step before, where the rule reads the surprisal."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scaled logits, [R, V]."""
        # The same passes as in the engine, so the temperatures are the same numbers.
        passes = shared_kernels(scores.shape[-1], scores.device)
        entropy_R = passes.entropy(scores)
        temperature_R = self.kept_R
        if self.step == 0 or self.strategy.granularity == "token":
            temperature_R = self.kept_R = self._rule(self._signals(entropy_R, input_ids, scores))
        self.observe(temperature_R, entropy_R)
        self.step += 1
        if "surprisal" in self.strategy.needs:
            self.before_RV = scores.clone()
        if type(self.strategy) is Fixed:
            return scores
        return sampler_scores(passes.scale(scores, temperature_R), temperature_R)

    def _signals(self, entropy_R: Tensor, input_ids: Tensor, scores: Tensor) -> Signals:
        """Return the signals that the rule reads, as the engine computes them."""
        reads = self.strategy.needs
        surprisal_R = None if self.before_RV is None else surprisal(self.before_RV, input_ids[:, -1])
        return Signals.build(
            entropy_R,
            step_R=torch.full_like(entropy_R, self.step, dtype=torch.int64) if "step" in reads else None,
            varentropy_R=varentropy(scores) if "varentropy" in reads else None,
            collision_R=collision(scores) if "collision" in reads else None,
            surprisal_R=surprisal_R,
            vocabulary=scores.shape[-1],
        )

    def _rule(self, signals: Signals) -> Tensor:
        """Return T per row, [R]. Entropies that are not finite pass through: the observer names their example."""
        entropy_R = signals.entropy_R
        table = StrategyTable.build([self.strategy], dtype=entropy_R.dtype, device=entropy_R.device)
        strategy_R = torch.zeros_like(entropy_R, dtype=torch.int64)
        temperature_R = table.temperature(strategy_R, signals)
        # A NaN here comes from the model, not from the strategy's parameters.
        finite_R = torch.isfinite(entropy_R)
        check_temperatures(temperature_R[finite_R], strategy_R[finite_R], table, self.step)
        return temperature_R


@contextmanager
def own_generation_config_hidden(model: Any) -> Iterator[None]:
    """Hide the checkpoint's own generation settings (a repetition penalty, a top-k): they belong to no strategy."""
    # By exchanging the config: an argument of None in the call would mean the config's value again.
    own = model.generation_config
    # generate reads what a call leaves out from the model's config: only what the architecture needs is kept.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=decoder_start_id(model) if model.config.is_encoder_decoder else None,
    )
    try:
        yield
    finally:
        model.generation_config = own
