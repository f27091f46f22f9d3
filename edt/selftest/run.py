"""`edt selftest`: run all checks, print a table and a line of JSON."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from edt.errors import ConfigError
from edt.models.spec import ModelSpec
from edt.selftest.draws import draw_outcomes
from edt.selftest.engines import TEXTS, engine_outcomes
from edt.selftest.known_noise import noise_outcomes
from edt.selftest.outcome import Outcome, failures, threshold
from edt.terminal_text import visible

logger = logging.getLogger(__name__)

LEAST_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class SelftestRequest:
    """What to check, and how long."""

    model: ModelSpec
    draws: int
    tokens: int | None
    prompts: int | None
    """None for both: what fits the model, see edt.selftest.engines.Sizes."""
    seed: int
    false_alarms: float
    float64: bool | None

    def __post_init__(self) -> None:
        least = {"draws": LEAST_DRAWS, "tokens": 1, "prompts": 1, "seed": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name in ("tokens", "prompts"):
                continue
            # A boolean is an int in Python, and YAML writes one as `yes`.
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number, {smallest} or more.")
        # A prompt that comes twice would count as two, and check nothing new.
        if self.prompts is not None and self.prompts > len(TEXTS):
            raise ConfigError(f"prompts is {self.prompts}; it must be at most {len(TEXTS)}, the texts that there are.")
        rate = self.false_alarms
        # At 0 no statistic could fail, at 1 all of them would.
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
            raise ConfigError(f"false_alarms is {rate!r}; it must be a chance above 0 and below 1, as 1.0e-6.")
        if self.float64 is not None and not isinstance(self.float64, bool):
            raise ConfigError(f"float64 is {self.float64!r}; it must be true, false or null.")


def selftest(request: SelftestRequest) -> bool:
    """Run all checks, print them, and return whether all passed."""
    started = time.monotonic()
    device = request.model.resolved_device
    logger.info("edt selftest on %s: the noise", _device_name(device))
    # The cheapest first: with wrong noise, all later checks fail too, and the reason stands above them.
    outcomes = noise_outcomes(device)
    logger.info("%s draws of each strategy", f"{request.draws:,}")
    outcomes += draw_outcomes(device, draws=request.draws, seed=request.seed)
    logger.info("the engines on %s", visible(request.model.path))
    outcomes += engine_outcomes(request.model, tokens=request.tokens, prompts=request.prompts, float64=request.float64)
    # Judged together: the threshold of a statistic depends on how many there are.
    failed = failures(outcomes, request.false_alarms)
    _print_table(outcomes, failed)
    _print_conclusion(outcomes, failed, request)
    # The last line is for programs.
    print(json.dumps(_figures(outcomes, failed, request, device, time.monotonic() - started), ensure_ascii=False))
    return not failed


def _print_table(outcomes: list[Outcome], failed: list[Outcome]) -> None:
    rows = [("", "part", "check", "p", "")]
    for one in outcomes:
        # Exact checks have no p.
        p = "" if one.p is None else f"{one.p:.2g}"
        verdict = "FAILED" if one in failed else "note" if one.is_note else "ok"
        rows.append((verdict, one.part, one.name, p, one.figure))
    # Plain text, as in the log of a job, where a drawn table is hard to search.
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(visible("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()))


def _print_conclusion(outcomes: list[Outcome], failed: list[Outcome], request: SelftestRequest) -> None:
    checks = sum(not one.is_note for one in outcomes)
    statistics = sum(one.p is not None for one in outcomes)
    print(
        f"\n{checks} checks, {len(failed)} failed. {statistics} of them are statistics, which fail at p ≤ "
        f"{threshold(outcomes, request.false_alarms):.2g}: a sound machine fails any of them with a chance of at most "
        f"about {request.false_alarms:g} (Bonferroni)."
    )
    # Each with what it means for results: a figure alone helps nobody to decide what to do.
    for one in failed:
        print(visible(f"FAILED: {one.part}, {one.name} ({one.figure}): {one.means}."))


def _figures(
    outcomes: list[Outcome], failed: list[Outcome], request: SelftestRequest, device: torch.device, seconds: float
) -> dict[str, Any]:
    return {
        "passed": not failed,
        "failed": [f"{one.part}: {one.name}" for one in failed],
        "device": _device_name(device),
        "model": request.model.path,
        "seed": request.seed,
        "draws": request.draws,
        "false_alarms": request.false_alarms,
        "threshold": threshold(outcomes, request.false_alarms),
        "seconds": round(seconds, 1),
        # The meaning is a sentence for people, and the same for each failure of its kind.
        "checks": [{name: value for name, value in asdict(one).items() if name != "means"} for one in outcomes],
    }


def _device_name(device: torch.device) -> str:
    return f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else device.type
