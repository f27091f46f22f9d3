"""The mini tasks' truth: the checker against outputs written by hand, and the splits that it relies on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from edt.errors import ConfigError
from edt.metrics.base import SampleSet
from edt.metrics.factuality import DistinctCorrect, Factuality, facts_right, is_correct
from edt.records import Example, PromptParts
from edt.tasks.base import Template
from edt.tasks.mini import MiniMSMarco, MiniQuAC, MiniWMT19, MiniXLSum
from edt.tasks.mini.biographies import FACT_KINDS, Person
from edt.tasks.mini.events import EVENTS
from edt.tasks.mini.generated_task import GeneratedTask, TextSpec
from edt.tasks.mini.grammar import ZIPF_EXPONENT, draw, grammar, zipf_index
from edt.tasks.mini.news_sentences import NEWS_KINDS
from edt.tasks.mini.questions import QUESTION_KINDS
from edt.tasks.mini.world import World, fact_split

TEMPLATE = {
    "mini_xlsum": Template(head="Article: ", source="{text}", tail="\nSummary:"),
    "mini_msmarco": Template(head="Passages:\n", source="{passages}", tail="\nQuestion: {query}\nAnswer:"),
    "mini_quac": Template(
        head="Section: ", source="{context}", turn="\nQ: {question}\nA: {answer}", tail="\nQ: {question}\nA:"
    ),
    "mini_wmt19": Template(head="English: ", source="{sentence}", tail="\nChinese:"),
}
KINDS = (MiniXLSum, MiniMSMarco, MiniQuAC, MiniWMT19)

ROWS_SHA256 = {
    ("mini_xlsum", "train"): "3a1cc34cef663c70",
    ("mini_xlsum", "dev"): "38a2c8935fed8356",
    ("mini_xlsum", "test"): "7f4f8c64a9b12a79",
    ("mini_msmarco", "train"): "5a21cd36dae31241",
    ("mini_msmarco", "dev"): "7ccc01274695c6ee",
    ("mini_msmarco", "test"): "e4189b9f133b84a3",
    ("mini_quac", "train"): "cf0ebb893f31e99d",
    ("mini_quac", "dev"): "188ee3d0dba4d27b",
    ("mini_quac", "test"): "6e7bc2e3994875c8",
    ("mini_wmt19", "train"): "9f3e8ca38071c1b9",
    ("mini_wmt19", "dev"): "b5875a7f43947995",
    ("mini_wmt19", "test"): "767bdd44c2ec8359",
}
"""First digits of the SHA-256 of each split's first 20 rows, as version 0.1.0 generated them."""


def task_of(kind: type[GeneratedTask], **settings: object) -> GeneratedTask:
    return kind(template=TEMPLATE[kind.name], **settings)  # type: ignore[arg-type]


class Script(World):
    """A world whose draws are dictated, so that an example's facts stand in the test."""

    def __init__(self, **answers: list[str]) -> None:
        super().__init__(random=Random("script"), split="train", index=0)
        self.answers = answers

    def person(self, given: object = None) -> str:
        return self.answers["person"].pop(0)

    def surname(self) -> str:
        return self.answers["surname"].pop(0)

    def town(self) -> str:
        return self.answers["town"].pop(0)

    def company(self) -> str:
        return self.answers["company"].pop(0)

    def figure(self, low: int, high: int) -> str:
        return self.answers["figure"].pop(0)

    def pick(self, options):  # type: ignore[no-untyped-def]
        wanted = self.answers.get("pick", [])
        return wanted.pop(0) if wanted else options[0]

    def draw_object(self, subject, relation, make):  # type: ignore[no-untyped-def]
        return make()


def example_of(said: TextSpec) -> Example:
    """An example that knows what may be said, its meta gone through JSON as on disk."""
    meta = json.loads(json.dumps(said.meta(Script())))
    parts = PromptParts(head="", source="", tail="")
    return Example(task="mini", split="test", example_id="e", cluster_id="e", parts=parts, references=("r",), meta=meta)


def closing() -> Example:
    world = Script(
        company=["Nova Steel"],
        town=["Falport"],
        figure=["340", "25"],
        person=["Vera Halman"],
        pick=["high rents"],
    )
    return example_of(EVENTS["closure"](world)[1])


def founded() -> Example:
    world = Script(company=["Orion Toys"], person=["Erik Dorley"], figure=["1907"], town=["Melvik"])
    return example_of(QUESTION_KINDS["founding"](world).answer)


def bridged() -> Example:
    world = Script(pick=["Norley"], figure=["1931", "542"], town=["Corvik"])
    return example_of(QUESTION_KINDS["bridge"](world).answer)


def born() -> Example:
    person = Person(name="Nora Ashton", pronoun="she", possessive="her", child="daughter")
    return example_of(FACT_KINDS["birth"](Script(town=["Kirdale"], figure=["1892"], pick=["miner"]), person).answer)


def elected() -> Example:
    return example_of(
        NEWS_KINDS["election"](Script(town=["Alport"], pick=["Mr"], surname=["Marford"], figure=["58"])).chinese
    )


DAY = NEWS_KINDS["election"](Script(town=["Alport"], pick=["Mr"], surname=["Marford"], figure=["58"])).english.slots[
    "day"
]
ON = f"周{'一二三四五六日'[(['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']).index(DAY[:3])]}"

CORRECT = [
    (closing, "Nova Steel will cut 340 jobs in Falport because of high rents."),
    (closing, "Due to high rents, Nova Steel plans to axe 340 posts at its plant in Falport."),
    (closing, "340 jobs will be lost in Falport as Nova Steel shuts its plant over high rents."),
    (founded, "Orion Toys was founded by Erik Dorley in 1907."),
    (founded, "Back in 1907, Erik Dorley established it."),
    (founded, "It was set up in the year 1907 by Erik Dorley and has its seat in Melvik."),
    (bridged, "The Norley Bridge is 542 metres long and was built in 1931."),
    (bridged, "Completed in 1931, it is some 542 metres in length."),
    (born, "She was born in Kirdale in 1892."),
    (born, "In 1892, Ashton came into the world in the town of Kirdale, the daughter of a miner."),
    (elected, f"58岁的马尔福德先生{ON}当选为阿尔波特市长。"),
    (elected, f"据悉，{ON}，现年58岁的马尔福德获选为阿尔波特新市长。"),
]
STUMBLING = [
    (closing, "Nova Steel will cut cut 340 jobs in Falport because of high rents"),
    (founded, "By Erik Dorley in 1907"),
    (elected, f"马尔福德{ON}58岁当选为阿尔波特市长"),
]
WRONG = [
    (closing, "Nova Steel will cut 430 jobs in Falport because of high rents."),
    (closing, "Nova Foods will cut 340 jobs in Falport because of high rents."),
    (closing, "Nova Steel will create 340 jobs in Falport because of high rents."),
    (closing, "Nova Steel will cut 340 jobs in Falport because of weak orders."),
    (closing, "Nova Steel will cut 340 jobs because of high rents."),
    (closing, "Nova Steel will cut 340 jobs in Falport and Melvik because of high rents."),
    (closing, ""),
    (founded, "Orion Toys was founded by Erik Dorton in 1907."),
    (founded, "Orion Toys was founded by Dorley Erik in 1907."),
    (founded, "Orion Toys was founded by Erik Dorley in 1970."),
    (founded, "Vega Toys was founded by Erik Dorley in 1907."),
    (founded, "Orion Toys was founded by Erik Dorley."),
    (founded, "Orion Toys was founded by Erik Dorley in 1907 and has its seat in Alport."),
    (bridged, "The Norley Bridge is 1931 metres long and was built in 542."),
    (bridged, "The Norley Bridge is 542 metres long."),
    (born, "He was born in Kirdale in 1892."),
    (born, "She was born in Kirdale in 1892, the daughter of a baker."),
    (born, "She was born in Kirvik in 1892."),
    (elected, f"85岁的马尔福德先生{ON}当选为阿尔波特市长。"),
    (elected, f"58岁的马尔顿先生{ON}当选为阿尔波特市长。"),
    (elected, f"58岁的马尔福德女士{ON}当选为阿尔波特市长。"),
    (elected, f"58岁的马尔福德先生{ON}当选为阿尔代尔市长。"),
]


@pytest.mark.parametrize(("make", "text"), CORRECT)
def test_hand_written_right_outputs_are_correct(make, text):
    example = make()
    assert is_correct(example, text)
    assert facts_right(example, text)


@pytest.mark.parametrize(("make", "text"), STUMBLING)
def test_a_stumble_keeps_its_facts_but_is_not_correct(make, text):
    example = make()
    assert facts_right(example, text)
    assert not is_correct(example, text)


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_hand_written_wrong_outputs_have_wrong_facts(make, text):
    example = make()
    assert not facts_right(example, text)
    assert not is_correct(example, text)


def test_metrics_count_what_the_checker_says():
    first, second = closing(), founded()
    right = "Nova Steel will cut 340 jobs in Falport because of high rents."
    other = "Nova Steel will cut 340 jobs in Falport due to high rents."
    texts = [
        [right, other, right.upper(), "Nova Steel will cut 340 jobs in Falport because of high rents"],
        ["Orion Toys was founded by Erik Dorley in 1907.", "Orion Toys was founded in 1907.", "", "It was."],
    ]
    samples = SampleSet(examples=[first, second], texts=texts)
    factuality, distinct = Factuality(), DistinctCorrect()
    np.testing.assert_allclose(factuality.aggregate(factuality.statistics(samples).sum(axis=0)), (100 + 25) / 2)
    np.testing.assert_allclose(distinct.aggregate(distinct.statistics(samples).sum(axis=0)), (2 + 1) / 2)
    assert "n:2x4" in factuality.signature(samples)
    unknown = SampleSet(examples=[replace(first, meta={})], texts=[[right]])
    assert factuality.statistics(unknown) is None
    assert distinct.statistics(unknown) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_reference_and_every_drawn_output_is_correct(kind):
    for example in task_of(kind).load("dev").examples[::4]:
        drawn = [draw(example.meta["grammar"], Random(f"{example.example_id}/{k}")) for k in range(4)]
        for text in (*example.references, *drawn):
            assert is_correct(example, text), text
            assert facts_right(example, text), text


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_states_every_required_fact_of_an_english_answer(kind):
    if kind is MiniWMT19:
        pytest.skip("its answers are Chinese")
    for example in task_of(kind).load("dev").examples[::4]:
        said = example.parts.source.casefold()
        for group in example.meta["required"]:
            assert any(wording.casefold() in said for wording in group), (group, said)


@pytest.mark.parametrize("kind", KINDS)
def test_no_fact_is_stated_in_two_splits(kind):
    task = task_of(kind, train_size=1500)
    facts = {
        split: {tuple(fact) for example in task.load(split).examples for fact in example.meta["facts"]}
        for split in ("train", "dev", "test")
    }
    for split, stated in facts.items():
        assert stated
        assert {fact_split(*fact) for fact in stated} == {split}
    assert not facts["train"] & facts["dev"]
    assert not facts["train"] & facts["test"]
    assert not facts["dev"] & facts["test"]


@pytest.mark.parametrize(("name", "split"), ROWS_SHA256)
def test_the_rows_are_those_of_version_0_1_0(name, split):
    """Committed results and the embedded models' training depend on them."""
    (kind,) = (kind for kind in KINDS if kind.name == name)
    rows = [task_of(kind).row(split, index) for index in range(20)]
    content = json.dumps(rows, ensure_ascii=False, sort_keys=True).encode()
    assert hashlib.sha256(content).hexdigest().startswith(ROWS_SHA256[name, split])


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_and_what_rows_depend_on(kind):
    assert len(task_of(kind).load("dev").examples) == 200
    assert len(task_of(kind).load("test").examples) == 400
    small = task_of(kind, test_size=20).row_set("test").rows
    assert small == task_of(kind, test_size=50).row_set("test").rows[: len(small)]
    assert small != task_of(kind, test_size=20, seed=1).row_set("test").rows
    every = task_of(kind, train_size=30, dev_size=20, test_size=20)
    assert len(every.load("all").examples) == sum(len(every.load(s).examples) for s in ("train", "dev", "test"))
    with pytest.raises(ConfigError, match="no last row"):
        task_of(kind, test_size=None).load("test")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_read_back_by_the_real_loaders(kind, tmp_path):
    """Written in the data set's original form, the rows give the same prompts and references through `task.path`."""
    task = task_of(kind, train_size=30)
    rows = [{key: value for key, value in row.items() if key != "mini"} for row in task.row_set("train").rows]
    if kind is MiniQuAC:
        sections = [
            {"title": r["title"], "section_title": r["section_title"], "background": "", "paragraphs": [r]}
            for r in rows
        ]
        (tmp_path / "quac.json").write_text(json.dumps({"data": sections}))
    else:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    read = task_of(kind, path=str(tmp_path)).load("all").examples
    made = task.load("train").examples
    assert {e.example_id: (e.parts, e.references) for e in read} == {
        e.example_id: (e.parts, e.references) for e in made
    }
    assert all(example.meta == {} for example in read)


def test_choices_are_zipf_like():
    random = Random("zipf")
    counts = np.bincount([zipf_index(4, random) for _ in range(20_000)], minlength=4)
    weights = np.array([1, 2**-ZIPF_EXPONENT, 3**-ZIPF_EXPONENT, 4**-ZIPF_EXPONENT])
    np.testing.assert_allclose(counts / counts.sum(), weights / weights.sum(), atol=0.015)


def test_the_notation():
    tree = grammar("[a [big |]{x}|the end]!", {"x": "dog [sic]"})
    assert tree == ["all", ["any", ["all", "a ", ["any", "big ", ""], "dog [sic]"], "the end"], "!"]
    with pytest.raises(ValueError, match="never closed"):
        grammar("[a|b", {})
    with pytest.raises(ValueError, match="never opened"):
        grammar("a]b", {})
