"""Measure time per token, peak memory and weights of fixed, EDT and KL-guided temperature in one process.

Times are compared with decoding without entropy (`bare`): the engine computes the entropy of every row, also of a fixed
temperature's, so against a fixed one EDT's only extra work would cancel.
"""

from __future__ import annotations

import copy
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edt.benchmark.peak_memory import peak_allocated
from edt.benchmark.random_model import SHAPES, random_model
from edt.benchmark.replay import BARE, WARM_UP, Contender, build_contenders, replay
from edt.benchmark.timing import ratios
from edt.decoding.ops.kernels import Kernels
from edt.errors import ConfigError, suggestion
from edt.generation.environment import environment
from edt.models.language_model import LanguageModel
from edt.ranges import check_whole
from edt.report.page import PageTable, Section
from edt.statistics.blocks import FEWEST_BLOCKS, median_interval
from edt.statistics.verdicts import Evidence
from edt.store.atomic import write_text
from edt.strategies import EDT, KLD, Fixed
from edt.strategies.base import Strategy
from edt.study.experiment import Experiment, ExperimentResult
from edt.study.experiments.cells import MISSING
from edt.study.experiments.primary import to_evidence
from edt.study.results import Study

CONTENDERS: dict[str, Strategy] = {
    BARE: Fixed(t0=0.7),
    "fixed": Fixed(t0=0.7),
    "edt": EDT(t0=0.8, theta=0.5),
    "kld shared": KLD(t0=0.8, sigma=1.0),
    "kld dual": KLD(t0=0.8, sigma=1.0, mode="dual"),
}
COST_ALLOWED = 0.05
"""EDT costs "almost nothing" if a step takes at most this share longer than one without entropy."""
HALF, ABOUT = 0.5, 0.1
""""About half the memory" is 40 to 60 % of it."""
BLOCK = 2 * len(CONTENDERS)
"""Steps of a bootstrap block: two rounds, in each of which every contender has been first, second and so on once."""
RESAMPLES = 10_000
FEWEST_REPEATS = 3
"""Repeats of the memory's measurement below which their range gives no verdict."""
PART, FEWEST_STEPS = 8, WARM_UP + 4
"""What is not timed (compiling, memory) takes the steps ÷ PART, at least FEWEST_STEPS."""


@dataclass(frozen=True, kw_only=True)
class ContenderFigures:
    """The figures of one contender.

    milliseconds: per token, median over steps. ratio: median of the ratios to bare decoding in the same step, with its
    interval (None with too few steps). weights: bytes. peaks: bytes of all other tensors at the peak, in each repeat.
    """

    milliseconds: float
    ratio: float
    interval: tuple[float, float] | None
    weights: int
    peaks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Efficiency(Experiment):
    """Time and memory of five contenders.

    shape: of a model with random weights to measure on; None for the study's model. rows: samples of one prompt.
    length: tokens of the prompt. steps: new tokens. repeats: of the measurement of memory.
    """

    title = "Time, memory and weights"

    shape: str | None = "smollm-135m"
    rows: int = 8
    length: int = 256
    steps: int = 66
    repeats: int = 3

    def __post_init__(self) -> None:
        if self.shape is not None and self.shape not in SHAPES:
            raise ConfigError(
                f"experiments.efficiency.shape is '{self.shape}'{suggestion(self.shape, SHAPES)}; it must be one of "
                f"{', '.join(SHAPES)}, or null for the study's own model."
            )

        # Fewer steps would be warm-up alone.
        for name, least, most, what in (
            ("rows", 1, 4096, "the number of outputs decoded together"),
            ("length", 8, 131_072, "the number of tokens of the prompt"),
            ("steps", FEWEST_STEPS, 131_072, "the number of new tokens"),
            ("repeats", 1, 1000, "the number of measurements of the memory"),
        ):
            check_whole(f"experiments.efficiency.{name}", getattr(self, name), what, least=least, most=most)

    @property
    def short_steps(self) -> int:
        """The number of steps of what is not timed."""
        return max(FEWEST_STEPS, self.steps // PART)

    def families(self) -> Sequence[str]:
        """Return no family; its contenders are constants."""
        return ()

    def write(self, study: Study, folder: Path, earlier: Mapping[str, ExperimentResult]) -> ExperimentResult:
        """Write figures.json."""
        model, second = self._models(study)

        # Compiled where the default of a run would compile, so that the figures are of what users get.
        kernels = Kernels(compile=None, vocabulary=model.vocabulary, device=model.device)
        measured = self.measure(model, second, kernels, study.confidence)
        facts = {
            "measured_on": self.measured_on(model),
            "dtype": str(model.model.dtype),
            "rows": self.rows,
            "prompt": self.length,
            "steps": self.steps - WARM_UP,
            "confidence": study.confidence,
            "block": BLOCK,
        }
        figures = {name: asdict(entry) for name, entry in measured.items()}
        write_text(folder / "figures.json", json.dumps({**facts, **environment(), "figures": figures}, indent=1) + "\n")
        table = self._table(measured, model, study.confidence)
        section = Section(name="efficiency", title=self.title, tables=[table])
        return ExperimentResult(section=section, evidence=evidence(measured, self.measured_on(model)))

    def measured_on(self, model: LanguageModel) -> str:
        """Return which model the figures are of; it is printed next to each of them."""
        if self.shape is None:
            return f"the study's model, {model.spec.path}"
        return f"{self.shape}'s shape with random weights (not the study's model)"

    def _models(self, study: Study) -> tuple[LanguageModel, LanguageModel]:
        """Return the model, and a copy of it with weights in memory for the second time."""
        if self.shape is None:
            first = LanguageModel.load(study.request.model)
        else:
            device = study.tracer.engine.model.device

            # bfloat16 is what a GPU serves in practice; a CPU is faster in float32.
            first = random_model(self.shape, dtype="bfloat16" if device.type == "cuda" else "float32", device=device)
        return first, replace(first, model=copy.deepcopy(first.model))

    @torch.inference_mode()
    def measure(
        self, model: LanguageModel, second: LanguageModel, kernels: Kernels, confidence: float
    ) -> dict[str, ContenderFigures]:
        """Time all contenders in turn, step by step; then measure the memory of each alone."""
        # The first replay compiles the kernels. In turn at each step, a ratio compares neighbors in time, so a machine
        # that slows down does not favor anyone.
        replay(self._contenders(model, second, kernels, CONTENDERS), model.vocabulary, self.short_steps)
        seconds = replay(self._contenders(model, second, kernels, CONTENDERS), model.vocabulary, self.steps)
        peaks = {name: self._peaks(name, model, second, kernels) for name in CONTENDERS}
        # Weights are counted from the parameters: the allocator does not show which bytes are weights.
        weights = sum(parameter.numel() * parameter.element_size() for parameter in model.model.parameters())
        figures = {}
        for name in CONTENDERS:
            against = np.array(ratios(seconds[name], seconds[BARE]))
            figures[name] = ContenderFigures(
                milliseconds=1000 * statistics.median(seconds[name]) / self.rows,
                ratio=float(np.median(against)),
                interval=median_interval(against, length=BLOCK, confidence=confidence, resamples=RESAMPLES, seed=0),
                # Two parallel models hold their weights twice; KLD on one model does not.
                weights=weights * (2 if name == "kld dual" else 1),
                peaks=tuple(peaks[name]),
            )
        return figures

    def _contenders(
        self, model: LanguageModel, second: LanguageModel, kernels: Kernels, strategies: Mapping[str, Strategy]
    ) -> dict[str, Contender]:
        """Return rows of the same prompt under each strategy."""
        # One prompt for all rows, as in a run with several samples.
        sizes = {"length": self.length, "rows": self.rows, "steps": self.steps}
        return build_contenders(strategies, model, second=second, kernels=kernels, **sizes)

    def _peaks(self, name: str, model: LanguageModel, second: LanguageModel, kernels: Kernels) -> list[int]:
        """Return the bytes of all tensors but the weights at the peak of prompt and steps, in each repeat."""
        short = replace(self, steps=self.short_steps)
        peaks = []
        for _ in range(self.repeats):
            with peak_allocated(model.device) as peak:
                alone = short._contenders(model, second, kernels, {name: CONTENDERS[name]})
                replay(alone, model.vocabulary, short.steps)
                del alone  # or its tensors would still be there in the next repeat
            peaks.append(peak.extra)
        return peaks

    def _table(self, figures: Mapping[str, ContenderFigures], model: LanguageModel, confidence: float) -> PageTable:
        """Return a row per contender."""
        rows = [
            [
                name,
                f"{entry.milliseconds:.2f}",
                _ratio_cell(entry),
                f"{entry.weights / 2**20:.1f}",
                memory_cell(entry.peaks),
            ]
            for name, entry in figures.items()
        ]
        facts = environment()

        # The name of a GPU is part of the figure; that of a CPU is in the manifest.
        device = facts["device_name"] if model.device.type == "cuda" else "cpu"
        where = self.measured_on(model)
        return PageTable(
            title=f"{where}: {str(model.model.dtype).removeprefix('torch.')}, {device}",
            columns=["strategy", "ms per token", "time ÷ bare", "weights, MiB", "other memory at the peak, MiB"],
            rows=rows,
            note=(
                f"Measured on {where}: {self.rows} rows of one prompt of {self.length} tokens, "
                f"{self.steps - WARM_UP} steps on prescribed tokens, all strategies in turn at each step of one "
                f"process, {facts['threads']} threads. Time: medians over steps, and {100 * confidence:g} % intervals "
                f"of the median ratio in the same step, from a bootstrap of blocks of {BLOCK} steps (neighbours are "
                f"alike; two rounds of the turn), expanded for few blocks. Other memory: bytes of all tensors but the "
                f"weights, as torch hands them out, at the peak of the prompt and {self.short_steps} steps; median "
                f"and range of {self.repeats} repeats, which is no confidence interval. KLD dual holds the weights "
                "twice. `bare` is a fixed temperature without the entropy, which the engine computes for all others."
            ),
        )


def _ratio_cell(entry: ContenderFigures) -> str:
    bounds = MISSING if entry.interval is None else f"[{entry.interval[0]:.3f}, {entry.interval[1]:.3f}]"
    return f"{entry.ratio:.3f} {bounds}"


def memory_cell(peaks: Sequence[int]) -> str:
    """Return the median of the repeats with the smallest and the largest."""
    median, least, most = (value / 2**20 for value in (statistics.median(peaks), min(peaks), max(peaks)))
    return f"{median:.1f} (range {least:.1f} to {most:.1f})"


def evidence(figures: Mapping[str, ContenderFigures], about: str) -> dict[str, list[Evidence]]:
    """Return evidence on "costs almost nothing" and "about half the memory of two parallel models"."""
    return {
        "edt_costs_nothing": [_cost_evidence(figures["edt"], about)],
        "half_the_memory": [_memory_evidence(figures["edt"], figures["kld dual"], about)],
    }


def _cost_evidence(edt: ContenderFigures, about: str) -> Evidence:
    """Return the ratio of times minus the one that is allowed."""
    if edt.interval is None:
        return to_evidence(about, None, why_not=f"fewer than {FEWEST_BLOCKS} blocks of {BLOCK} steps give no interval")

    # As a difference from the limit, so that "below 0" supports the claim as everywhere.
    limit = 1 + COST_ALLOWED
    lo, hi = edt.interval
    return Evidence(about=about, difference=edt.ratio - limit, lo=lo - limit, hi=hi - limit)


def _memory_evidence(edt: ContenderFigures, dual: ContenderFigures, about: str) -> Evidence:
    """Return how far the share of memory is from a half, minus what "about" allows.

    The bounds are the smallest and the largest repeat, since bytes have no sampling error.
    """
    # Weights and other memory together: that is what a user has to provide.
    pairs = zip(edt.peaks, dual.peaks, strict=True)
    shares = [(edt.weights + own) / (dual.weights + other) for own, other in pairs]
    # the figures of one repeat belong together: both contenders were measured in the same state of the allocator
    distances = [abs(share - HALF) - ABOUT for share in shares]

    # A range of one or two repeats says nothing about how they vary.
    few = len(distances) < FEWEST_REPEATS
    return Evidence(
        about=f"{about}; in brackets the range of repeats: {len(distances)}",
        difference=statistics.median(distances),
        lo=min(distances),
        hi=max(distances),
        usable=not few,
        why=f"repeats: {len(distances)}, too few for a range; {FEWEST_REPEATS} or more" if few else "",
    )
