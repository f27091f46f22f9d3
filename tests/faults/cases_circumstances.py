"""A run that goes on under other circumstances: references, versions, threads."""

import re
from dataclasses import replace

from tests.faults.table import fault, held

SECTION = "Other circumstances"
ENVIRONMENT = "tests/store/test_integrity.py::test_another_environment_is_recorded_for_each_pass_and_warned_of"


def _correct_references(place):
    place.scored()
    path = place.folder / "rows.jsonl"
    path.write_text(path.read_text().replace('"answer', '"the answer'))


@fault(SECTION, "references that were corrected in the data file, then the same command")
def _(place):
    _correct_references(place)
    return place.again().only("references")


@fault(SECTION, "references that were corrected in the data file, then `edt generate` and `edt report`")
def _(place):
    _correct_references(place)
    words = ["model=hf", "model.path=model", "model.device=cpu", "task=jsonl", "task.path=rows.jsonl"]
    words += ["task.template.source={question}", "task.split=[dev,test]", "strategy=fixed", "strategy.t0=[0,1]"]
    place.edt("generate", *words, "sampling.samples=2", "sampling.max_new_tokens=4", "paths.runs=new")
    return place.edt("report", "runs=new", "paths.runs=new")


held(
    SECTION,
    "a run that other versions of the libraries, another device or another number of threads continue",
    "A warning names what differs; the manifest records the environment of each pass and of what continued it.",
    by=ENVIRONMENT,
)
held(SECTION, "the same with `strict=true`", "It is refused before anything is decoded.", by=ENVIRONMENT)


@fault(SECTION, "a run that another number of threads began, continued with `strict=true`")
def _(place):
    import torch

    run = place.scored()
    (run / "generations" / "part-000-00000.parquet").unlink()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        seen = place.again("strict=true")
    finally:
        torch.set_num_threads(threads)
    # As many as the machine has are no matter of the page.
    return replace(seen, lines=(re.sub(r"threads \d+ \(before: \d+\)", "threads 2 (before: 1)", seen.said),))


held(
    SECTION,
    "installed inside another project's checkout",
    "The manifest names no commit, since that project's commit says nothing about `edt`.",
    by="tests/generation/test_environment.py::test_inside_another_project_there_is_no_commit",
)
