"""Runs end to end on a random model: resuming, adding, crashing, refusing."""

import shutil

import pytest
import torch

from edt.errors import ModelError, StoreError
from edt.generation.generate import _BatchSize
from edt.metrics.suite import MetricsSpec
from edt.report.run_report import read_study
from edt.scoring.outputs import read_outputs
from edt.scoring.score import score_runs
from edt.store import atomic
from edt.strategies import EDT, KLD, Fixed
from tests.support.small_runs import FIXED, bytes_of, edit_manifest, rows_of, run_of


def test_same_command_resumes_and_writes_nothing(ask):
    run = run_of(ask())
    before = {path: path.stat().st_mtime_ns for path in run.parts()}
    assert len(before) > 1
    assert run_of(ask()).folder == run.folder
    assert {path: path.stat().st_mtime_ns for path in run.parts()} == before


def test_more_strategies_and_samples_generate_only_what_is_missing(ask, tmp_path):
    run = run_of(ask(FIXED, samples=1))
    before, old = bytes_of(run), rows_of(run)
    more = [Fixed(t0=0), Fixed(t0=1), EDT(t0=1, theta=0.5), KLD(t0=1, sigma=2)]
    assert run_of(ask(more, samples=3)).folder == run.folder
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
    """Make every batch of more rows run out of memory, by a real allocation of more than any machine has."""
    from edt.decoding import batched_engine as torch_engine

    honest = torch_engine.decode

    def tight(batch, *arguments, **named):
        if len(batch.strategy_A) > rows:
            torch.empty(2**50)
        return honest(batch, *arguments, **named)

    monkeypatch.setattr(torch_engine, "decode", tight)


@pytest.mark.parametrize("most", [4, 1])
def test_a_chunk_that_exhausts_memory_is_split_and_the_plan_says_so(ask, tmp_path, monkeypatch, caplog, most):
    wanted = rows_of(run_of(ask(max_rows=100, runs=tmp_path / "whole")))
    exhausted_above(monkeypatch, most)
    run = run_of(ask(max_rows=100))
    assert rows_of(run) == wanted
    (planned,) = run.manifest.passes
    assert planned.splits > 0
    # The batches were smaller, but the plan is for a machine with its memory back.
    assert planned.rows_per_batch == 100
    assert sorted(i for chunk in planned.chunks for i in chunk) == sorted({key[1] for key in wanted})
    assert caplog.text.count("was split") == 1
    monkeypatch.undo()
    before = bytes_of(run)
    assert run_of(ask(max_rows=100)).folder == run.folder
    assert bytes_of(run) == before


def test_batches_grow_again_when_a_shortage_has_passed():
    size = _BatchSize(64)
    assert size.halve(rows=40)
    assert size.rows == 20
    # After a second shortage, more chunks have to fit before more rows are tried.
    assert size.halve(rows=40)
    grown = []
    for _ in range(12):
        size.has_fitted()
        grown.append(size.rows)
    assert grown == [10, 10, 10, 20, 20, 20, 20, 40, 40, 40, 40, 64]
    while size.halve(rows=64):
        pass
    assert size.rows == 1


def test_a_shortage_that_an_older_version_wrote_into_the_plan_does_not_last(ask, monkeypatch):
    from edt.generation import generate

    run = run_of(ask(max_rows=100))

    def as_after_a_shortage(content):
        content["passes"][0].update(splits=3, rows_per_batch=1)

    edit_manifest(run, as_after_a_shortage)
    run.parts()[0].unlink()
    honest, sizes = generate._chunk_request, []
    monkeypatch.setattr(generate, "_chunk_request", lambda *given: (sizes.append(given[4]), honest(*given))[1])
    run_of(ask(max_rows=100))
    assert sizes == [100]


def test_a_row_that_exhausts_memory_is_an_error(ask, monkeypatch):
    exhausted_above(monkeypatch, 0)
    with pytest.raises(ModelError, match=r"memory is exhausted by a single row of example .*max_prompt_tokens"):
        run_of(ask())


def test_a_full_disk_is_reported_and_loses_nothing(ask, tmp_path, monkeypatch):
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
    assert run_of(ask(**change)).folder != run_of(ask()).folder


def test_dev_and_test_are_disjoint_halves(ask):
    rows = rows_of(run_of(ask(splits=("dev", "test"))))
    ids = {split: {e for s, e, _, _ in rows if s == split} for split in ("dev", "test")}
    assert len(ids["dev"]) == len(ids["test"]) == 6
    assert not ids["dev"] & ids["test"]


def test_parts_of_another_run_are_refused(ask):
    first, second = run_of(ask()), run_of(ask(seed=1))
    shutil.copy(first.parts()[0], second.part(9, 0))
    with pytest.raises(
        StoreError, match=r"in the place of another file: it was written as part-000-00000.parquet of run"
    ):
        score_runs([second], MetricsSpec(), samples=None)


def test_of_some_strategies_only_the_parts_that_hold_them_are_read(ask):
    """A search evaluates a few settings at a time of a run that grows."""
    run_of(ask(FIXED[:1]))
    run = run_of(ask(FIXED))
    assert len(run.manifest.passes) == 2
    run.part(0, 0).write_bytes(b"no longer a part")
    (found,) = read_outputs(run, ["test"], [FIXED[1].strategy_id])
    assert found.complete_samples == 2
    run_of(ask(FIXED[1:]))
    for ids in (None, [FIXED[0].strategy_id]):
        with pytest.raises(StoreError, match="part-000"):
            read_outputs(run, ["test"], ids)


def test_scores_refuse_generations_they_were_not_made_from(ask):
    run = run_of(ask())
    score_runs([run], MetricsSpec(), samples=None)
    assert read_study([run])
    run_of(ask([*FIXED, Fixed(t0=0.5)]))
    with pytest.raises(StoreError, match=r"made from other generations.*edt score runs="):
        read_study([run])


def test_manifest_changed_by_hand_is_refused(ask):
    run = run_of(ask())
    edit_manifest(run, lambda content: content["identity"].update(seed=7))
    with pytest.raises(StoreError, match=r"changed by hand.*repair=true"):
        run.reread()


def test_only_one_process_writes_a_run(ask):
    run = run_of(ask())
    with run.writing(), pytest.raises(StoreError, match="another process"), run.writing():
        pass


def test_each_part_says_which_device_decoded_it(ask):
    from edt.store.parts import part_device

    run = run_of(ask())
    assert {part_device(run, path) for path in run.parts()} == {"cpu"}
