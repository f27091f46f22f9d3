"""A head start for the embedded models: two induction circuits wired into the initial weights.

A module without a command; `mini_recipe` calls it once, in under a second, and it writes nothing.

An induction circuit (Olsson et al. 2022, arXiv 2209.11895) looks up which token followed the current token earlier in
the text, and repeats it. Training from random weights finds such a circuit, but far too late for half an hour on two
cores; with it, the model copies names and figures from the first step and learns when to copy.

Layer 0, head h: attends to the previous position (by position alone: biases only) and writes a projection P of that
token into a subspace R of the residual stream. Layer 1, head h: queries with P of the current token, matches R, and
adds a projection of the token at the matching position to its output. All other weights stay as initialized, and all
weights are trained.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaForCausalLM

_CIRCUITS = 2
"""Wired heads in each of layers 0 and 1."""

_SLOW = 0.004
"""Radians per position below which a rotary dimension can match contents a hundred positions apart."""

_BACK, _WRITE, _MATCH, _COPY = 9.0, 0.2, 3.0, 0.8
"""Strength of attending back, of writing the previous token, of matching it, and of copying the token after it."""


@torch.no_grad()
def wire_copying(model: LlamaForCausalLM, seed: int) -> None:
    """Set the circuits' weights in place, as a function of the seed. The model must have attention biases."""
    config = model.config
    width = config.hidden_size // config.num_attention_heads
    inv_freq = model.model.rotary_emb.inv_freq
    generator = torch.Generator().manual_seed(seed)
    for head in range(_CIRCUITS):
        rows = slice(head * width, (head + 1) * width)
        # Three orthogonal subspaces per head: what it reads (P), where it writes (R), and what it copies.
        basis = torch.linalg.qr(torch.randn(config.hidden_size, config.hidden_size, generator=generator)).Q
        read, write, copied = basis[:width], basis[width : 2 * width], basis[2 * width : 3 * width]
        _attend_back(model.model.layers[0].self_attn, rows, inv_freq)

        first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
        first.v_proj.weight[rows] = read
        first.o_proj.weight[:, rows] = _WRITE * write.T

        # Fast rotary dimensions turn with the distance and would hide the match, so only slow ones take part.
        slow = torch.cat([inv_freq, inv_freq]) < _SLOW
        second.q_proj.weight[rows] = _MATCH * read * slow[:, None]
        second.k_proj.weight[rows] = _MATCH * write * slow[:, None]
        second.v_proj.weight[rows] = copied
        second.o_proj.weight[:, rows] = _COPY * copied.T


def _attend_back(attention: Any, rows: slice, inv_freq: torch.Tensor) -> None:
    """Make a head attend to the previous position, whatever token is there.

    Query and key are constants, and their rotated product, the sum of cos((distance − 1)·frequency), is largest at
    distance 1.
    """
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[rows] = 0
    attention.q_proj.bias[rows] = _BACK * torch.cat([inv_freq.cos(), -inv_freq.sin()])
    attention.k_proj.bias[rows] = _BACK * torch.cat([torch.ones_like(inv_freq), torch.zeros_like(inv_freq)])
