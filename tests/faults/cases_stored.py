"""Files of a run or of a search that are damaged, removed, replaced or edited."""

import json
import shutil

from tests.faults.table import fault, held

SECTION = "Damaged files"
INTEGRITY = "tests/store/test_integrity.py"


def _part(run, number=0):
    return sorted((run / "generations").iterdir())[number]


def _flip(path):
    content = bytearray(path.read_bytes())
    # Of JSON the first letter of a value: what is in the middle depends on the paths and versions before it.
    at = content.index(b'": "') + 4 if path.suffix == ".json" else len(content) // 2
    content[at] ^= 1
    path.write_bytes(content)


def _score(place):
    return place.edt("score", "runs=new", "paths.runs=new", "metrics.bootstrap.resamples=10")


def _report(place):
    return place.edt("report", "runs=new", "paths.runs=new")


DAMAGE = {
    "with one flipped bit": _flip,
    "that was truncated": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "that was emptied": lambda path: path.write_bytes(b""),
    "that was removed": lambda path: path.unlink(),
}
FILES = {
    "a part": (_part, _score, "edt score"),
    "examples.parquet": (lambda run: run / "examples.parquet", _score, "edt score"),
    "scores.parquet": (lambda run: run / "scores.parquet", _report, "edt report"),
    "manifest.json": (lambda run: run / "manifest.json", _score, "edt score"),
}

for name, (find, read, command) in FILES.items():
    for what, damage in DAMAGE.items():

        @fault(SECTION, f"{name} {what}, then `{command}`")
        def _(place, find=find, read=read, damage=damage):
            damage(find(place.scored()))
            return read(place)


@fault(SECTION, "a damaged part, then the command that decoded it: only that part is decoded again")
def _(place):
    _flip(_part(place.scored()))
    return place.again().only("damaged|decoded again")


@fault(SECTION, "a part is removed, then `edt report`")
def _(place):
    _part(place.scored()).unlink()
    return _report(place)


@fault(SECTION, "a part is removed, then `edt score unfinished=true`")
def _(place):
    _part(place.scored()).unlink()
    return place.edt("score", "runs=new", "paths.runs=new", "unfinished=true").only("lacks")


@fault(SECTION, "two parts in each other's place")
def _(place):
    run = place.scored()
    first, second = _part(run, 0), _part(run, 1)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    return _score(place)


@fault(SECTION, "a part of another run")
def _(place):
    run = place.scored()
    place.again("sampling.seed=1", "paths.runs=other")
    (other,) = (place.folder / "other").glob("model-*")
    shutil.copy(_part(other), _part(run))
    return _score(place)


@fault(SECTION, "a folder in the place of scores.parquet")
def _(place):
    path = place.scored() / "scores.parquet"
    path.unlink()
    path.mkdir()
    return _report(place)


@fault(SECTION, "damaged statistics of a metric (they are computed again)")
def _(place):
    for path in (place.scored() / "statistics").iterdir():
        _flip(path)
    return _score(place).only("damaged|statistics")


held(
    SECTION,
    "damaged EDA constants",
    "The file is named; once it is removed, the next `edt score` takes the constants from dev again.",
    by=f"{INTEGRITY}::test_damaged_constants_are_named_and_taken_from_dev_again",
)


@fault(SECTION, "the manifest is edited by hand: another quality metric")
def _(place):
    path = place.scored() / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quality": "exact_match"}))
    return _score(place)


@fault(SECTION, "the manifest is edited, and its seal removed")
def _(place):
    path = place.scored() / "manifest.json"
    content = json.loads(path.read_text()) | {"quality": "exact_match"}
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "seal"}))
    return _score(place)


@fault(SECTION, "the manifest is missing, and the command is repeated")
def _(place):
    (place.scored() / "manifest.json").unlink()
    return place.again()


@fault(SECTION, "the manifest is missing, and the command is repeated with more samples and `repair=true`")
def _(place):
    (place.scored() / "manifest.json").unlink()
    return place.again("sampling.samples=3", "repair=true").only("manifest")


held(
    SECTION,
    "an earlier manifest is put back",
    "The part that it does not know is named, and `repair=true` as the remedy; nothing is scored without it.",
    by=f"{INTEGRITY}::test_an_earlier_manifest_is_refused",
)
held(
    SECTION,
    "parts of two plans in a folder without a manifest",
    "They are refused, with another `paths.runs` as the remedy.",
    by=f"{INTEGRITY}::test_parts_of_two_plans_are_no_plan",
)


@fault(SECTION, "a copy of a run next to it (it is left out, and the table has each setting once)")
def _(place):
    run = place.scored()
    shutil.copytree(run, run.with_name("copy"))
    return _report(place).only("copy")


@fault(SECTION, "a run folder that was moved, and is reached through a link")
def _(place):
    place.scored()
    (place.folder / "new").rename(place.folder / "moved")
    (place.folder / "new").symlink_to("moved")
    return _report(place).only("damaged|cannot|lacks")


held(
    SECTION,
    "one flipped bit in a random file of a run, 1,000 times over all kinds of files",
    "All are named as damaged, or (statistics) computed again with the same numbers; no table differs.",
    by=f"{INTEGRITY}::test_no_flipped_bit_of_a_thousand_is_accepted",
)
held(
    SECTION,
    "one flipped bit in the database of `edt tune`, 200 times",
    "All are named as damaged. Remove the file: the outputs are kept, and the same command measures them again.",
    by="tests/store/test_database.py::test_no_flipped_bit_is_accepted",
)
held(
    SECTION,
    "rows of the database of `edt tune` that were edited, with a digest to match",
    "The file is named as damaged, with the same remedy; no value of it is searched from.",
    by="tests/tuning/test_edited_database.py::test_no_edited_value_gives_a_traceback",
)
held(
    SECTION,
    "a folder of edt 0.1.0, whose files have no digests",
    "It is read as it is; once a command continues it, all of its files are checked.",
    by=f"{INTEGRITY}::test_a_folder_of_an_older_version_is_read_as_it_is_and_checked_once_it_is_continued",
)
held(
    SECTION,
    "a file in the cache of the hub that is not what was downloaded",
    "The file is named, and refused.",
    by="tests/models/test_untrusted_models.py::test_an_altered_file_of_the_hubs_cache_is_refused",
)
held(
    SECTION,
    "a bit of a model of `edt fetch` that changed",
    "The next command names the file, and `edt fetch` repairs it.",
    by="tests/models/test_fetch.py::test_a_changed_bit_is_found_by_the_next_process",
)
held(
    SECTION,
    "another file at the address of a data set than the published one",
    "It is refused, and not kept.",
    by="tests/tasks/test_pinned_files.py::test_another_file_than_the_published_one_is_refused_and_not_kept",
)
