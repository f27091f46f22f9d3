"""A head start for the embedded models: two induction circuits wired into the initial weights.

An induction circuit (Olsson et al. 2022, arXiv 2209.11895) looks up what followed the current token before, and
repeats it. Training from random weights found it too late for a laptop's patience; with it, the model copies names
and figures from the first step and learns when to.

Layer 0, head h: attends one position back (position is enough: biases only) and writes a projection P of that token
into a subspace R of the residual stream. Layer 1, head h: queries with P of the current token, matches R, and adds
a projection of the token that it finds to its own output. Everything else stays as initialised, and all is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaForCausalLM

CIRCUITS = 2
"""Heads of layers 0 and 1 that are wired."""

SLOW = 0.004
"""Radians per position below which a rotary dimension can match contents a hundred positions apart."""

BACK, WRITE, MATCH, COPY = 9.0, 0.2, 3.0, 0.8
"""Strength of looking back, of writing the former token, of matching it, of copying what is found."""


@torch.no_grad()
def wire_copying(model: LlamaForCausalLM, seed: int) -> None:
    """Set the circuits' weights in place; a function of the seed. The model needs attention biases."""
    config = model.config
    width = config.hidden_size // config.num_attention_heads
    inv_freq = model.model.rotary_emb.inv_freq
    generator = torch.Generator().manual_seed(seed)
    for head in range(CIRCUITS):
        rows = slice(head * width, (head + 1) * width)
        basis = torch.linalg.qr(torch.randn(config.hidden_size, config.hidden_size, generator=generator)).Q
        read, write, copied = basis[:width], basis[width : 2 * width], basis[2 * width : 3 * width]
        look_back(model.model.layers[0].self_attn, rows, inv_freq)
        first, second = model.model.layers[0].self_attn, model.model.layers[1].self_attn
        first.v_proj.weight[rows] = read
        first.o_proj.weight[:, rows] = WRITE * write.T
        slow = torch.cat([inv_freq, inv_freq]) < SLOW
        second.q_proj.weight[rows] = MATCH * read * slow[:, None]
        second.k_proj.weight[rows] = MATCH * write * slow[:, None]
        second.v_proj.weight[rows] = copied
        second.o_proj.weight[:, rows] = COPY * copied.T


def look_back(attention: Any, rows: slice, inv_freq: torch.Tensor) -> None:
    """Make a head attend to the position before, whatever it holds: query and key are constants, and their rotated
    product, the sum of cos((distance − 1)·frequency), is largest at distance 1.
    """
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[rows] = 0
    attention.q_proj.bias[rows] = BACK * torch.cat([inv_freq.cos(), -inv_freq.sin()])
    attention.k_proj.bias[rows] = BACK * torch.cat([torch.ones_like(inv_freq), torch.zeros_like(inv_freq)])
