"""`edt selftest` passes on a sound machine, and reports each planted fault by what it breaks."""

import json
import re

import numpy as np
import pytest
import scipy.stats
import torch

from edt.benchmark.random_model import random_model
from edt.cli import main
from edt.decoding import reference
from edt.decoding.batched_engine import BatchedEngine
from edt.decoding.cache.branches import Branches
from edt.decoding.ops import draw as drawing
from edt.decoding.ops import noise
from edt.models.spec import ModelSpec
from edt.selftest import draws as draw_checks
from edt.selftest import engines
from edt.selftest.draws import SETTINGS, chi_square, draw_outcomes
from edt.selftest.engines import Sizes, engine_outcomes
from edt.selftest.exact import Context, exact_distribution
from edt.selftest.known_noise import noise_outcomes
from edt.selftest.outcome import Outcome, failures, threshold
from edt.strategies import EDT, KLD, Dynatemp, Fixed, InvertedEDT, RandomT, Schedule, ShuffledEDT, Switch
from edt.strategies.base import TRUNCATIONS
from edt.strategies.rows import StrategyTable
from edt.strategies.truncation import NEUTRAL

CPU = torch.device("cpu")
DRAWS = 12_000


def failed(outcomes):
    return [one.name for one in failures(outcomes, 1e-6)]


# ---- the statistics ------------------------------------------------------------------------------------------------


def test_the_threshold_is_shared_by_all_statistics():
    exact = Outcome(part="a", name="exact", figure="", means="", passed=True)
    some = [Outcome(part="a", name=str(p), figure="", means="", p=p) for p in (1e-9, 0.4e-6, 0.6e-6, 0.2)]
    assert threshold([exact, *some], 2e-6) == 0.5e-6
    assert failed([exact, *some]) == ["1e-09"]
    assert [one.name for one in failures([exact, *some], 2e-6)] == ["1e-09", "4e-07"]


def test_chi_square_is_scipys_where_no_cell_is_joined():
    counts, expected = np.array([180, 230, 190]), np.array([200.0, 200.0, 200.0])
    statistic, cells = chi_square(counts, expected)
    assert (statistic, cells) == (pytest.approx(scipy.stats.chisquare(counts, expected).statistic), 3)


def test_rare_cells_are_joined_until_each_expects_enough():
    counts, expected = np.array([[300, 95], [70, 30]]), np.array([[300.0, 90.0], [60.0, 45.0]])
    statistic, cells = chi_square(counts, expected)
    # 300 alone, 90 + 60 together, and the 45 that are left join them
    assert (statistic, cells) == (pytest.approx(0.0), 2)


def test_exact_distributions_by_hand():
    start = Context(logits_V=np.log([0.5, 0.25, 0.25]), without_V=np.log([0.25, 0.5, 0.25]))

    def distribution(setting):
        return exact_distribution(setting, start, start).tolist()

    assert distribution(Fixed(t0=0)) == [1, 0, 0]
    # at T = 1/2 probabilities are squared: 4 : 1 : 1
    assert distribution(Fixed(t0=0.5)) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert distribution(Fixed(t0=1, top_p=0.4)) == [1, 0, 0]
    assert distribution(Fixed(t0=1, top_k=2)) == pytest.approx([2 / 3, 1 / 3, 0])
    # H = 1.5 ln 2 nats, and θ = 1.5 ln 2 makes T = T0 · N
    assert distribution(EDT(t0=1, theta=1.5 * np.log(2), n=0.5)) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    # KL = 0.5 ln 2 − 0.25 ln 2, and σ of the same makes T = T0/2
    assert distribution(KLD(t0=1, sigma=0.25 * np.log(2))) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    # H/Hmax = 1.5 ln 2 / ln 3
    share = 1.5 * np.log(2) / np.log(3)
    assert distribution(Dynatemp(t_min=0.0, t_max=0.5 / share)) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert distribution(RandomT(q0=0.5, q25=0.5, q50=0.5, q75=0.5, q100=0.5)) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    numbers = (np.arange(200_000) + 0.5) / 200_000
    mixture = np.mean([2 ** (1 / (0.5 + u)) / (2 ** (1 / (0.5 + u)) + 2) for u in numbers])
    assert distribution(RandomT(q0=0.5, q25=0.75, q50=1, q75=1.25, q100=1.5))[0] == pytest.approx(mixture, abs=1e-9)


# ---- sound machines pass -------------------------------------------------------------------------------------------


def test_a_sound_machine_passes(capsys):
    words = ["draws=4000", "tokens=4", "prompts=2", "model.device=cpu"]
    assert main(["selftest", *words]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    figures = json.loads(last)
    assert figures["passed"] is True
    assert figures["failed"] == []
    assert figures["device"] == "cpu"
    statistics = [check for check in figures["checks"] if check["p"] is not None]
    assert figures["threshold"] == pytest.approx(1e-6 / len(statistics))
    assert {check["part"] for check in figures["checks"]} == {"noise", "draws", "engine"}
    assert {setting.strategy_id for setting in SETTINGS} <= {check["name"] for check in figures["checks"]}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("draws=10", "draws is 10; it must be a whole number, 1000 or more."),
        ("draws=many", "draws is 'many'"),
        ("tokens=0", "tokens is 0; it must be a whole number, 1 or more."),
        ("prompts=9", "prompts is 9; it must be at most 8"),
        ("seed=-1", "seed is -1"),
        ("false_alarms=0", "false_alarms is 0; it must be a chance above 0 and below 1"),
        ("float64=maybe", "float64 is 'maybe'; it must be true, false or null."),
    ],
)
def test_wrong_values_are_named(word, message, capsys):
    assert main(["selftest", word]) == 2
    assert message in capsys.readouterr().err


# ---- planted faults are reported -----------------------------------------------------------------------------------


def test_a_temperature_that_is_two_percent_off(monkeypatch):
    right = StrategyTable.temperature
    monkeypatch.setattr(StrategyTable, "temperature", lambda *words: right(*words) * 1.02)
    names = failed(draw_outcomes(CPU, draws=DRAWS * 2, seed=0))
    assert [name for name in names if name.endswith(", mean logit")]


@pytest.mark.parametrize("family", [EDT, KLD, Dynatemp, Switch, Schedule, ShuffledEDT, InvertedEDT])
def test_a_rule_that_is_wrong_in_one_family(family, monkeypatch):
    right = family.temperature
    wrong = staticmethod(lambda signals, params: right(signals, params) * 0.94)
    monkeypatch.setattr(family, "temperature", wrong)
    names = failed(draw_outcomes(CPU, draws=DRAWS, seed=0))
    assert names
    assert all(name.startswith(family.family) for name in names)


def test_biased_noise(monkeypatch):
    right = noise.gumbel
    monkeypatch.setattr(noise, "gumbel", lambda words, dtype: right(words, dtype) * 1.03)
    assert {"known Gumbel noise", "Gumbel distribution"} <= set(failed(noise_outcomes(CPU)))
    assert failed(draw_outcomes(CPU, draws=DRAWS, seed=0))


def test_noise_of_another_generator(monkeypatch):
    monkeypatch.setattr(noise, "ROUNDS", 9)
    assert failed(noise_outcomes(CPU)) == ["known random words"]


def test_another_key_of_a_stream(monkeypatch):
    right = noise.stream_key
    monkeypatch.setattr(noise, "stream_key", lambda seed, *rest: right(seed + 1, *rest))
    assert failed(noise_outcomes(CPU)) == ["known random words"]


def test_swapped_tokens(monkeypatch):
    right = drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda *words: right(*words) ^ 1)
    names = failed(draw_outcomes(CPU, draws=1000, seed=0))
    assert set(names) >= {setting.strategy_id for setting in SETTINGS if setting.truncates or setting.family == "edt"}


def test_draws_that_do_not_follow_the_prefix(monkeypatch):
    """The second token drawn from the logits of another branch."""
    right = Branches.advance

    def wrong(self, token_R):
        right(self, token_R)
        self.logits_BV = self.logits_BV.roll(1, dims=0)

    monkeypatch.setattr(Branches, "advance", wrong)
    assert len(failed(draw_outcomes(CPU, draws=4000, seed=0))) > 10


@pytest.mark.parametrize("axis", TRUNCATIONS)
def test_a_truncation_that_is_dropped(axis, monkeypatch):
    from edt.decoding import loop

    right = loop.cutoffs

    def wrong(logits, branch, temperature, plan, kernels):
        getattr(plan.truncation, f"{axis}_R").fill_(NEUTRAL[axis])
        return right(logits, branch, temperature, plan, kernels)

    monkeypatch.setattr(loop, "cutoffs", wrong)
    names = failed(draw_outcomes(CPU, draws=4000, seed=0))
    assert {s.strategy_id for s in SETTINGS if getattr(s, axis) is not None and s.order == "temperature_first"} & set(
        names
    )
    assert not {s.strategy_id for s in SETTINGS if not s.truncates} & set(names)


@pytest.fixture
def spec(tiny_folder):
    return ModelSpec(path=str(tiny_folder), device="cpu")


def test_engines_agree(spec):
    outcomes = engine_outcomes(spec, tokens=4, prompts=2, float64=None)
    assert not failed(outcomes)
    assert [one.name for one in outcomes] == [
        "batched as reference, float32",
        "greedy as transformers, float32",
        "batched as reference, float64",
        "greedy as transformers, float64",
    ]
    assert len(engine_outcomes(spec, tokens=2, prompts=1, float64=False)) == 2


@pytest.mark.parametrize(
    ("parameters", "device", "given", "expected"),
    [
        (4_000_000, "cpu", {}, (3, 2, 16)),
        (40_000_000, "cpu", {}, (2, 2, 8)),
        (135_000_000, "cpu", {}, (2, 1, 4)),
        (8_000_000_000, "cpu", {}, (2, 1, 4)),
        (8_000_000_000, "cuda", {}, (3, 2, 16)),
        (135_000_000, "cpu", {"tokens": 32}, (2, 1, 32)),
        (135_000_000, "cpu", {"prompts": 1}, (1, 1, 8)),
        (135_000_000, "cpu", {"prompts": 8, "tokens": 1}, (8, 1, 1)),
        (8_000_000_000, "cuda", {"tokens": 3}, (3, 2, 3)),
    ],
)
def test_a_large_model_on_a_cpu_decodes_less_unless_it_is_asked_for(parameters, device, given, expected):
    """A row costs 4 + its tokens: 135e6 weights × 2 texts × 16 settings × 8 = 34.6e9, the last that fits 35e9."""
    sizes = Sizes.fitting(parameters, torch.device(device), **{"prompts": None, "tokens": None, **given})
    assert (sizes.prompts, sizes.samples, sizes.tokens) == expected


def test_a_shortened_comparison_is_noted(spec, monkeypatch, capsys):
    monkeypatch.setattr(engines, "MOST_WORK_ON_CPU", 1)
    words = [f"model.path={spec.path}", "model.device=cpu", "draws=1000", "float64=false"]
    assert main(["selftest", "model=hf", *words]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"^note +engine +shortened +2 texts × 1 samples × 4 tokens, since [\d,]+ weights take a CPU", said, re.M
    )
    assert "without: 3 × 2 × 16\n" in said
    assert "32 of 32 rows of 4 tokens equal" in said
    assert "chance of at most about 1e-06 (Bonferroni)" in said
    figures = json.loads(said.splitlines()[-1])
    # The note is no check.
    assert f"{len(figures['checks']) - 1} checks, 0 failed" in said


def test_an_engine_that_drops_a_setting(spec, monkeypatch):
    right = reference._draw_alone

    def wrong(logits, signals, table, row, step):
        dropped = StrategyTable.build(
            [Fixed(t0=s.t0) if s.truncates else s for s in table.strategies], dtype=logits.dtype, device=CPU
        )
        return right(logits, signals, dropped, row, step)

    monkeypatch.setattr(reference, "_draw_alone", wrong)
    assert failed(engine_outcomes(spec, tokens=8, prompts=2, float64=True)) == ["batched as reference, float64"]


def test_rows_that_get_the_tokens_of_their_neighbors(spec, monkeypatch):
    """The right distribution for every setting, and yet the wrong row's: only the comparison with the reference sees it."""
    right = BatchedEngine._decode_batch

    def wrong(self, *words):
        rows = right(self, *words)
        rows.tokens_AS = rows.tokens_AS.roll(1, dims=0)
        return rows

    monkeypatch.setattr(BatchedEngine, "_decode_batch", wrong)
    assert "batched as reference, float64" in failed(engine_outcomes(spec, tokens=6, prompts=2, float64=True))


def test_a_model_that_is_read_wrongly(spec, monkeypatch):
    """Greedy decoding that is not transformers': the engine's logits are those of a shifted vocabulary."""
    right = Branches.restrict

    def wrong(self, rules, step):
        right(self, rules, step)
        self.logits_BV = self.logits_BV.roll(1, dims=-1)

    monkeypatch.setattr(Branches, "restrict", wrong)
    assert "greedy as transformers, float64" in failed(engine_outcomes(spec, tokens=6, prompts=2, float64=True))


def test_the_command_fails_and_says_what_it_means(monkeypatch, capsys):
    monkeypatch.setattr(noise, "ROUNDS", 9)
    monkeypatch.setattr("edt.selftest.run.draw_outcomes", lambda *_, **__: [])
    monkeypatch.setattr("edt.selftest.run.engine_outcomes", lambda *_, **__: [])
    assert main(["selftest"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED: noise, known random words" in shown
    assert "no run can be repeated or continued here." in shown
    assert json.loads(shown.splitlines()[-1])["failed"] == ["noise: known random words"]


def test_the_model_of_the_draws_has_room_for_errors():
    """No setting's kept tokens are within rounding of a boundary, and its draws are neither certain nor even."""
    model = random_model(
        "tiny", vocabulary=draw_checks.VOCABULARY, dtype="float32", device=CPU, scale=draw_checks.SCALE
    )
    double = random_model(
        "tiny", vocabulary=draw_checks.VOCABULARY, dtype="float64", device=CPU, scale=draw_checks.SCALE
    )
    (prompt,) = draw_checks.random_prompts(model, 1, 24)
    double.model.load_state_dict(model.model.state_dict())
    single, exact = (draw_checks._contexts(one, prompt) for one in (model, double))
    for setting in SETTINGS:
        for near, far in zip([single[0], *single[1]], [exact[0], *exact[1]], strict=True):
            a, b = (exact_distribution(setting, context, start[0]) for context, start in ((near, single), (far, exact)))
            assert ((a > 0) == (b > 0)).all(), setting
            np.testing.assert_allclose(a, b, atol=1e-4)
