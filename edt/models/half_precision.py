"""Find out whether the processor multiplies bfloat16 faster than float32, and say so where it would help."""

from __future__ import annotations

import torch

from edt.models.language_model import LanguageModel

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
"""Capabilities of a processor, as torch names them, with which a product of bfloat16 matrices takes less time."""

SMALLEST_MODEL = 50 * 10**6
"""Weights. Smaller models spend much of their time outside of matrix products, where bfloat16 gains nothing."""


def bfloat16_note(model: LanguageModel) -> str | None:
    """Return a line that offers model.dtype=bfloat16; None where it would not help, or where the dtype was chosen."""
    # Whoever has set float32 wants it; auto has chosen it for its exactness.
    if model.spec.dtype != "auto" or model.device.type != "cpu" or model.model.dtype != torch.float32:
        return None
    if model.parameters < SMALLEST_MODEL or not processor_has_bfloat16():
        return None
    return (
        f"{model.spec.path} is decoded in float32. This processor also multiplies in bfloat16: model.dtype=bfloat16 "
        "would be 1.5 to 2.5 times as fast, as another run; model.dtype=float32 keeps it without this line."
    )


def processor_has_bfloat16() -> bool:
    """Return whether the processor has instructions for products of bfloat16 matrices."""
    # Older versions of torch do not have the function; then nothing is offered.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)
