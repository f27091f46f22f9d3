"""Every file of a run is checked when it is read: damage is named with its remedy, and nothing is scored from it."""

import errno
import json
import os
import random
import shutil
import sys
from contextlib import suppress
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from edt.errors import DamagedFileError, NotScoredError, StoreError, UnreadableFileError
from edt.generation.request import TaskRequest
from edt.generation.session import generate_runs
from edt.metrics.eda import EdaConstants
from edt.metrics.suite import BootstrapSpec, MetricsSpec
from edt.report.run_report import read_study
from edt.scoring.eda_constants import FrozenConstants
from edt.scoring.score import score_runs
from edt.store.parts import _arrow_buffer, read_examples, read_generations
from edt.store.run import Run, find_runs
from edt.store.seal import SealError, check_seal, json_bytes, parquet_bytes, zip_bytes
from edt.strategies import EDT, Fixed
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from tests.support.small_runs import (
    FIXED,
    as_an_older_version_wrote_it,
    bytes_of,
    edit_manifest,
    rewrite,
    rows_of,
    run_of,
)

SPEC = MetricsSpec(bootstrap=BootstrapSpec(resamples=50))
KINDS = ("part", "examples", "scores", "constants", "statistics", "manifest")


def scored(run):
    return [replace(score, signature="") for score in score_runs([run], SPEC, samples=None)]


@pytest.fixture
def run(ask):
    """A scored run of two splits, so that it has every kind of file."""
    run = run_of(ask(splits=("dev", "test")))
    # The random model earns no scale by itself.
    frozen = FrozenConstants.read(run)
    frozen.freeze("a scale", EdaConstants(q_star=50.0, s_star=100.0, source="dev", family="fixed"))
    frozen.write()
    scored(run)
    return run.reread()


def file_of(run, kind):
    return {
        "part": run.parts()[1],
        "examples": run.examples_path,
        "scores": run.scores_path,
        "constants": run.constants_path,
        "statistics": sorted(run.statistics_folder.iterdir())[0],
        "manifest": run.manifest_path,
    }[kind]


def outcome(folder, before):
    """What a reader has of the run: an error, or everything as it was."""
    run = Run.open(folder)
    assert read_study([run]) == before["scores"]
    assert read_examples(run) == before["examples"]
    assert rows_of(run) == before["rows"]
    assert FrozenConstants.read(run).by_scale == before["constants"]
    # From the statistics, which are computed again where they are damaged.
    assert scored(run) == before["scored"]
    return "same"


def flips(run, count, seed=1):
    """Flip one random bit of a random file, each kind as often as the others; yield the outcomes by kind."""
    before = {
        "scores": read_study([run]),
        "examples": read_examples(run),
        "rows": rows_of(run),
        "constants": FrozenConstants.read(run).by_scale,
        "scored": scored(run),
    }
    draw = random.Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path = draw.choice(run.parts()) if kind == "part" else file_of(run, kind)
        whole = path.read_bytes()
        content = bytearray(whole)
        bit = draw.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            yield kind, bit, outcome(run.folder, before)
        except StoreError as error:
            yield kind, bit, "reported" if str(path) in str(error) else str(error)
        finally:
            path.write_bytes(whole)


def check_flips(run, count):
    seen = list(flips(run, count))
    assert len(seen) == count
    for kind, bit, found in seen:
        # Damaged statistics are made again; every other damage is an error with the name of the file.
        assert found == ("same" if kind == "statistics" else "reported"), (kind, bit)


def test_no_flipped_bit_is_accepted(run):
    check_flips(run, 100)


@pytest.mark.long
def test_no_flipped_bit_of_a_thousand_is_accepted(run):
    check_flips(run, 1000)


def test_a_seal_covers_each_bit_of_a_file():
    import pyarrow as pa

    table = pa.table({"text": ["edt-sha256:", "a"], "value": [1.5, None]})
    empty_zip = b"PK\5\6" + bytes(18)
    for content in (parquet_bytes(table, "r/f"), json_bytes({"a": [1.5]}, "r/f"), zip_bytes(empty_zip, "r/f")):
        assert check_seal(content, "r/f")
        for bit in range(8 * len(content)):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            # Without its first word it is no seal, which a run of this version does not take either.
            with suppress(SealError):
                assert not check_seal(bytes(flipped), "r/f")


def spoil(path, fault):
    whole = path.read_bytes()
    path.unlink()
    if fault == "a folder":
        path.mkdir()
    elif fault != "removed":
        path.write_bytes(whole[: len(whole) // 2 if fault == "truncated" else 0])


@pytest.mark.parametrize("fault", ["emptied", "truncated", "removed"])
@pytest.mark.parametrize("kind", ["statistics", "scores"])
def test_what_scoring_makes_it_makes_again(run, kind, fault):
    before = scored(run)
    spoil(file_of(run, kind), fault)
    if kind == "scores":
        with pytest.raises(StoreError, match=rf"scores.*edt score runs={run.folder}"):
            read_study([run])
    assert scored(run) == before
    assert read_study([run])


@pytest.mark.parametrize("fault", ["emptied", "truncated", "a folder"])
def test_damaged_constants_are_named_and_taken_from_dev_again(run, fault):
    before = scored(run)
    spoil(run.constants_path, fault)
    if fault != "a folder":
        with pytest.raises(StoreError, match=rf"{run.constants_path} is damaged.*Remove it, and the next edt score"):
            scored(run)
        run.constants_path.unlink()
    assert scored(run) == before


@pytest.mark.parametrize("fault", ["emptied", "truncated", "removed"])
@pytest.mark.parametrize("kind", ["part", "examples", "manifest"])
def test_what_decoding_makes_is_named_and_made_again_by_its_command(ask, run, kind, fault, caplog):
    before, parts = scored(run), bytes_of(run)
    spoil(file_of(run, kind), fault)
    named = (
        "it lacks" if (kind, fault) == ("part", "removed") else str(file_of(run, kind) if kind != "part" else "part-")
    )
    with pytest.raises(StoreError, match=named):
        scored(run)
    request = ask(splits=("dev", "test"))
    if kind == "manifest":
        with pytest.raises(StoreError, match="repair=true"):
            run_of(request)
        request = replace(request, repair=True)
    again = run_of(request)
    assert bytes_of(again) == parts
    assert scored(again) == before
    if kind == "part":
        assert ("it is decoded again" in caplog.text) == (fault != "removed")


@pytest.mark.parametrize("kind", ["part", "examples", "scores"])
def test_a_folder_in_the_place_of_a_file_is_named(run, kind):
    path = file_of(run, kind)
    spoil(path, "a folder")
    with pytest.raises(StoreError, match=path.name):
        scored(run)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_run_is_recognized(ask, run, kind):
    other = run_of(ask(splits=("dev", "test"), seed=1))
    shutil.copytree(run.folder / "statistics", other.folder / "statistics")
    frozen = FrozenConstants.read(other)
    frozen.freeze("a scale", EdaConstants(q_star=50.0, s_star=100.0, source="dev", family="fixed"))
    frozen.write()
    scored(other)
    shutil.copy(file_of(other, kind), file_of(run, kind))
    if kind == "statistics":
        scored(run)
        return
    with pytest.raises(DamagedFileError, match=r"another file|changed by hand|in the place of"):
        read_study([run.reread()]) and FrozenConstants.read(run.reread()) and read_generations(run)


def test_two_parts_in_each_others_place_are_recognized(run):
    first, second = run.parts()[:2]
    spare = first.with_name("spare")
    for source, target in ((first, spare), (second, first), (spare, second)):
        os.replace(source, target)
    with pytest.raises(DamagedFileError, match=rf"{first.name} is in the place of another file: .*{second.name}"):
        scored(run)


def test_only_the_damaged_part_is_decoded_again_and_its_command_is_named(ask, run, monkeypatch):
    from edt.generation import generate

    honest, written = generate.write_part, []
    monkeypatch.setattr(generate, "write_part", lambda run, *at: (written.append(at[:2]), honest(run, *at)))
    before = bytes_of(run)
    run.parts()[2].write_bytes(b"damaged")
    request = replace(ask(splits=("dev", "test")), command="edt generate seed=0")
    again = run_of(request)
    assert len(written) == 1
    assert bytes_of(again) == before

    # Of another command's settings, it is an error with that command, and nothing is decoded.
    more = run_of(replace(ask([EDT(t0=1, theta=1)], splits=("dev", "test")), command="edt generate strategy=edt"))
    (path,) = [more.part(number, 0) for number, one in enumerate(more.manifest.passes) if one.rows[0][0][0] == "e"][:1]
    path.write_bytes(b"damaged")
    with pytest.raises(DamagedFileError, match="makes this part again, and no other: edt generate strategy=edt"):
        run_of(ask([EDT(t0=1, theta=1), Fixed(t0=0)], samples=1, splits=("dev", "test")))


def test_a_manifest_edited_by_hand_is_refused(run):
    """No hash of the identity covers these fields, and all of them change a table."""
    edits = {
        "quality": lambda content: content.update(quality="exact_match"),
        "language": lambda content: content.update(target_language="en"),
        "passes": lambda content: content["passes"].pop(),
        "config": lambda content: content["config"].update(extra=1),
    }
    whole = run.manifest_path.read_text()
    for change in edits.values():
        content = json.loads(whole)
        change(content)
        run.manifest_path.write_text(json.dumps(content))
        with pytest.raises(StoreError, match=r"manifest.*its bytes are not those that were written.*repair=true"):
            Run.open(run.folder)
        # Without its seal it is no manifest of an older version, since the parts have theirs.
        del content["seal"]
        run.manifest_path.write_text(json.dumps(content))
        with pytest.raises(StoreError, match=r"was edited or replaced|in no pass"):
            scored(Run.open(run.folder))


def test_an_earlier_manifest_is_refused(ask):
    run = run_of(ask(FIXED[:1]))
    earlier = run.manifest_path.read_bytes()
    run_of(ask(FIXED))
    run.manifest_path.write_bytes(earlier)
    with pytest.raises(StoreError, match=r"is in no pass of .*manifest\.json, which is older.*repair=true"):
        scored(run)
    again = run_of(replace(ask(FIXED), repair=True))
    assert len(again.manifest.passes) == 2
    assert {score.strategy_id for score in scored(again)} == {one.strategy_id for one in FIXED}


@pytest.mark.parametrize("change", [{}, {"samples": 3}, {"samples": 1}])
def test_a_lost_manifest_is_rebuilt_from_the_parts(ask, tmp_path, change):
    """With more or fewer rows than before, the outputs are those of a command in a fresh folder."""
    run = run_of(ask())
    before = rows_of(run)
    run.manifest_path.unlink()
    run.parts()[1].unlink()
    run.parts()[2].write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"manifest\.json is missing, and there are parts in .*repair=true"):
        run_of(ask(**change))
    with pytest.raises(StoreError, match="repair=true"):
        find_runs([tmp_path / "runs"])
    again = run_of(replace(ask(**change), repair=True))
    wanted = rows_of(run_of(ask(**change, runs=tmp_path / "fresh")))
    found = rows_of(again)
    assert found.items() >= wanted.items()
    assert found.items() <= {**before, **wanted}.items()
    assert not again.missing_chunks()
    assert run_of(ask(**change)).manifest == again.manifest


def test_parts_of_two_plans_are_no_plan(ask, tmp_path):
    run = run_of(ask())
    other = run_of(ask(FIXED[:1], runs=tmp_path / "other"))
    run.manifest_path.unlink()
    rewrite(run, run.parts()[1], read_generations(other, parts=[other.parts()[0]]))
    with pytest.raises(StoreError, match=r"holds other rows than the parts of the same pass.*paths\.runs=FOLDER"):
        run_of(replace(ask(), repair=True))


def test_a_folder_of_an_older_version_is_read_as_it_is_and_checked_once_it_is_continued(ask, run):
    before, parts = scored(run), rows_of(run)
    old = as_an_older_version_wrote_it(run)
    assert not old.manifest.is_sealed
    assert scored(old) == before

    # Continued, it is checked throughout, with the digests of what was there.
    now = run_of(ask(splits=("dev", "test"), samples=3))
    assert {key: value for key, value in rows_of(now).items() if key in parts} == parts
    assert now.parts()[0].name in now.manifest.adopted
    content = bytearray(now.parts()[0].read_bytes())
    content[100] ^= 1
    now.parts()[0].write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"part-000-00000\.parquet is damaged \(it lacks its seal\)"):
        scored(now)


def test_corrected_references_are_reported_and_the_scores_are_made_again(ask, tmp_path, caplog):
    data = tmp_path / "quiz.jsonl"
    rows = [{"id": str(i), "q": f"What is {i}?", "reference": f"Sentence {i}, long indeed."} for i in range(12)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = JsonLines(path=str(data), template=Template(head="", source="{q}", tail=" =>"))
    request = replace(ask(), tasks=(TaskRequest(task=task, splits=("dev", "test")),))
    run = run_of(request)
    for path in run.parts():
        table = pq.read_table(path)
        texts = ["Sentence 1, long indeed."] * len(table)
        rewrite(run, path, table.set_column(table.column_names.index("text"), "text", [texts]))
    before, parts = scored(run), bytes_of(run)
    keys = FrozenConstants.read(run).by_scale
    assert len(keys) == 1
    assert "other references" not in caplog.text

    data.write_text(data.read_text().replace("indeed", "truly"))
    again = run_of(request)
    assert again.folder == run.folder
    assert bytes_of(again) == parts
    assert "12 of 12 examples of the run have other references" in caplog.text
    origin = json.dumps(again.manifest.splits["test"]["origin"])
    assert origin != json.dumps(run.manifest.splits["test"]["origin"])
    with pytest.raises(NotScoredError, match=r"made from other references.*edt score runs="):
        read_study([again])
    after = scored(again)
    assert after != before
    assert read_study([again])
    # The scale of the old references is kept under its own key.
    assert FrozenConstants.read(again).by_scale.keys() > keys.keys()

    # The examples of before are no longer those of the run.
    edited, whole = again.examples_path, again.examples_path.read_bytes()
    data.write_text(data.read_text().replace("truly", "indeed"))
    last = run_of(request)
    assert scored(last) == before
    edited.write_bytes(whole)
    with pytest.raises(DamagedFileError, match="other references than those that the manifest names"):
        scored(last)


def test_another_environment_is_recorded_for_each_pass_and_warned_of(ask, run, monkeypatch, caplog):
    from edt.generation import passes

    def elsewhere(command="", engine=None):
        now = honest(command, engine)
        return {**now, "threads": 64, "packages": {**now["packages"], "torch": "1.0"}}

    honest = passes.environment
    run.parts()[0].unlink()
    run_of(replace(ask(splits=("dev", "test")), strict=True))
    assert "another environment" not in caplog.text

    run.parts()[0].unlink()
    monkeypatch.setattr(passes, "environment", elsewhere)
    request = ask(splits=("dev", "test"))
    before = run.manifest_path.read_bytes()
    with pytest.raises(StoreError, match=r"torch 1\.0 \(before: .*threads 64 \(before: \d+\).*strict=true refuses"):
        run_of(replace(request, strict=True))
    with pytest.raises(StoreError, match=r"threads 64 \(before: \d+\).*strict=true refuses"):
        generate_runs(replace(request, strict=True, dry_run=True))
    assert run.manifest_path.read_bytes() == before
    again = run_of(request)
    assert caplog.text.count("begun in another environment") == 1
    (continued,) = again.manifest.passes[0].continued
    assert continued["threads"] == 64
    assert not again.manifest.passes[1].continued

    # New settings under another environment are compared with the old ones, so they count as well.
    monkeypatch.undo()
    with pytest.raises(StoreError, match="strict=true refuses"):
        run_of(replace(ask([EDT(t0=1, theta=1)], splits=("dev", "test")), strict=True))


def test_a_copy_of_a_run_is_left_out(run, caplog):
    shutil.copytree(run.folder, run.folder.with_name("a copy"))
    (found,) = find_runs([run.folder.parent])
    assert found.folder == run.folder
    assert "a copy is a copy of the run in" in caplog.text
    assert [one.folder.name for one in find_runs([run.folder.with_name("a copy")])] == ["a copy"]


def test_a_setting_whose_part_is_gone_is_named(run, caplog):
    path = run.parts()[0]
    rows = read_generations(run, parts=[path]).num_rows
    path.unlink()
    text = rf"{run.folder} .*since it lacks {rows // 2} rows of fixed\(t0=0\) on dev, {rows // 2} rows of fixed\(t0=1\)"
    with pytest.raises(StoreError, match=rf"{text}.*unfinished=true scores what is there"):
        score_runs([run], SPEC, samples=None)
    with pytest.raises(NotScoredError, match="lacks"):
        read_study([run])
    found = score_runs([run], SPEC, samples=None, unfinished=True)
    assert {score.split for score in found} == {"test"}
    assert "is scored without what it lacks" in caplog.text
    caplog.clear()
    assert read_study([run])
    assert "the table is without" in caplog.text


def test_edit_manifest_seals(run):
    edit_manifest(run, lambda content: content.update(quality="exact_match"))
    assert Run.open(run.folder).manifest.quality == "exact_match"


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(run, kind):
    path = file_of(run, kind)
    path.unlink()
    os.mkfifo(path)
    if kind in ("part", "manifest"):
        with pytest.raises(UnreadableFileError, match=rf"{path.name} is a pipe, not a file; remove it\. .*"):
            scored(Run.open(run.folder))
    else:
        # made again, or named as missing
        with suppress(StoreError):
            scored(run)


def test_a_part_that_cannot_be_read_is_not_removed_by_a_repair(ask, run, monkeypatch):
    part = file_of(run, "part")
    run.manifest_path.unlink()
    read = type(part).read_bytes

    def fails(path):
        if path == part:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr(type(part), "read_bytes", fails)
    with pytest.raises(UnreadableFileError, match=rf"{part.name} cannot be read \(Input/output error\)"):
        run_of(replace(ask(splits=("dev", "test")), repair=True))
    monkeypatch.undo()
    assert part.is_file()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 300 + "1" + "}" * 300, "\udc80"])
def test_a_deeply_nested_or_unreadable_manifest_is_damaged(run, text):
    run.manifest_path.write_text(text, errors="surrogateescape")
    with pytest.raises(DamagedFileError, match=r"manifest\.json cannot be read .*repair=true"):
        Run.open(run.folder)


def test_arrow_holds_no_memory_of_python():
    """A thread of Arrow that drops the last reference to Python's bytes ends the process where it is just exiting."""
    content = bytes(range(256)) * 40
    before = sys.getrefcount(content)
    buffer = _arrow_buffer(content)
    assert sys.getrefcount(content) == before
    assert buffer.to_pybytes() == content
