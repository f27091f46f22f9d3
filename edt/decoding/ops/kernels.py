"""The passes over the vocabulary, compiled where that pays and a compiler is found, eager otherwise; equal results.

Compiled, a row's scaled logits and noise are never written to memory: gather, divide, add, compare and argmax are one
pass. Eager, rows are handled in blocks, so that the memory stays small too.
Shapes: B branches, G guided branches, R rows, U noise streams, V vocabulary.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any

import torch
import torch.fx.experimental._config as symbolic_sizes
from torch import Tensor

from edt.decoding.ops import draw as drawing
from edt.decoding.ops import noise, signals
from edt.errors import ConfigError

logger = logging.getLogger(__name__)

MIN_COMPILED_VOCABULARY = 8192
"""Smallest vocabulary that is compiled by default. For smaller ones, compiling takes longer than it saves."""

MIN_COMPILED_WORK = 2 * 10**8
"""Fewest elements (rows × steps × vocabulary) that are compiled by default: some 4,000 row steps of a vocabulary of
49,152. Compiling takes half a minute the first time on a machine and a few seconds in each later process, and saves
about a millisecond for each of these row steps.
"""

IF_FOUND = "if_found"

BLOCK = 2**20
"""Elements of a block of rows in the eager path."""


class Kernels:
    """The passes for one vocabulary size: entropy, divergence, scaling, noise, draw and the weight of kept tokens."""

    def __init__(
        self, *, compile: bool | str | None, vocabulary: int, device: torch.device, row_steps: int | None = None
    ) -> None:
        """Decide whether to compile.

        compile: None compiles large vocabularies for long work, where a compiler is found; "if_found" also small ones
        and short work; True requires a compiler. row_steps: rows × steps that lie ahead, at most; None: many.
        Raises ConfigError for another value of compile, and where True finds no compiler.
        """
        # A typo such as "iffound" would be truthy, and so would count as True.
        if compile not in (None, True, False, IF_FOUND):
            raise ConfigError(f"engine.compile is {compile!r}; it must be true, false, null or {IF_FOUND}.")

        has_compiler = compiler_found(device)
        if compile is True and not has_compiler:
            raise ConfigError(
                f"engine.compile is true, but no compiler for {device.type} is found (a C++ compiler on a CPU, Triton "
                "on a GPU); install one, or leave engine.compile=null."
            )
        # "if_found" and True both compile any size; they differ only where no compiler is found.
        worth = worth_compiling(vocabulary, row_steps) if compile is None else bool(compile)
        self.compiled = has_compiler and worth
        self.vocabulary = vocabulary

    def entropy(self, logits_BV: Tensor) -> Tensor:
        """See edt.decoding.ops.signals.entropy."""
        return self._run("entropy", len(logits_BV), logits_BV)

    def varentropy(self, logits_BV: Tensor) -> Tensor:
        """See edt.decoding.ops.signals.varentropy."""
        return self._run("varentropy", len(logits_BV), logits_BV)

    def collision(self, logits_BV: Tensor) -> Tensor:
        """See edt.decoding.ops.signals.collision."""
        return self._run("collision", len(logits_BV), logits_BV)

    def kl_divergence(self, p_logits_GV: Tensor, q_logits_GV: Tensor) -> Tensor:
        """See edt.decoding.ops.signals.kl_divergence."""
        return self._run("kl_divergence", len(p_logits_GV), p_logits_GV, q_logits_GV)

    def scale(self, logits_RV: Tensor, temperature_R: Tensor) -> Tensor:
        """See edt.decoding.ops.draw.scale."""
        return self._run("scale", len(logits_RV), logits_RV, temperature_R)

    def gumbel_noise(self, key_U2: Tensor, step: int | Tensor, dtype: torch.dtype) -> Tensor:
        """See edt.decoding.ops.noise.gumbel_noise. step: of all streams, or of each, [U, 1]."""
        if isinstance(step, Tensor):
            return noise.gumbel_noise(key_U2, step, self.vocabulary, dtype)
        # A tensor, since a Python number would be a constant of the compiled code: one compilation per step.
        # Filled there: copying a number to a GPU would wait for it.
        at = torch.full((), step, dtype=torch.int64, device=key_U2.device)
        return self._run(f"noise {dtype}", len(key_U2), key_U2, at)

    def draw(
        self,
        logits_BV: Tensor,
        branch_R: Tensor,
        temperature_R: Tensor,
        cutoff_R: Tensor | None,
        noise_UV: Tensor,
        stream_R: Tensor,
        ceiling_R: Tensor | None = None,
    ) -> Tensor:
        """See edt.decoding.ops.draw.draw."""
        if self._compiles(min(len(logits_BV), len(branch_R), len(noise_UV))):
            return self._run("draw", 2, logits_BV, branch_R, temperature_R, cutoff_R, noise_UV, stream_R, ceiling_R)
        # Row by row the result is the same; only the memory of the intermediate arrays depends on the blocks.
        return torch.cat(
            [
                drawing.draw(
                    logits_BV,
                    branch_R[at],
                    temperature_R[at],
                    None if cutoff_R is None else cutoff_R[at],
                    noise_UV,
                    stream_R[at],
                    None if ceiling_R is None else ceiling_R[at],
                )
                for at in self._blocks(len(branch_R))
            ]
        )

    def kept_weight(self, logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor) -> Tensor:
        """See edt.decoding.ops.draw.kept_weight."""
        if self._compiles(min(len(logits_BV), len(branch_R))):
            return self._run("kept_weight", 2, logits_BV, branch_R, temperature_R, cutoff_R)
        return self._by_blocks(drawing.kept_weight, logits_BV, branch_R, temperature_R, cutoff_R)

    def distribution_sums(self, logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor) -> Tensor:
        """See edt.decoding.ops.draw.distribution_sums."""
        if self._compiles(min(len(logits_BV), len(branch_R))):
            return self._run("distribution_sums", 2, logits_BV, branch_R, temperature_R)
        return self._by_blocks(drawing.distribution_sums, logits_BV, branch_R, temperature_R)

    def typical_interval(
        self, logits_BV: Tensor, branch_R: Tensor, temperature_R: Tensor, cutoff_R: Tensor, typical_p_R: Tensor
    ) -> Tensor:
        """See edt.decoding.ops.draw.typical_interval; never compiled, since a compiler does not sort faster."""
        return self._by_blocks(drawing.typical_interval, logits_BV, branch_R, temperature_R, cutoff_R, typical_p_R)

    def kept_entropy(
        self, logits_BV: Tensor, branch_R: Tensor, cutoff_R: Tensor, ceiling_R: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See edt.decoding.ops.draw.kept_entropy; never compiled, since few strategies read it."""
        entropies_R2 = self._by_blocks(drawing.kept_entropy, logits_BV, branch_R, cutoff_R, ceiling_R)
        return entropies_R2[:, 0], entropies_R2[:, 1]

    def _by_blocks(
        self, of_rows: Callable[..., Tensor], logits_BV: Tensor, branch_R: Tensor, *others_R: Tensor | None
    ) -> Tensor:
        """Return what an eager pass gives each row, with the arguments of one block of rows at a time."""
        return torch.cat(
            [
                of_rows(logits_BV, branch_R[at], *(None if other_R is None else other_R[at] for other_R in others_R))
                for at in self._blocks(len(branch_R))
            ]
        )

    def _blocks(self, rows: int) -> list[slice]:
        """Cut the rows so that a block's array over the vocabulary stays at BLOCK elements."""
        # At least one row, however large the vocabulary.
        size = max(1, BLOCK // self.vocabulary)
        return [slice(start, start + size) for start in range(0, rows, size)]

    def _compiles(self, size: int) -> bool:
        # torch compiles a size of 1 separately, even with dynamic sizes, which takes longer than it saves.
        return self.compiled and size > 1

    def _run(self, name: str, size: int, *tensors: Tensor | None) -> Tensor:
        if not self._compiles(size):
            return self._eager[name](*tensors)
        try:
            # Else torch takes sizes that are equal at the first call (as many rows as streams) for equal in all calls,
            # and compiles a second time.
            with symbolic_sizes.patch(use_duck_shape=False):  # type: ignore[attr-defined]
                result: Tensor = self._compiled[name](*tensors)
            return result
        except torch._dynamo.exc.TorchDynamoException as error:
            # The compiler is installed but does not work. The eager passes give the same tokens.
            logger.warning(f"the compiler failed ({type(error).__name__}); continuing without it, more slowly.")
            self.compiled = False
            return self._eager[name](*tensors)

    @cached_property
    def _eager(self) -> dict[str, Callable[..., Tensor]]:
        # The noise is a kernel per dtype: a dtype must be a constant of compiled code.
        functions: dict[str, Callable[..., Tensor]] = {
            f"noise {dtype}": partial(noise.gumbel_noise, vocabulary=self.vocabulary, dtype=dtype)
            for dtype in (torch.float32, torch.float64)
        }
        functions |= {"entropy": signals.entropy, "kl_divergence": signals.kl_divergence, "scale": drawing.scale}
        functions |= {"varentropy": signals.varentropy, "collision": signals.collision}
        functions |= {"draw": drawing.draw, "kept_weight": drawing.kept_weight}
        return functions | {"distribution_sums": drawing.distribution_sums}

    @cached_property
    def _compiled(self) -> dict[str, Callable[..., Any]]:
        # dynamic: the numbers of rows and branches change at almost every step, and must not recompile.
        return {name: torch.compile(function, dynamic=True) for name, function in self._eager.items()}


def worth_compiling(vocabulary: int, row_steps: int | None) -> bool:
    """Return whether compiling saves more time than it takes. row_steps: rows × steps ahead; None: many."""
    is_long = row_steps is None or row_steps * vocabulary >= MIN_COMPILED_WORK
    return vocabulary >= MIN_COMPILED_VOCABULARY and is_long


@cache
def shared_kernels(vocabulary: int, device: torch.device) -> Kernels:
    """Return the same passes to all callers, so that each is compiled once in a process."""
    return Kernels(compile=None, vocabulary=vocabulary, device=device)


def compiler_found(device: torch.device) -> bool:
    """Return whether torch.compile has what it needs: a C++ compiler on a CPU, Triton on a GPU."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    # CXX first, as torch's own compiler does.
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++", "c++"))
