"""Runs of engine=hf_generate: they resume, take more rows, and stay apart from those of our own draws."""

from functools import partial

import pytest

from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.engine_specs import BatchedSpec
from edt.errors import ConfigError
from edt.strategies import Fixed, RandomT
from tests.support.engine_rows import OF_GENERATE
from tests.support.small_runs import bytes_of, rows_of, run_of


@pytest.fixture
def ask(ask):
    return partial(ask, spec=HFGenerateSpec)


def test_a_run_resumes_chunk_by_chunk(ask):
    run = run_of(ask(OF_GENERATE))
    whole = bytes_of(run)
    assert len(whole) > 1
    for path in run.parts()[1:]:
        path.unlink()
    assert run_of(ask(OF_GENERATE)).folder == run.folder
    assert bytes_of(run) == whole


def test_more_rows_are_added_to_the_same_run(ask):
    run = run_of(ask(OF_GENERATE[:2], samples=1))
    before = bytes_of(run)
    assert run_of(ask(OF_GENERATE, samples=3)).folder == run.folder
    assert {name: bytes_of(run)[name] for name in before} == before
    assert len(rows_of(run)) == 6 * len(OF_GENERATE) * 3


def test_its_runs_are_apart_from_those_of_our_own_draws(ask):
    own, theirs = run_of(ask(OF_GENERATE[:2])), run_of(ask(OF_GENERATE[:2], spec=BatchedSpec))
    assert own.folder != theirs.folder
    identities = [run.manifest.identity for run in (own, theirs)]
    differing = {key for key in identities[0] if identities[0][key] != identities[1][key]}
    assert differing == {"engine", "noise", "coupling"}
    assert (identities[0]["engine"], identities[0]["coupling"]) == ("generate", "engine")


def test_a_run_that_cannot_be_is_refused_before_anything_is_written(ask, tmp_path):
    with pytest.raises(ConfigError, match="random_t"):
        run_of(ask([Fixed(t0=1), RandomT(q0=0.1, q25=0.2, q50=0.3, q75=0.4, q100=0.5)]))
    assert not (tmp_path / "runs").exists()
