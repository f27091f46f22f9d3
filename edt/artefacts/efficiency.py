"""Time per token, peak memory and weights of fixed, EDT and KL-guided temperature, side by side in one process."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edt.artefacts.base import Artefact
from edt.decoding.clock import peak_memory, ratios
from edt.decoding.kernels import Kernels
from edt.decoding.model import LanguageModel
from edt.decoding.random_model import random_model
from edt.decoding.replay import Contender, contenders_of, replay
from edt.pipeline.environment import environment
from edt.pipeline.reproduce import Outcome
from edt.pipeline.study_results import Study
from edt.report.documents import write_tables
from edt.report.page import PageTable, Section
from edt.store.atomic import write_text
from edt.strategies import EDT, KLD, Fixed
from edt.strategies.base import Strategy
from edt.study.verdicts import Evidence

CONTENDERS: dict[str, Strategy] = {
    "fixed": Fixed(t0=0.7),
    "edt": EDT(t0=0.8, theta=0.5),
    "kld shared": KLD(t0=0.8, sigma=1.0),
    "kld dual": KLD(t0=0.8, sigma=1.0, mode="dual"),
}
COST_ALLOWED = 0.05
"""EDT costs "almost nothing" if a step takes at most this share longer than a fixed one."""
HALF, ABOUT = 0.5, 0.1
""""About half the memory" is 40 to 60 % of it."""
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One contender: milliseconds per token (median over steps), ratio to fixed of neighbouring steps with its
    bootstrap interval, bytes of weights, and of everything else at the peak in each of the repeats.
    """

    milliseconds: float
    ratio: float
    lo: float
    hi: float
    weights: int
    peaks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Efficiency(Artefact):
    """shape: of a random model to measure on, None for the study's model. rows, length, steps: samples of one prompt,
    its tokens, and the new ones. repeats: of the memory's measurement.
    """

    title = "Time, memory and weights"

    shape: str | None = "smollm-135m"
    rows: int = 8
    length: int = 256
    steps: int = 66
    repeats: int = 3

    def families(self) -> Sequence[str]:
        """See edt.pipeline.reproduce.Artefact."""
        return ()

    def write(self, study: Study, folder: Path, outcomes: Mapping[str, Outcome]) -> Outcome:
        """table.md/.tex and figures.json."""
        model, second = self.models(study)
        kernels = Kernels(compile=None, vocabulary=model.vocabulary, device=model.device)
        found = self.measure(model, second, kernels)
        told = {"model": model.spec.path, "dtype": str(model.model.dtype), "rows": self.rows, "prompt": self.length}
        figures = {name: asdict(entry) for name, entry in found.items()}
        write_text(folder / "figures.json", json.dumps({**told, **environment(), "figures": figures}, indent=1) + "\n")
        table = self.table(found, model)
        write_tables(folder, "table", [table])
        section = Section(name="efficiency", title=self.title, tables=[table])
        return Outcome(section=section, evidence=evidence(found, model.spec.path))

    def models(self, study: Study) -> tuple[LanguageModel, LanguageModel]:
        """The model, and the same weights loaded a second time."""
        spec = study.request.model
        if self.shape is None:
            return LanguageModel.load(spec), LanguageModel.load(spec)
        device = study.tracer.engine.model.device
        dtype = "bfloat16" if device.type == "cuda" else "float32"
        first, second = (random_model(self.shape, dtype=dtype, device=device) for _ in range(2))
        return first, second

    @torch.inference_mode()
    def measure(self, model: LanguageModel, second: LanguageModel, kernels: Kernels) -> dict[str, Figures]:
        """All contenders in turn, step by step; then the memory of each alone."""
        replay(self.contenders(model, second, kernels, CONTENDERS), model.vocabulary, self.steps // 8)  # compiles
        seconds = replay(self.contenders(model, second, kernels, CONTENDERS), model.vocabulary, self.steps)
        peaks = {name: self.peaks(name, model, second, kernels) for name in CONTENDERS}
        weights = sum(parameter.numel() * parameter.element_size() for parameter in model.model.parameters())
        rng = np.random.default_rng(0)
        found = {}
        for name in CONTENDERS:
            against = np.array(ratios(seconds[name], seconds["fixed"]))
            resampled = np.median(rng.choice(against, size=(RESAMPLES, len(against))), axis=-1)
            lo, hi = np.quantile(resampled, [0.025, 0.975])
            found[name] = Figures(
                milliseconds=1000 * statistics.median(seconds[name]) / self.rows,
                ratio=float(np.median(against)),
                lo=float(lo),
                hi=float(hi),
                weights=weights * (2 if name == "kld dual" else 1),
                peaks=tuple(peaks[name]),
            )
        return found

    def contenders(
        self, model: LanguageModel, second: LanguageModel, kernels: Kernels, strategies: Mapping[str, Strategy]
    ) -> dict[str, Contender]:
        """Rows of the same prompt under each strategy."""
        sizes = {"length": self.length, "rows": self.rows, "steps": self.steps}
        return contenders_of(strategies, model, second=second, kernels=kernels, **sizes)

    def peaks(self, name: str, model: LanguageModel, second: LanguageModel, kernels: Kernels) -> list[int]:
        """Bytes beside the weights at the peak of prompt and steps, in each repeat."""
        short = replace(self, steps=self.steps // 4)
        found = []
        for _ in range(self.repeats):
            with peak_memory() as peak:
                alone = short.contenders(model, second, kernels, {name: CONTENDERS[name]})
                replay(alone, model.vocabulary, short.steps)
            del alone
            found.append(max(0, peak.extra))
        return found

    def table(self, found: Mapping[str, Figures], model: LanguageModel) -> PageTable:
        """A row per contender."""
        rows = [
            [
                name,
                f"{entry.milliseconds:.2f}",
                f"{entry.ratio:.3f} [{entry.lo:.3f}, {entry.hi:.3f}]",
                f"{entry.weights / 2**20:.1f}",
                f"{statistics.median(entry.peaks) / 2**20:.1f}",
            ]
            for name, entry in found.items()
        ]
        facts = environment()
        return PageTable(
            title=f"{model.spec.path}, {str(model.model.dtype).removeprefix('torch.')}, {facts['device_name']}",
            columns=["strategy", "ms per token", "time ÷ fixed", "weights, MiB", "other memory at the peak, MiB"],
            rows=rows,
            note=(
                f"{self.rows} rows of one prompt of {self.length} tokens; {self.steps} steps on prescribed tokens, all "
                "strategies in turn at each step; medians over steps, 95 % bootstrap intervals of the median ratio of "
                f"neighbours; {facts['threads']} threads. KLD dual holds the weights twice. On a CPU the other memory "
                "is resident memory above that before, which leaves out what is taken from memory freed earlier."
            ),
        )


def evidence(found: Mapping[str, Figures], about: str) -> dict[str, list[Evidence]]:
    """For "costs almost nothing" and "about half the memory of two parallel models"."""
    limit = 1 + COST_ALLOWED
    edt = found["edt"]
    cost = Evidence(about=about, difference=edt.ratio - limit, lo=edt.lo - limit, hi=edt.hi - limit)
    pairs = zip(edt.peaks, found["kld dual"].peaks, strict=True)
    shares = [(edt.weights + own) / (found["kld dual"].weights + other) for own, other in pairs]
    distances = [abs(share - HALF) - ABOUT for share in shares]
    memory = Evidence(about=about, difference=statistics.median(distances), lo=min(distances), hi=max(distances))
    return {"edt_costs_nothing": [cost], "half_the_memory": [memory]}
