"""A session over an engine whose model is in another program: it reads prompts, plans, records, resumes."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from edt.decoding.batching import Cost
from edt.decoding.engine import Engine, PlanLimits
from edt.decoding.engine_specs import BatchedSpec, EngineSpec, with_model_here
from edt.decoding.sampling import EXTERNAL
from edt.errors import ConfigError
from edt.generation.session import Session, generate_runs
from edt.ids import seeded_rank
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.models.served_model import ServedModel
from edt.models.spec import ModelSpec
from edt.records import Generation
from edt.report.run_labels import run_labels
from edt.report.run_report import report_study
from edt.scoring.score import score_runs
from edt.store.parts import read_generations
from edt.strategies import KLD, Fixed


class FarEngine(Engine):
    """Stands for another program: it draws words at random, and says nothing of temperatures."""

    name = "far"
    signals = frozenset()

    def identity(self):
        return {"engine": "far", "noise": "theirs", "model": self.model.identity}

    def noise(self, sampling):
        return EXTERNAL

    def cost(self, strategies, tokens):
        return Cost(per_token=0, per_row=0, shared_prompt=True)

    def plan_limits(self):
        return PlanLimits(budget=0, max_rows=4)

    def generate(self, request) -> Iterator[Generation]:
        self.check_strategies(request.strategies)
        for prompt in request.prompts:
            for row in request.rows:
                self.spec.asked.append((prompt.example_id, row.sample))
                strategy = request.strategies[row.strategy]
                draw = random.Random(seeded_rank(request.sampling.seed, f"{prompt.example_id} {row.sample}"))
                ids = tuple(draw.choices(range(5, 60), k=3))
                yield Generation(
                    task=prompt.task, split=prompt.split, example_id=prompt.example_id, cluster_id=prompt.cluster_id,
                    strategy_id=strategy.strategy_id, family=strategy.family, params=strategy.params(),
                    granularity=strategy.granularity, sample=row.sample, token_ids=ids,
                    text=self.model.decode([ids])[0], finish_reason="length", t_mean=None, t_min=None, t_max=None,
                    h_mean=None, floored_steps=None, prompt_tokens=len(prompt.token_ids), truncated_tokens=0,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FarSpec(EngineSpec):
    asked: list = field(default_factory=list)

    def open(self, model):
        return FarEngine(model=ServedModel.load(model, weights=False), spec=self)


def far_request(request):
    spec = FarSpec()
    return spec, replace(request, engine=spec)


def test_a_session_needs_no_weights_here(ask, tmp_path, tiny_folder):
    bare = tmp_path / "bare"
    shutil.copytree(tiny_folder, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    spec, request = far_request(replace(ask([Fixed(t0=0.5)]), model=ModelSpec(path=str(bare))))
    (run,) = generate_runs(request)
    assert len(run.parts()) == 3  # two prompts of two rows make a chunk
    table = read_generations(run)
    assert len(table) == len(spec.asked) == 12
    # What the other program does not say is missing, and no number.
    for name in ("t_mean", "t_min", "t_max", "h_mean", "floored_steps"):
        assert table[name].null_count == len(table)
    # Who draws is part of what the run is, and readers see it.
    assert run.manifest.identity["coupling"] == "engine"
    ours = replace(run.manifest, identity={**run.manifest.identity, "coupling": "identity"})
    assert ours.generation_id != run.generation_id
    assert run_labels([run.manifest, ours])[run.generation_id] == "noise external"


def test_what_is_missing_is_asked_for_again_and_nothing_else(ask):
    spec, request = far_request(ask([Fixed(t0=0.5)]))
    (run,) = generate_runs(request)
    whole = read_generations(run)
    run.parts()[2].unlink()
    spec.asked.clear()
    (run,) = generate_runs(request)
    assert len(spec.asked) == 4
    assert read_generations(run).equals(whole)
    spec.asked.clear()
    generate_runs(replace(request, sampling=replace(request.sampling, samples=3)))
    assert {sample for _, sample in spec.asked} == {2}
    assert len(spec.asked) == 6


def test_the_run_is_scored_and_has_a_page_without_temperatures(ask, tmp_path):
    _, request = far_request(ask([Fixed(t0=0.0), Fixed(t0=0.5)]))
    (run,) = generate_runs(request)
    scores = score_runs([run], MetricsSpec(bootstrap=BootstrapSpec(resamples=20)), samples=None)
    names = {row.metric for row in scores}
    assert "self_bleu" in names
    assert "temperature" not in names
    report_study(scores, [run], out=tmp_path / "study")
    page = (tmp_path / "study" / "report.html").read_text()
    assert "mean T" not in page


def test_the_estimate_counts_no_memory(ask):
    _, request = far_request(ask([Fixed(t0=0.5)]))
    (estimate,) = Session.open(request).estimate()
    assert "at most 72 new tokens" in estimate.text()
    assert "memory" not in estimate.text()


def test_guided_strategies_are_refused_with_a_remedy(ask):
    _, request = far_request(ask([KLD(t0=1.0, sigma=1.0)]))
    with pytest.raises(ConfigError, match=r"'kl', which engine 'far' does not provide .*Use engine=batched"):
        generate_runs(request)


def test_traces_need_the_model_here():
    assert with_model_here(BatchedSpec(), "edt trace") == BatchedSpec()
    with pytest.raises(ConfigError, match=r"edt trace reads the model's own distributions.*use\s+engine=batched"):
        with_model_here(FarSpec(), "edt trace")


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ({"gguf_file": "m.gguf"}, "give the model's own folder"),
        ({"adapter": "lora"}, "edt train export"),
        ({"long_tail": {"entropy": [0.0, 1.0], "mass": [0.0, 0.1], "exponent": 1.0, "head": 4}}, "engine=batched"),
    ],
)
def test_options_that_need_the_weights_here_are_refused(tiny_folder, option, remedy):
    with pytest.raises(ConfigError, match=f"model.{next(iter(option))} is set.*{remedy}"):
        ServedModel.load(ModelSpec(path=str(tiny_folder), **option), weights=False)


def test_a_served_model_reads_as_the_loaded_one(tiny, tiny_folder):
    served = ServedModel.load(ModelSpec(path=str(tiny_folder)), weights=True)
    for name in ("vocabulary", "embeddings", "context", "eos_ids", "special_tokens", "token_rules", "in_chat"):
        assert getattr(served, name) == getattr(tiny, name), name
    assert served.tokenize("A text.") == tiny.tokenize("A text.")
    assert served.identity["weights"] == tiny.identity["weights"] != ""
    # Weights that came later must not make another run of the same server.
    assert ServedModel.load(ModelSpec(path=str(tiny_folder)), weights=False).identity["weights"] == ""
