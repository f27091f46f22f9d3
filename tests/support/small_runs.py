"""Runs of the random model on a few sentences, for the tests of what is decoded, stored and scored."""

from edt.generation.session import generate_runs
from edt.store.parts import read_generations
from edt.strategies import Fixed

FIXED = [Fixed(t0=0), Fixed(t0=1)]


def run_of(request):
    """Decode what is missing; return the one run."""
    (run,) = generate_runs(request)
    return run


def rows_of(run):
    """Token ids by split, example, strategy and sample, each there once."""
    table = read_generations(run)
    keys = [(r["split"], r["example_id"], r["strategy_id"], r["sample"]) for r in table.to_pylist()]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, (tuple(ids) for ids in table["token_ids"].to_pylist()), strict=True))


def bytes_of(run):
    """The content of each part."""
    return {path.name: path.read_bytes() for path in run.parts()}
