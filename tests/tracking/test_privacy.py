"""No prompt, reference or output leaves the machine but those that tracking.max_examples allows: every byte is searched."""

import html
import json
import shutil

import pyarrow.parquet as pq
import pytest

from edt.tracking.attachments import without_templates
from tests.support.wandb_machine import Machine

INSTRUCTION = "Quuxinstruction"
WORDS = ["task=mini", "task.limit=3", "task.split=[dev,test]", "sampling.samples=2", "sampling.max_new_tokens=24"]
WORDS += ["metrics.bootstrap.resamples=20", "strategy=fixed", "strategy.t0=[0,1]"]
WORDS += [f"task.members.mini_xlsum.template.head={INSTRUCTION}"]
LETTERS = 12
"""Letters of the shortest text that is looked for; a shorter one may stand anywhere by chance."""


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("decoded"))
    made.edt("run", *WORDS, "tracking=wandb", "tracking.mode=disabled")
    return made


@pytest.fixture
def machine(decoded, tmp_path):
    made = Machine(tmp_path)
    shutil.copytree(decoded.runs, made.runs, dirs_exist_ok=True)
    return made


def texts_by_example(machine):
    """Of each (task, split, id) its source, question, references and outputs; and whether it is its split's first."""
    texts, first = {}, set()
    for run in machine.runs.glob("mini-*/"):
        for e in pq.read_table(run / "examples.parquet").to_pylist():
            own = [e["parts"]["source"], *e["parts"]["turns"], e["parts"]["tail"], *e["references"]]
            texts[e["task"], e["split"], e["example_id"]] = own
        for row in pq.ParquetDataset(run / "generations").read().to_pylist():
            texts[row["task"], row["split"], row["example_id"]].append(row["text"])
        manifest = json.loads((run / "manifest.json").read_text())
        first |= {(manifest["task"], split, facts["ids"][0]) for split, facts in manifest["splits"].items()}
    assert len(first) == 8
    assert len(texts) == 24
    return texts, first


def phrases(texts):
    """Beginning and end of each text that is long enough to be distinguished from others."""
    whole = {text.strip() for text in texts if len(text.strip()) >= LETTERS}
    return {text[:40].strip() for text in whole} | {text[-40:].strip() for text in whole}


def found_in_export(machine, wanted):
    """Those of the phrases that some exported file holds, as they are or as JSON or HTML write them."""
    files = [path for path in (machine.runs / "wandb").rglob("*") if path.is_file()]
    content = b"\n".join(path.read_bytes() for path in files)
    assert sum(path.suffix == ".wandb" for path in files) == 2
    assert b"fixed(t0=1)" in b"".join(p.read_bytes() for p in files if p.suffix == ".wandb")  # it is not packed
    ways = (
        str,
        html.escape,
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    )
    return {text for text in wanted if any(way(text).encode() in content for way in ways)}


def test_no_outputs_means_no_text_of_any_example_anywhere(machine):
    texts, _ = texts_by_example(machine)
    wanted = phrases(text for own in texts.values() for text in own)
    assert len(wanted) > 100
    machine.edt("report", "tracking=wandb", "tracking.max_examples=0")
    # The words around a source are the same for all examples of a task, so the template's are looked for by name.
    assert found_in_export(machine, wanted | {INSTRUCTION}) == set()
    for run in machine.exported().values():
        assert not [name for name in run.summary if name.startswith("outputs")]
    (own,) = (machine.runs / "studies").glob("*/report.html")
    assert INSTRUCTION in own.read_text()  # the user's page keeps its outputs


def test_one_output_means_the_texts_of_the_first_examples_alone(machine):
    texts, first = texts_by_example(machine)
    allowed = "\n".join(text for key in first for text in texts[key])
    others = phrases(text for key, own in texts.items() if key not in first for text in own)
    others = {phrase for phrase in others if phrase not in allowed}
    assert len(others) > 60
    machine.edt("report", "tracking=wandb", "tracking.max_examples=1")
    assert found_in_export(machine, others) == set()
    assert found_in_export(machine, {INSTRUCTION}) == {INSTRUCTION}
    outputs = phrases(text for key in first for text in texts[key][-2:])
    assert found_in_export(machine, outputs) == outputs


def test_every_text_is_found_when_all_are_sent(machine):
    """The search itself finds what is there: else the two tests above could not fail."""
    texts, _ = texts_by_example(machine)
    wanted = phrases(text for own in texts.values() for text in own)
    machine.edt("report", "tracking=wandb", "tracking.max_examples=null")
    assert found_in_export(machine, wanted) == wanted


def test_what_else_lies_in_the_studys_folder_stays(machine):
    (folder,) = (machine.runs / "studies").iterdir()
    for name in ("case.html", "notes.csv", "steps-mini-test.png", "steps-mini-test.svg"):
        (folder / name).write_text(f"<svg>quux {name}</svg>")
    machine.edt("report", "tracking=wandb")
    assert found_in_export(machine, {"quux case.html", "quux notes.csv"}) == set()
    for run in machine.exported().values():
        files = set(run.artifacts()[f"report-{folder.name}"])
        assert files == {"table.csv", "table.md", "report.html", "steps-mini-test.png", "steps-mini-test.svg"}


def test_only_templates_are_hidden():
    task = {"template": {"head": "words"}, "instruction": "Do it.", "stop": ["x"], "template_of": 1}
    found = without_templates({"config": {"task": {"members": [task, "template"]}}, "template": None})
    hidden = {"template": "***", "instruction": "***", "stop": ["x"], "template_of": 1}
    assert found == {"config": {"task": {"members": [hidden, "template"]}}, "template": "***"}
