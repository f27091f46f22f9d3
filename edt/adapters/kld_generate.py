"""KL-guided temperature inside `transformers`' own `generate`. Shapes: R rows, P prompts, V vocabulary, L tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edt.adapters.sampler_scores import check_step, sampler_scores
from edt.adapters.transformers_processor import Observer
from edt.decoding.ops.draw import scale
from edt.decoding.ops.signals import entropy, finite_rows, kl_divergence
from edt.errors import ConfigError
from edt.models.growing_texts import GrowingTexts
from edt.strategies.base import Signals
from edt.strategies.kld import KLD


class KLDGenerate:
    """A decoding loop for `generate(custom_generate=…)`: T = T0 · 2^(−KL(p‖q)/σ) (arXiv 2306.01286).

        loop = KLDGenerate(t0=1.0, sigma=1.0, unconditional_input_ids=ids, unconditional_attention_mask=mask)
        model.generate(**inputs, custom_generate=loop, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)

    p reads the prompts given to `generate`, q those of `unconditional_input_ids`, [P, L]: the same prompts without
    their source, padded on the left. Both read the same drawn tokens, with one model. Truncations, penalties and
    stopping criteria of `generate` apply after the temperature; `do_sample=False` takes the largest score.
    Decoder-only models.
    observe: called at each step with the temperatures and the entropies with the source.
    """

    def __init__(
        self,
        *,
        t0: float,
        sigma: float,
        unconditional_input_ids: Tensor,
        unconditional_attention_mask: Tensor | None = None,
        observe: Observer | None = None,
    ) -> None:
        """Raise ConfigError for a value out of range."""
        KLD(t0=t0, sigma=sigma)  # checks the values
        self.t0, self.sigma, self.observe = t0, sigma, observe
        self.unconditional_ids_PL = unconditional_input_ids
        self.unconditional_mask_PL = (
            torch.ones_like(unconditional_input_ids)
            if unconditional_attention_mask is None
            else unconditional_attention_mask
        )

    @torch.no_grad()
    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Tensor:
        """Return the prompts and what was drawn after them, [R, L]; `generate` calls this."""
        if model.config.is_encoder_decoder:
            raise ConfigError("KLDGenerate is for decoder-only models; this one is an encoder-decoder.")

        # generate has repeated the prompts for num_return_sequences; the unconditional ones are repeated likewise.
        rows = len(input_ids)
        repeats, rest = divmod(rows, len(self.unconditional_ids_PL))
        if rest or not repeats:
            raise ConfigError(
                f"unconditional_input_ids holds {len(self.unconditional_ids_PL)} prompts for a batch of {rows} rows; "
                "give one per prompt."
            )

        # Both kinds of texts grow by the same tokens.
        mask = model_kwargs.get("attention_mask")
        mask = torch.ones_like(input_ids) if mask is None else mask
        full = GrowingTexts(model, input_ids, mask)
        unconditional = GrowingTexts(
            model,
            self.unconditional_ids_PL.to(input_ids.device).repeat_interleave(repeats, dim=0),
            self.unconditional_mask_PL.to(input_ids.device).repeat_interleave(repeats, dim=0),
        )

        pad = generation_config._pad_token_tensor
        unfinished_R = torch.ones(rows, dtype=torch.bool, device=input_ids.device)
        while bool(unfinished_R.any()):
            scores_RV = logits_processor(input_ids, self._scaled(full.logits(), unconditional.logits()))
            # The processors of generate (truncation, penalties) have seen the scaled logits.
            if generation_config.do_sample:
                token_R = torch.multinomial(scores_RV.softmax(dim=-1), 1).squeeze(-1)
            else:
                token_R = scores_RV.argmax(dim=-1)
            # Rows that have ended are padded until the last one ends, as generate does.
            if pad is not None:
                token_R = torch.where(unfinished_R, token_R, pad.to(token_R))
            # Stopping criteria read the whole text, padding included, as in generate's own loop.
            input_ids = torch.cat([input_ids, token_R.unsqueeze(-1)], dim=-1)
            full.append(token_R)
            unconditional.append(token_R)
            unfinished_R &= ~stopping_criteria(input_ids, scores_RV)
        return input_ids

    def _scaled(self, p_RV: Tensor, q_RV: Tensor) -> Tensor:
        """Return the logits with the source, divided by the temperature, [R, V]."""
        kl_R = kl_divergence(p_RV, q_RV)
        signals = Signals.build(entropy(p_RV), kl_R=kl_R)
        params = {"t0": torch.full_like(kl_R, self.t0), "sigma": torch.full_like(kl_R, self.sigma)}
        temperature_R = KLD.temperature(signals, params)
        # The entropy is only for the observer; the rule reads the divergence.
        if self.observe is not None:
            self.observe(temperature_R, signals.entropy_R)
        check_step(temperature_R, finite_rows(p_RV) & finite_rows(q_RV))
        return sampler_scores(scale(p_RV, temperature_R), temperature_R)
