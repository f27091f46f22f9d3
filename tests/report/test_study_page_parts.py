"""The parts of a study's page: cells, data, fronts, colors and drawings."""

import io
import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edt.records import ScoreRow
from edt.report import html
from edt.report.colors import (
    DARK,
    KNOWN_FAMILIES,
    LIGHT,
    OTHERS_DARK,
    OTHERS_LIGHT,
    color_scale,
    family_of,
    family_style,
    relative_luminance,
    text_color_on,
)
from edt.report.figures import family_color
from edt.report.frame import table_rows
from edt.report.html import breakable, leading_number, table_cells
from edt.report.html_embed import inline_svg, plain, script_json, script_text
from edt.report.page import PageTable, Point
from edt.report.page_data import browser_data, chart_data, point_texts, setting_columns, varied_parameters
from edt.report.table import row_texts
from tests.support.study_page_fixture import HOSTILE, study_page

TEMPLATES = Path(html.__file__).parent / "templates"

# Cells


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("39.6 [37.9, 41.4]", 39.6), ("−1.3 [−2.0, −0.6]", -1.3), ("-4", -4.0), ("+0.5", 0.5), (".5", 0.5), ("12 %", 12.0),
        ("1,360", 1360.0), ("1e-05", 1e-5), ("<0.001", 0.001), ("≥ 3", 3.0), ("40.1±0.2", 40.1), ("39.6\u00a0[37.9, 41.4]", 39.6), ("0.03*", 0.03),
        ("2026-11-21", None), ("7B", None), ("fixed(t0=0.7)", None), ("1.2.3", None), ("e5", None), ("–", None), ("", None), ("٣", None),
    ],
)  # fmt: skip
def test_a_cell_sorts_by_the_number_it_starts_with(text, number):
    assert leading_number(text) == number


def test_columns_of_numbers_stand_right():
    table = PageTable(
        title="t", columns=("a", "b", "c", "d"), rows=(("x 1", "1.0 [0, 2]", "–", "1"), ("2", "–", "–", "few"))
    )
    columns, rows = table_cells(table)
    assert [column.numeric for column in columns] == [False, True, False, False]
    assert [cell.missing for cell in rows[1]] == [False, True, True, False]


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match=r"table 't': row 1 has 1 cells and the heading 2; each row needs"):
        table_cells(PageTable(title="t", columns=("a", "b"), rows=(("1", "2"), ("1",))))


# Data


def test_data_is_json_that_no_text_can_leave():
    text = script_json({"text": HOSTILE, "numbers": [math.nan, math.inf, -math.inf, 1 / 3, 0, True, None]})
    assert "<" not in text
    found = json.loads(text, parse_constant=pytest.fail)
    assert found == {"text": HOSTILE, "numbers": [None, None, None, 0.333333, 0, True, None]}
    assert "决定" in text  # not six characters for each


def test_numbers_of_numpy_are_numbers_and_others_are_refused():
    assert json.loads(script_json([np.float32(0.5), np.int64(3)])) == [0.5, 3]
    with pytest.raises(TypeError, match="which cannot be embedded in a page"):
        plain([object()])


def test_a_script_that_would_end_early_is_refused():
    with pytest.raises(ValueError, match="which end it early"):
        script_text("const text = '</Script>';")


def test_an_output_without_its_example_is_refused():
    page = study_page(examples=1)
    with pytest.raises(
        ValueError, match=r"answers example 'mini_xlsum-0' of mini_xlsum, which is not among the examples"
    ):
        browser_data(replace(page, examples=page.examples[1:]))
    with pytest.raises(ValueError, match=r"example 'mini_xlsum-0' of mini_xlsum is there twice"):
        browser_data(replace(page, examples=[page.examples[0], *page.examples]))


# Charts


def a_point(params, **metrics):
    intervals = {name: (value, None, None) for name, value in metrics.items()}
    return Point(task="t", split="test", family="f", strategy_id=str(params), params=params, metrics=intervals)


def test_axes_are_what_settings_differ_in():
    assert varied_parameters(
        [a_point({"t0": 0.5, "n": 0.8, "theta": 1.0}), a_point({"t0": 0.7, "n": 0.8}), a_point({"t0": 0.7, "n": 0.8})]
    ) == ["t0", "theta"]
    assert varied_parameters([a_point({"t0": 0.5})]) == []


def test_points_keep_what_is_missing_missing():
    points = [
        a_point({"sigma": math.inf}, quality=50.0, self_bleu=40.0), a_point({"sigma": 1.0}, quality=math.nan, self_bleu=10.0),
        a_point({"sigma": 2.0}, quality=None, self_bleu=20.0, eda=None),
    ]  # fmt: skip
    data = chart_data(replace(study_page(examples=1), points=points, outputs=()))
    assert [point["front"] for point in data["points"]] == [True, False, False]
    assert [sorted(point["metrics"]) for point in data["points"]] == [
        ["quality", "self_bleu"],
        ["self_bleu"],
        ["self_bleu"],
    ]
    assert data["points"][0]["params"] == {"sigma": "∞"}
    assert [(metric["name"], metric["better"]) for metric in data["metrics"]] == [
        ("quality", "higher"),
        ("self_bleu", "lower"),
    ]


def linear(color):
    c = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def cielab(rgb):
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    f = np.cbrt(np.array(to_xyz) @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira & Fernandes 2009, severity 1.0
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("palette", [LIGHT + OTHERS_LIGHT, DARK + OTHERS_DARK], ids=["light", "dark"])
def test_families_differ_to_every_eye(palette, vision):
    seen = [cielab(VISION[vision] @ linear(color)) for color in palette]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 15


@pytest.mark.parametrize(("palette", "page"), [(LIGHT + OTHERS_LIGHT, "#ffffff"), (DARK + OTHERS_DARK, "#15181c")])
def test_families_stand_out_from_the_page(palette, page):
    assert "--card: light-dark(#ffffff, #15181c)" in (TEMPLATES / "page.css").read_text()
    weights = np.array([0.2126, 0.7152, 0.0722])
    for color in palette:
        low, high = sorted(float(weights @ linear(each)) for each in (color, page))
        assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 2.2, 1.4.11


def test_a_family_looks_the_same_whatever_stands_next_to_it():
    point = a_point({"t0": 0.5}, quality=1.0)
    orders = (["fixed", "edt", "tempered"], ["tempered", "edt", "fixed"], ["edt"])
    styles = {}
    for names in orders:
        page = replace(study_page(examples=1), points=[replace(point, family=name) for name in names], outputs=())
        for family in chart_data(page)["families"]:
            styles.setdefault(family["name"], set()).add((family["light"], family["dark"], family["mark"]))
    assert all(len(looks) == 1 for looks in styles.values())
    assert len(set().union(*styles.values())) == 3


def test_one_family_has_one_look_under_each_of_its_names():
    assert family_style("edt") == family_style("edt token") == family_style("EDT_token")
    assert family_style("random_t") == family_style("random t")
    assert family_style("edt instance") != family_style("edt")
    assert family_of("edt(t0=1,theta=0.5,granularity=instance)") == "edt instance"
    assert family_of("fixed(t0=1)") == "fixed"
    assert family_color("fixed") == LIGHT[0]


def test_known_families_and_those_of_users_look_different():
    names = [*KNOWN_FAMILIES, "tempered", "mirostat", "my_rule instance"]
    assert len({(family_style(name).light, family_style(name).mark) for name in names}) == len(names)
    assert {family_style(f"own {n}").light for n in range(50)} == set(OTHERS_LIGHT)


@pytest.mark.parametrize("dark", [False, True])
def test_dark_is_good_in_every_map(dark):
    scales = color_scale(dark=dark), color_scale(dark=dark, low_is_good=False)
    brightness = [[relative_luminance(color) for _, color in scale] for scale in scales]
    assert brightness[0] == sorted(brightness[0])  # lowest value first: EDA
    assert brightness[1] == sorted(brightness[1], reverse=True)  # quality
    assert [position for position, _ in scales[0]][:: len(scales[0]) - 1] == [0, 1]


@pytest.mark.parametrize("dark", [False, True])
def test_a_figure_is_legible_on_its_cell(dark):
    for _, color in color_scale(dark=dark):
        low, high = sorted(relative_luminance(each) for each in (color, text_color_on(color)))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
    scales = chart_data(study_page(examples=1))["scales"]
    assert scales["dark" if dark else "light"] == [[color, text_color_on(color)] for _, color in color_scale(dark=dark)]


# The table of settings


def test_the_deciding_figures_come_first():
    names = (
        "temperature",
        "empty_share",
        "mine",
        "factuality",
        "delta_eda",
        "eda",
        "self_bleu",
        "quality",
        "one",
        "two",
    )
    points = [a_point({}, **{name: 0.0 if name == "empty_share" else 1.0 for name in names})]
    columns = setting_columns(points)
    assert [column["metric"] for column in columns][:4] == ["quality", "self_bleu", "eda", "delta_eda"]
    assert columns[-1] == {"metric": "empty_share", "secondary": True}
    assert [column["secondary"] for column in columns] == [False] * 7 + [True] * 3
    emptier = [replace(points[0], metrics={**points[0].metrics, "empty_share": (12.0, None, None)})]
    assert [column["metric"] for column in setting_columns(emptier)][4] == "empty_share"


def test_a_default_that_others_vary_is_written_out():
    def of(strategy_id, **params):
        return replace(a_point(params), strategy_id=strategy_id)

    grid = [of("tempered(t0=0.9,c=0.5)", t0=0.9, c=0.5), of("tempered(t0=0.9)", t0=0.9, c=1.0), of("plain()", c=2.0)]
    assert point_texts(grid) == ["tempered(t0=0.9,c=0.5)", "tempered(t0=0.9,c=1)", "plain(c=2)"]
    # random_t is given by center and spread, and writes its bounds.
    drawn = [of(f"random_t(low={low})", center=low + 1, spread=1.0) for low in (0.1, 0.2)]
    assert point_texts(drawn) == ["random_t(low=0.1)", "random_t(low=0.2)"]
    assert point_texts([of("greedy", t0=0.0)]) == ["greedy"]


def test_a_setting_can_break_after_its_commas_and_stays_a_text():
    assert breakable("edt(t0=1,theta=<b>)") == "edt(<wbr>t0=1,<wbr>theta=&lt;b&gt;)"
    assert breakable("1, 2 (3)") == "1, 2 (3)"


def test_a_column_that_a_table_does_not_have_is_an_error():
    with pytest.raises(ValueError, match=r"table 't' has no column 'd'; it has: a"):
        table_cells(PageTable(title="t", columns=("a",), rows=(), filters=("d",)))


# Drawings


def test_a_drawing_of_matplotlib_becomes_part_of_the_page():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2], [3, 4], label="a < b")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    drawing = inline_svg(buffer.getvalue(), "s1-f1-")
    assert drawing.startswith('<svg id="s1-f1-drawing"')
    assert "<?xml" not in drawing
    ids = set(re.findall(r'\bid="([^"]+)"', drawing))
    assert all(name.startswith("s1-f1-") for name in ids)
    used = set(re.findall(r"url\(#([^)]+)\)", drawing)) | set(re.findall(r'href="#([^"]+)"', drawing))
    assert used
    assert used <= ids
    assert re.search(r"<style[^>]*>#s1-f1-drawing \{\*\{", drawing)


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        ("<script>x()</script>", "<script"), ('<a onclick="x()"/>', "onclick"), ('<image href="https://example.org/a.png"/>', "href"),
        ("<image xlink:href='http://example.org/a'/>", "href"), ("<foreignObject/>", "foreignObject"),
    ],
)  # fmt: skip
def test_a_drawing_that_does_things_is_refused(inside, named):
    with pytest.raises(ValueError, match=f"{named}.*draw it without scripts and links"):
        inline_svg(f"<svg>{inside}</svg>", "a-")


def test_what_is_no_drawing_is_refused():
    with pytest.raises(ValueError, match="has no <svg> element"):
        inline_svg("<p>none</p>", "a-")


def test_the_table_writes_a_varied_default_out_as_the_page_does():
    common = {
        "task": "t",
        "split": "test",
        "model_name": "m",
        "family": "tempered",
        "granularity": "token",
        "metric": "self_bleu",
    }
    numbers = {"value": 1.0, "lo": 0.5, "hi": 1.5, "confidence": 0.95, "n_examples": 2, "n_samples": 2}
    scores = [
        ScoreRow(**common, **numbers, strategy_id=name, params={"t0": 0.9, "c": c}, signature="s", generation_id="g")
        for name, c in (("tempered(t0=0.9)", 1.0), ("tempered(t0=0.9,c=2)", 2.0), ("tempered(t0=0.9,c=0.5)", 0.5))
    ]
    (rows,) = table_rows(scores).values()
    assert [row_texts(row, [])[0] for row in rows] == [f"tempered(t0=0.9,c={c})" for c in ("0.5", "1", "2")]
    assert [row.strategy_id for row in rows] == ["tempered(t0=0.9,c=0.5)", "tempered(t0=0.9)", "tempered(t0=0.9,c=2)"]
