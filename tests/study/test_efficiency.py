"""Time with neighbours that are alike, memory by the allocator's count, and what is concluded from either."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edt.benchmark.peak_memory import peak_allocated
from edt.benchmark.timing import Peak
from edt.decoding.ops.kernels import Kernels, compiler_found
from edt.errors import ConfigError
from edt.statistics.blocks import expanded_level, median_interval, resampled_medians
from edt.statistics.verdicts import CONTRADICTED, SUPPORTED, UNDETERMINED
from edt.study.experiments.efficiency import BLOCK, CONTENDERS, ContenderFigures, Efficiency, evidence, memory_cell

MEBI = 2**20
CPU = torch.device("cpu")


def autocorrelated(rng, steps, rho=0.5):
    """A first-order autoregression about 0; its median is 0."""
    noise = rng.normal(size=steps + 50)
    found = np.zeros(steps + 50)
    for step in range(1, steps + 50):
        found[step] = rho * found[step - 1] + noise[step]
    return found[50:]


def covered(interval_of, rho):
    """Of 300 series of 64 steps, the share in which the interval holds the truth."""
    series = [autocorrelated(np.random.default_rng(seed), 64, rho) for seed in range(300)]
    return np.mean([lo <= 0 <= hi for lo, hi in map(interval_of, series)])


def by_blocks(values):
    return median_interval(values, length=BLOCK, confidence=0.95, resamples=500, seed=1)


def one_by_one(values):
    drawn = np.random.default_rng(1).choice(values, size=(500, len(values)))
    return np.quantile(np.median(drawn, axis=-1), [0.025, 0.975])


def test_blocks_cover_what_they_promise_where_neighbours_are_alike():
    # 300 series: a share of 95 % has a standard error of 1.3
    assert covered(by_blocks, 0.5) >= 0.89
    assert covered(one_by_one, 0.5) <= 0.83
    assert 0.91 <= covered(by_blocks, 0.0) <= 0.99
    assert 0.91 <= covered(one_by_one, 0.0) <= 0.99


def test_a_resample_is_whole_blocks_of_neighbours():
    values = np.arange(12.0)
    medians = resampled_medians(values, length=11, resamples=200, rng=np.random.default_rng(0))
    assert set(medians) == {5.0, 6.0}  # 0 … 10 or 1 … 11
    whole = resampled_medians(values, length=12, resamples=3, rng=np.random.default_rng(0))
    assert whole.tolist() == [5.5] * 3


def test_the_level_is_widened_for_few_blocks():
    # Student's t at 97.5 %, 7 degrees of freedom: 2.3646; times √(8/7) = 2.5279; Φ(−2.5279) = 0.00574 (tables)
    assert expanded_level(0.95, 8) == pytest.approx(1 - 2 * 0.00574, abs=1e-4)
    assert expanded_level(0.95, 100_000) == pytest.approx(0.95, abs=1e-4)


def test_more_confidence_is_a_wider_interval_and_few_steps_give_none():
    values = autocorrelated(np.random.default_rng(3), 64)
    (lo, hi), (wide_lo, wide_hi) = (
        median_interval(values, length=8, confidence=level, resamples=2000, seed=0) for level in (0.8, 0.99)
    )
    assert wide_lo < lo < np.median(values) < hi < wide_hi
    assert median_interval(values[:39], length=8, confidence=0.95, resamples=10, seed=0) is None
    assert median_interval(values[:40], length=8, confidence=0.95, resamples=10, seed=0) is not None


def measured(work) -> Peak:
    with torch.inference_mode(), peak_allocated(CPU) as peak:
        work()
    return peak


def test_the_peak_is_what_stands_at_once_also_in_memory_that_was_freed_before():
    held = torch.ones(64 * MEBI, dtype=torch.uint8)
    del held  # the process may keep it: resident memory need not grow

    def work():
        first = torch.empty(8 * MEBI, dtype=torch.uint8)
        del first
        second, third = (torch.empty(size * MEBI, dtype=torch.uint8) for size in (4, 5))
        del second, third

    assert [measured(work).extra for _ in range(2)] == [9 * MEBI] * 2
    assert measured(lambda: None).extra == 0


def test_compiled_code_is_counted_as_it_runs():
    if not compiler_found(CPU):
        pytest.skip("no compiler is found")
    kernels = Kernels(compile=True, vocabulary=5000, device=CPU)
    logits = torch.randn(64, 5000)
    kernels.entropy(logits)
    with torch.inference_mode():
        kernels.entropy(logits)
    # eager, at least the shifted logits are a tensor of their own; compiled, nothing of that size is written
    assert measured(lambda: kernels.entropy(logits)).extra < logits.nbytes / 8
    eager = Kernels(compile=False, vocabulary=5000, device=CPU)
    assert measured(lambda: eager.entropy(logits)).extra >= logits.nbytes


SMALL = Efficiency(shape=None, rows=6, length=8, steps=88, repeats=3)
"""So small a prompt that the peak is in the steps, where KL-guided temperature holds a second context."""


@pytest.fixture(scope="module")
def study(tiny):
    return SimpleNamespace(request=SimpleNamespace(model=tiny.spec), confidence=0.9)


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("efficiency")
    return folder, SMALL.write(study, folder, {})


def test_memory_of_two_models_is_more_than_of_one(written, tiny):
    figures = json.loads((written[0] / "figures.json").read_text())["figures"]
    assert figures.keys() == CONTENDERS.keys()
    least = {name: min(entry["peaks"]) for name, entry in figures.items()}
    # the second context holds the new tokens of every row once more
    further = SMALL.rows * SMALL.short_steps * tiny.cache_bytes_per_token
    assert least["kld dual"] >= least["fixed"] + further
    assert least["kld shared"] >= least["fixed"] + further
    assert least["fixed"] > SMALL.length * tiny.cache_bytes_per_token
    assert figures["kld dual"]["weights"] == 2 * figures["edt"]["weights"]


def test_it_says_which_model_was_measured_and_at_what_confidence(written, study, tiny):
    folder, outcome = written
    (table,) = outcome.section.tables
    told = json.loads((folder / "figures.json").read_text())
    own = f"the study's model, {tiny.spec.path}"
    assert table.title == f"{own}: float64, cpu"
    assert f"Measured on {own}:" in table.note
    assert "90 % intervals" in table.note
    assert f"blocks of {BLOCK} steps" in table.note
    assert "range of 3 repeats, which is no confidence interval" in table.note
    assert (told["measured_on"], told["confidence"], told["block"]) == (own, 0.9, BLOCK)
    assert all(entry.about.startswith(own) for found in outcome.evidence.values() for entry in found)
    assert Efficiency().measured_on(tiny) == "smollm-135m's shape with random weights (not the study's model)"


def test_the_interval_is_at_the_studys_confidence(study, tiny, monkeypatch):
    import edt.study.experiments.efficiency as module

    rng = np.random.default_rng(0)
    seconds = {name: list(1 + 0.1 * rng.random(64)) for name in CONTENDERS}
    monkeypatch.setattr(module, "replay", lambda *_: seconds)
    once = Efficiency(shape=None, rows=1, length=8, repeats=1)
    kernels = Kernels(compile=False, vocabulary=tiny.vocabulary, device=CPU)
    (lo, hi), (wide_lo, wide_hi) = (once.measure(tiny, tiny, kernels, level)["edt"].interval for level in (0.5, 0.95))
    ratio = np.median(np.array(seconds["edt"]) / np.array(seconds["bare"]))
    assert wide_lo < lo <= ratio <= hi < wide_hi


def figures(weights, peaks, interval=(0.98, 1.02)):
    return ContenderFigures(milliseconds=1.0, ratio=1.0, interval=interval, weights=weights, peaks=peaks)


def concluded(edt, dual):
    (cost,), (memory,) = evidence({"edt": edt, "kld dual": dual}, "a model").values()
    return cost, memory


def test_memory_gives_a_verdict_where_all_repeats_agree():
    # (80 + 20) / (160 + 40) = 0.5, then 0.55 and 0.45: each within 40 to 60 %
    _, memory = concluded(figures(80, (20, 30, 10)), figures(160, (40, 40, 40)))
    assert (memory.difference, memory.lo, memory.hi) == pytest.approx((-0.05, -0.1, -0.05))
    assert memory.verdict == SUPPORTED
    assert memory.about == "a model; in brackets the range of repeats: 3"
    # 0.65, 0.55, 0.65: repeats on either side
    _, mixed = concluded(figures(80, (50, 30, 50)), figures(160, (40, 40, 40)))
    assert (mixed.lo, mixed.hi) == pytest.approx((-0.05, 0.05))
    assert mixed.verdict == UNDETERMINED
    _, too_much = concluded(figures(80, (60, 60, 60)), figures(160, (40, 40, 40)))
    assert too_much.verdict == CONTRADICTED
    assert memory_cell((3 * MEBI, MEBI, 8 * MEBI)) == "3.0 (range 1.0 to 8.0)"


@pytest.mark.parametrize("repeats", [1, 2])
def test_few_repeats_give_no_verdict(repeats):
    _, memory = concluded(figures(80, (20,) * repeats), figures(160, (40,) * repeats))
    assert (memory.verdict, memory.usable) == (UNDETERMINED, False)
    assert memory.why == f"repeats: {repeats}, too few for a range; 3 or more"


def test_time_gives_a_verdict_from_its_interval():
    for interval, expected in (((0.98, 1.02), SUPPORTED), ((1.0, 1.06), UNDETERMINED), ((1.06, 1.1), CONTRADICTED)):
        cost, _ = concluded(figures(1, (1,) * 3, interval), figures(2, (1,) * 3))
        assert cost.verdict == expected
    cost, _ = concluded(figures(1, (1,) * 3, None), figures(2, (1,) * 3))
    assert (cost.verdict, cost.usable) == (UNDETERMINED, False)
    assert cost.why == "fewer than 5 blocks of 10 steps give no interval"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"shape": "smollm-135"}, r"did you mean 'smollm-135m'.*or null for the study's own model"),
        ({"repeats": 0}, "repeats is 0; .* from 1 to"),
        ({"steps": 5}, "steps is 5; .* from 6 to"),
        ({"length": 7}, "length is 7; .* from 8 to"),
    ],
)
def test_a_setting_that_cannot_be_measured_is_refused_before_the_study(setting, told):
    with pytest.raises(ConfigError, match=told):
        Efficiency(**setting)
