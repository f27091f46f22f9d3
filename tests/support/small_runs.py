"""Runs of the random model on a few sentences, for the tests of what is decoded, stored and scored."""

import json

import pyarrow.parquet as pq

from edt.generation.session import generate_runs
from edt.store.parts import read_generations
from edt.store.run import Run
from edt.store.seal import SEAL_KEY, json_bytes, parquet_bytes
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


def edit_manifest(run, change):
    """Let `change` edit the manifest's JSON, and seal it again: what a later or earlier version might have written."""
    content = json.loads(run.manifest_path.read_text())
    del content[SEAL_KEY]
    change(content)
    run.manifest_path.write_bytes(json_bytes(content, run.owner(run.manifest_path)))


def rewrite(run, path, table):
    """Replace the rows of a parquet file of a run, with its seal: what might have been decoded."""
    table = table.replace_schema_metadata(pq.read_schema(path).metadata)
    path.write_bytes(parquet_bytes(table, run.owner(path)))


def as_an_older_version_wrote_it(run):
    """Remove all seals of a run folder, and the fields of the manifest that came with them."""
    for path in [*run.folder.glob("*.parquet"), *run.parts()]:
        pq.write_table(pq.read_table(path), path)
    for path in run.folder.glob("*.json"):
        content = json.loads(path.read_text())
        for name in (SEAL_KEY, "adopted", "references"):
            content.pop(name, None)
        path.write_text(json.dumps(content, indent=1) + "\n")
    return Run.open(run.folder)
