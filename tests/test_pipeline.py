"""Runs end to end on a random model: resuming, adding, crashing, refusing."""

import json
import os
import shutil

import pyarrow.parquet as pq
import pytest
import torch

from edt.decoding.model import ModelSpec
from edt.decoding.sampling import Sampling
from edt.decoding.torch_engine import TorchSpec
from edt.errors import ModelError, StoreError
from edt.metrics.suite import EdaSpec, MetricsSpec
from edt.pipeline.report import read_study
from edt.pipeline.request import GenerationRequest, TaskRequest
from edt.pipeline.score import score_study
from edt.pipeline.session import generate_study
from edt.store import atomic
from edt.store.manifest import Manifest
from edt.store.parts import read_generations
from edt.strategies import EDT, KLD, Fixed
from edt.tasks.base import Template
from edt.tasks.wmt19 import WMT19

TEMPLATE = Template(head="Translate: ", source="{sentence}", tail=" =>")
FIXED = [Fixed(t0=0), Fixed(t0=1)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lines = [f"Sentence number {i}, {'long ' * (i % 4)}indeed." for i in range(12)]
    (folder / "news.eng").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "news.zho").write_text("\n".join(f"第{i}句话,的确。" for i in range(12)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def ask(tiny_folder, data, tmp_path):
    def make(strategies=FIXED, samples=2, splits=("test",), seed=0, max_rows=6, runs=None, **task):
        wmt19 = WMT19(template=TEMPLATE, path=str(data), **task)
        return GenerationRequest(
            model=ModelSpec(path=str(tiny_folder), device="cpu"),
            engine=TorchSpec(max_rows=max_rows),
            tasks=(TaskRequest(task=wmt19, splits=splits),),
            strategies=tuple(strategies),
            sampling=Sampling(samples=samples, seed=seed, max_new_tokens=6),
            runs=runs or tmp_path / "runs",
            config={},
        )

    return make


def run_of(request):
    ((run, _),) = generate_study(request)
    return run


def rows_of(run):
    table = read_generations(run, Manifest.read(run.manifest).generation_id)
    keys = [(r["split"], r["example_id"], r["strategy_id"], r["sample"]) for r in table.to_pylist()]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, (tuple(ids) for ids in table["token_ids"].to_pylist()), strict=True))


def bytes_of(run):
    return {path.name: path.read_bytes() for path in run.parts()}


def test_same_command_resumes_and_writes_nothing(ask):
    run = run_of(ask())
    before = {path: path.stat().st_mtime_ns for path in run.parts()}
    assert len(before) > 1
    assert run_of(ask()) == run
    assert {path: path.stat().st_mtime_ns for path in run.parts()} == before


def test_more_strategies_and_samples_generate_only_what_is_missing(ask, tmp_path):
    run = run_of(ask(FIXED, samples=1))
    before, old = bytes_of(run), rows_of(run)
    more = [Fixed(t0=0), Fixed(t0=1), EDT(t0=1, theta=0.5), KLD(t0=1, sigma=2)]
    assert run_of(ask(more, samples=3)) == run
    after = rows_of(run)
    assert {name: bytes_of(run)[name] for name in before} == before
    assert len(after) == 6 * 4 * 3
    assert {key: after[key] for key in old} == old
    at_once = rows_of(run_of(ask(more, samples=3, runs=tmp_path / "other")))
    assert after.keys() == at_once.keys()


def test_crash_and_resume_are_byte_identical(ask, tmp_path, monkeypatch):
    whole = bytes_of(run_of(ask(runs=tmp_path / "whole")))
    honest, written = atomic.os.replace, []

    def dying(source, target):
        if "part-" in str(target):
            written.append(target)
            if len(written) == 2:
                raise KeyboardInterrupt
        honest(source, target)

    monkeypatch.setattr(atomic.os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        run_of(ask())
    monkeypatch.undo()
    assert bytes_of(run_of(ask())) == whole


def exhausted_above(monkeypatch, rows):
    """Make every batch of more rows run out of memory, truly: it asks for more than any machine has."""
    from edt.decoding import torch_engine

    honest = torch_engine.decode

    def tight(batch, *arguments, **named):
        if len(batch.strategy_A) > rows:
            torch.empty(2**50)
        return honest(batch, *arguments, **named)

    monkeypatch.setattr(torch_engine, "decode", tight)


@pytest.mark.parametrize("most", [4, 1])
def test_a_chunk_that_exhausts_memory_is_split_and_the_plan_says_so(ask, tmp_path, monkeypatch, capsys, most):
    wanted = rows_of(run_of(ask(max_rows=100, runs=tmp_path / "whole")))
    exhausted_above(monkeypatch, most)
    run = run_of(ask(max_rows=100))
    assert rows_of(run) == wanted
    (planned,) = Manifest.read(run.manifest).passes
    assert planned.splits > 0
    assert planned.rows_per_batch <= most or most == 4
    assert sorted(i for chunk in planned.chunks for i in chunk) == sorted({key[1] for key in wanted})
    assert capsys.readouterr().err.count("was split") == 1
    monkeypatch.undo()
    before = bytes_of(run)
    assert run_of(ask(max_rows=100)) == run
    assert bytes_of(run) == before


def test_a_row_that_exhausts_memory_is_an_error(ask, monkeypatch):
    exhausted_above(monkeypatch, 0)
    with pytest.raises(ModelError, match=r"memory is exhausted by a single row of example .*max_prompt_tokens"):
        run_of(ask())


def test_full_disk_is_told_and_loses_nothing(ask, tmp_path, monkeypatch):
    whole = bytes_of(run_of(ask(runs=tmp_path / "whole")))
    honest, flushed = atomic.os.fsync, []

    def full(descriptor):
        flushed.append(descriptor)
        if len(flushed) > 6:
            raise OSError(28, "No space left on device")
        honest(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*the disk is full.*paths.runs=FOLDER"):
        run_of(ask())
    monkeypatch.undo()
    (folder,) = (tmp_path / "runs").glob("tiny*")
    kept = {path.name: path.read_bytes() for path in (folder / "generations").iterdir()}
    assert kept
    assert kept.items() <= whole.items()
    assert bytes_of(run_of(ask())) == whole


@pytest.mark.parametrize("change", [{"seed": 1}, {"limit": 3}, {"splits": ("dev",)}, {"direction": "zh-en"}])
def test_what_can_change_a_token_makes_another_run(ask, change):
    assert run_of(ask(**change)) != run_of(ask())


def test_dev_and_test_are_disjoint_halves(ask):
    rows = rows_of(run_of(ask(splits=("dev", "test"))))
    ids = {split: {e for s, e, _, _ in rows if s == split} for split in ("dev", "test")}
    assert len(ids["dev"]) == len(ids["test"]) == 6
    assert not ids["dev"] & ids["test"]


def test_parts_of_another_run_are_refused(ask):
    first, second = run_of(ask()), run_of(ask(seed=1))
    shutil.copy(first.parts()[0], second.part(9, 0))
    with pytest.raises(StoreError, match="copied from another run"):
        score_study([second], MetricsSpec(), samples=None)


def test_scores_refuse_generations_they_were_not_made_from(ask):
    run = run_of(ask())
    score_study([run], MetricsSpec(), samples=None)
    assert read_study([run])
    run_of(ask([*FIXED, Fixed(t0=0.5)]))
    with pytest.raises(StoreError, match=r"made from other generations.*edt score runs="):
        read_study([run])


def test_manifest_changed_by_hand_is_refused(ask):
    run = run_of(ask())
    content = json.loads(run.manifest.read_text())
    content["identity"]["seed"] = 7
    run.manifest.write_text(json.dumps(content))
    with pytest.raises(StoreError, match="changed by hand"):
        Manifest.read(run.manifest)


def test_only_one_process_writes_a_run(ask):
    run = run_of(ask())
    with run.writing(), pytest.raises(StoreError, match="another process"), run.writing():
        pass


def scores_of(run, spec=None, samples=None):
    scores = score_study([run], spec or MetricsSpec(), samples=samples)
    return {(s.split, s.strategy_id, s.metric): s for s in scores}


def test_one_sample_leaves_self_bleu_and_eda_missing_not_zero(ask):
    scores = scores_of(run_of(ask(samples=1)))
    for metric in ("self_bleu", "eda"):
        score = scores["test", "fixed(t0=1)", metric]
        assert (score.value, score.lo, score.hi) == (None, None, None)
        assert "missing" in score.note
    assert scores["test", "fixed(t0=1)", "sacrebleu"].value is not None


def test_eda_without_a_fixed_family_is_missing(ask):
    score = scores_of(run_of(ask([EDT(t0=1, theta=1)])))["test", "edt(t0=1,theta=1)", "eda"]
    assert score.value is None
    assert "strategy=fixed" in score.note


def test_eda_constants_given(ask):
    spec = MetricsSpec(eda=EdaSpec(q_star=50.0, s_star=80.0))
    scores = scores_of(run_of(ask([Fixed(t0=1)])), spec)
    quality, diversity, eda = (scores["test", "fixed(t0=1)", m] for m in ("sacrebleu", "self_bleu", "eda"))
    by_hand = 100 * (((1 - quality.value / 50) ** 2 + (diversity.value / 80) ** 2) / 2) ** 0.5
    assert eda.value == pytest.approx(by_hand, abs=1e-9)
    assert "q_star:50" in eda.signature
    assert not eda.note


@pytest.fixture
def real_text(monkeypatch):
    """A random model translates nothing, so quality would be 0 and EDA missing: put words into its mouth."""
    from edt.decoding import engine

    monkeypatch.setattr(engine, "cut_at_stop", lambda text, stops: f"第{len(text) % 12}句话,的确。")


def test_eda_constants_come_from_dev_and_stay_frozen(ask, real_text):
    run = run_of(ask(splits=("dev", "test")))
    first = scores_of(run)
    constants = [first["dev", s.strategy_id, m].value for m in ("sacrebleu", "self_bleu") for s in FIXED]
    q_star, s_star = max(constants[:2]), max(constants[2:])
    for split in ("dev", "test"):
        q, s, eda = (first[split, "fixed(t0=1)", m].value for m in ("sacrebleu", "self_bleu", "eda"))
        assert eda == pytest.approx(100 * ((max(0, 1 - q / q_star) ** 2 + (s / s_star) ** 2) / 2) ** 0.5, abs=1e-9)
        assert not first[split, "fixed(t0=1)", "eda"].note
    run_of(ask([*FIXED, *(Fixed(t0=t / 7) for t in range(1, 7))], splits=("dev", "test")))
    later = scores_of(run)
    assert later["test", "fixed(t0=1)", "eda"] == first["test", "fixed(t0=1)", "eda"]


def test_provisional_eda_is_labelled(ask, real_text):
    score = scores_of(run_of(ask()))["test", "fixed(t0=1)", "eda"]
    assert "provisional" in score.note
    assert "provisional" in score.signature


def test_dev_without_greedy_says_what_is_missing(ask, real_text):
    score = scores_of(run_of(ask([Fixed(t0=1)], splits=("dev", "test"))))["test", "fixed(t0=1)", "eda"]
    assert "provisional" in score.note
    assert "t0=0" in score.note


def test_constants_do_not_hang_on_what_is_scored_together(ask, real_text, tmp_path):
    run = run_of(ask(splits=("dev", "test")))
    other = run_of(ask(splits=("dev", "test"), seed=1))
    first = scores_of(run)["test", "fixed(t0=1)", "eda"]
    run_of(ask([*FIXED, *(Fixed(t0=t / 7) for t in range(1, 7))], splits=("dev", "test")))
    together = score_study([run, other], MetricsSpec(), samples=None)
    wanted = (first.generation_id, "test", "fixed(t0=1)", "eda")
    assert [s for s in together if (s.generation_id, s.split, s.strategy_id, s.metric) == wanted] == [first]


def test_scores_with_fewer_samples_than_generated(ask):
    run = run_of(ask(samples=3))
    assert {s.n_samples for s in scores_of(run, samples=2).values()} == {2}
    assert {s.n_samples for s in scores_of(run).values()} == {3}


def test_records_have_the_designs_columns(ask):
    run = run_of(ask([EDT(t0=1, theta=0.5, top_p=0.9)]))
    scores_of(run)
    columns = set(pq.read_schema(run.parts()[0]).names)
    wanted = (
        "task split example_id cluster_id strategy_id family granularity sample token_ids text finish_reason t_mean "
        "t_min t_max h_mean floored_steps prompt_tokens truncated_tokens t0 theta top_p"
    )
    assert set(wanted.split()) <= columns
    columns = set(pq.read_schema(run.scores).names)
    wanted = "task split strategy_id t0 theta top_p metric value lo hi n_examples n_samples signature generation_id"
    assert set(wanted.split()) <= columns


def test_scores_of_several_processes_are_those_of_one(ask):
    runs = [run for run, _ in generate_study(ask([Fixed(t0=0), Fixed(t0=1), EDT(t0=1, theta=0.5)]))]
    alone = score_study(runs, MetricsSpec(processes=1), samples=None)
    assert score_study(runs, MetricsSpec(processes=2), samples=None) == alone


def test_processes_are_started_only_where_they_pay():
    from edt.errors import ConfigError
    from edt.pipeline.parallel import WORTH_A_PROCESS, processes_for

    assert processes_for(None, texts=WORTH_A_PROCESS - 1, items=9) == 1
    assert processes_for(None, texts=WORTH_A_PROCESS, items=9) == min(9, os.cpu_count())
    assert processes_for(4, texts=1, items=3) == 3
    with pytest.raises(ConfigError, match=r"metrics.processes is 0"):
        processes_for(0, texts=1, items=1)
