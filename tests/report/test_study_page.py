"""The page of a study: what it is made of, that it is whole in itself, and that no text can leave its place."""

import base64
import hashlib
import json
import math
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edt.report import html
from edt.report.html import study_html
from edt.report.page import PageChart, PageFigure, PageTable, Section
from edt.report.plotly_library import library_source, packed_library
from tests.support.study_page_fixture import HOSTILE, SVG, VERDICTS, study_page

TEMPLATES = Path(html.__file__).parent / "templates"


class Page(HTMLParser):
    """What a parser that is not ours finds in the page: elements with attributes, scripts, and the words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self.inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.inside.append(tag)
            if tag == "script":
                self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.words.append(data)
        elif self.inside[-1] == "script":
            attributes, before = self.scripts.pop()
            self.scripts.append((attributes, before + data))

    def data(self):
        return next(
            json.loads(text, parse_constant=pytest.fail)
            for attributes, text in self.scripts
            if attributes.get("id") == "edt-data"
        )


@pytest.fixture(scope="module")
def hostile():
    page = study_page(examples=2, hostile=True)
    table = PageTable(title=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),), note=HOSTILE)
    section = Section(name="hostile", title=HOSTILE, text=(HOSTILE,), tables=(table,))
    page = replace(page, title=f"Title {HOSTILE}", about={HOSTILE: HOSTILE}, sections=(*page.sections, section))
    return Page(study_html(page))


def test_hostile_texts_stay_texts(hostile):
    kinds = [attributes.get("type") for attributes, _ in hostile.scripts]
    assert kinds == ["application/json", "application/gzip", None]
    words = "".join(hostile.words)
    assert (
        words.count(HOSTILE) == 11
    )  # title twice, a fact's name and value, contents, heading, paragraph; title, heading, cell and note of the table
    data = hostile.data()
    assert data["examples"][0]["references"] == [HOSTILE]
    assert data["outputs"][4]["tokens"] == {"text": [HOSTILE, "\n\n"], "t": [None, 0.0], "h": [None, 0.0]}
    assert data["outputs"][0]["scores"] == {"ROUGE-L": None}
    assert math.isfinite(data["hottest"])


def test_the_policy_names_the_scripts_that_may_run(hostile):
    policy = next(attributes["content"] for tag, attributes in hostile.elements if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for attributes, text in hostile.scripts
        if not attributes
    ]
    unpacked = hashlib.sha256(library_source().encode()).digest()
    assert re.findall(r"'sha256-([^']+)'", policy) == [*digests, base64.b64encode(unpacked).decode()]
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]


def test_nothing_is_loaded(hostile):
    for tag, attributes in hostile.elements:
        assert tag not in ("iframe", "object", "embed", "base", "img")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    styles = "".join(path.read_text() for path in TEMPLATES.glob("*.css"))
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_library_is_there_once_and_only_where_something_is_drawn():
    page = study_page(examples=1)
    assert study_html(page).count(packed_library()) == 1
    bare = study_html(replace(page, points=(), outputs=(), examples=()))
    assert packed_library() not in bare
    assert len(bare) < 360_000
    assert 'id="edt-explore"' not in bare
    assert 'id="edt-outputs"' not in bare


def test_the_contents_lead_to_every_section():
    page = Page(study_html(study_page(examples=1)))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in page.elements if tag == "a"]
    assert links == ["edt-content", "verdicts", "front", "steps", "edt-settings", "edt-explore", "edt-outputs"]
    assert set(links) <= set(ids)


def test_cells_carry_what_they_sort_by():
    section = Section(name="a", title="A", tables=(VERDICTS,), figures=(PageFigure(title="f", svg=SVG),))
    page = replace(study_page(examples=1), sections=(section,), points=(), outputs=(), examples=())
    cells = [attributes for tag, attributes in Page(study_html(page)).elements if tag == "td"]
    eda = cells[3::6]
    assert [cell.get("data-number") for cell in eda] == ["40.7", "41.9", "9.7", None, "100.0"]
    assert "data-missing" in eda[3]
    assert "data-number" not in cells[2]


def test_every_place_that_the_program_names_is_in_the_templates():
    templates = "".join(path.read_text() for path in TEMPLATES.glob("*.j2"))
    for path in TEMPLATES.glob("*.js"):
        for name in re.findall(r"byId\('([\w-]+)'\)", path.read_text()):
            assert f'id="edt-{name}"' in templates, (path.name, name)


def test_what_utf8_cannot_say_is_replaced():
    page = replace(study_page(examples=1), title="half of a pair: \ud83d")
    assert "half of a pair: \ufffd" in study_html(page).encode().decode()


def test_a_large_study_makes_a_page_in_seconds():
    page = study_page(examples=18, samples=2)  # 2,016 outputs
    points = page.points + [replace(point, strategy_id=point.strategy_id + "*") for point in page.points[:80]]
    began = time.process_time()
    text = study_html(replace(page, points=points))
    assert len(page.outputs) >= 2000
    assert len(points) >= 170 * 8
    assert time.process_time() - began < 30
    assert len(text) - len(packed_library()) < 6_000_000
    assert len(Page(text).data()["points"]) == len(points)


def test_a_page_of_125_settings_has_less_than_one_and_a_half_megabytes():
    page = study_page(examples=8)
    points = [point for point in page.points if point.task == page.points[0].task][:125]
    of_task = [each for each in page.examples if each.task == points[0].task]
    shown = [each for each in page.outputs if each.task == points[0].task]
    text = study_html(replace(page, points=points, sections=(), examples=of_task, outputs=shown))
    assert len(points) == 125
    assert len(text.encode()) < 1_500_000


def test_the_library_is_the_part_of_plotly_that_the_charts_use():
    source = library_source()
    assert len(source) < 2_000_000
    assert "</script" not in source
    for word in ("heatmap", "parcoords", "scatter"):
        assert word in source
    assert "new Function" not in source  # the page's policy allows no code made of text


def test_a_chart_of_a_section_has_its_place_and_its_data():
    chart = PageChart(title="C", traces=[{"x": [1], "y": [2], "meta": "my family"}], layout={"xaxis": {"title": "x"}})
    section = Section(name="a", title="A", charts=(chart, chart))
    page = Page(study_html(replace(study_page(examples=1), sections=(section,), points=(), outputs=(), examples=())))
    ids = [attributes.get("id") for _, attributes in page.elements]
    assert [name for name in ids if name and name.startswith("edt-chart-")] == ["edt-chart-0", "edt-chart-1"]
    assert page.data()["charts"][1]["traces"][0]["x"] == [1]
    assert [family["name"] for family in page.data()["families"]] == ["my family"]
    assert packed_library() in "".join(text for _, text in page.scripts)


def test_columns_can_be_filtered_by_or_wait_for_a_request():
    table = PageTable(title="t", columns=("a", "b", "c"), rows=(("x", "1", "y"),), secondary=("b",), filters=("a",))
    page = replace(
        study_page(examples=1),
        sections=(Section(name="a", title="A", tables=(table,)),),
        points=(),
        outputs=(),
        examples=(),
    )
    headings = [attributes for tag, attributes in Page(study_html(page)).elements if tag == "th"]
    assert ["data-filter" in each for each in headings] == [True, False, False]
    assert ["secondary" in each["class"] for each in headings] == [False, True, False]


def test_texts_of_people_and_models_set_their_own_direction():
    """Arabic and Hebrew read from the right, which the browser sees by itself with dir=auto."""
    program = (TEMPLATES / "outputs.js").read_text() + (TEMPLATES / "tokens.js").read_text()
    for name in ("output-text", "prompt", "output-text tokens"):
        assert re.search(rf"class: [`']{name}[^;]*?dir: 'auto'", program, re.DOTALL), name
