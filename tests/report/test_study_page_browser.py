"""The page of a study in a real browser, from a file: it draws, sorts, filters, and runs nothing but its own program."""

import time
from dataclasses import replace

import pytest

from edt.report.html import study_html
from tests.support.study_page_fixture import HOSTILE
from tests.support.study_page_shown import (
    BROWSER,
    DRIVER,
    PAGE,
    Shown,
    headless,
    output_of,
    points_of,
    wait_until_drawn,
)


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    if not (BROWSER and DRIVER):
        pytest.skip("no chromium or google-chrome with its chromedriver on the path")
    driver = headless(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def shown(chrome, tmp_path_factory) -> Shown:
    """The page, opened from a file, and afterwards without an error on the console."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(study_html(PAGE), encoding="utf-8")
    chrome.get(path.as_uri())
    wait_until_drawn(chrome)
    yield Shown(chrome, path)
    severe = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_everything_is_in_the_file(shown):
    assert shown.js("return performance.getEntriesByType('resource').map(each => each.name)") == []
    assert shown.texts("h1")[0].startswith("Sampling temperatures")
    assert len(shown.texts(".toc a")) == 6
    assert shown.js("return document.querySelectorAll('.drawing svg path').length") == 4


@pytest.mark.parametrize(
    ("column_index", "ascending"),
    [
        (3, ["9.7 [8.1, 11.4]", "40.7 [39.0, 42.5]", "41.9 [40.3, 43.8]", "100.0 [97.2, 101.4]", "–"]),
        (4, ["−1.3 [−2.0, −0.6]", "−0.2 [−0.9, 0.5]", "0.4 [−0.3, 1.1]", "12.1 [10.9, 13.0]", "–"]),
        (5, ["<0.001", "0.21", "0.6", "1", "–"]),
    ],
)
def test_a_click_on_a_heading_sorts(shown, column_index, ascending):
    column = f"#verdicts td:nth-child({column_index + 1})"
    original = shown.texts(column)
    button = shown.find(f"#verdicts th:nth-child({column_index + 1}) button")
    button.click()
    assert shown.texts(column) == ascending
    assert shown.js("return document.querySelectorAll('#verdicts th[aria-sort=ascending]').length") == 1
    button.send_keys(" ")  # as the keyboard does it
    assert shown.texts(column) == [*ascending[3::-1], "–"]
    button.click()
    assert shown.texts(column) == original


def test_texts_sort_as_texts(shown):
    shown.find("#verdicts th:nth-child(1) button").click()
    assert shown.texts("#verdicts td:nth-child(1)") == [
        "mini_msmarco",
        "mini_quac",
        "mini_wmt19",
        "mini_xlsum",
        "mini_xlsum",
    ]


def test_every_setting_is_a_point_of_the_front(shown):
    traces = shown.traces("front")
    dots = {trace["name"]: trace for trace in traces if trace["mode"] == "markers" and "intervals" not in trace["uid"]}
    families = {p.family for p in PAGE.points}
    assert set(dots) == {*families, "chosen on dev, 95 % interval", "answers of the grammar"}
    for family in families:
        expected = {round(p.metrics["quality"][0], 2) for p in points_of("mini_xlsum", "test", family)}
        assert {round(y, 2) for y in dots[family]["y"]} == expected
    assert (dots["answers of the grammar"]["x"], dots["answers of the grammar"]["y"]) == ([57.9], [58.7])
    assert len(dots["chosen on dev, 95 % interval"]["x"]) == len(families)
    for line in (trace for trace in traces if trace["mode"] == "lines"):
        assert line["x"] == sorted(line["x"])
        assert line["y"] == sorted(line["y"])
    assert shown.js("return document.querySelectorAll('#edt-front .scatterlayer .point').length") > 160
    assert len({trace["color"] for name, trace in dots.items() if name in families}) == len(families)


def test_a_point_tells_its_setting_and_all_its_metrics(shown):
    curve = next(index for index, trace in enumerate(shown.traces("front")) if trace["uid"] == "edt token")
    label = " ".join(shown.hovered("front", curve, 0))
    own = points_of("mini_xlsum", "test", "edt token")[0]
    value, lo, hi = own.metrics["self_bleu"]
    interval = f"Self-BLEU ↓: {value:.1f} [{lo:.1f}, {hi:.1f}]"
    for words in (own.strategy_id, "t0 = 0.3, theta = 0.1", "ROUGE-L", interval, "EDA", "mean T", "factuality"):
        assert words in label


def test_task_and_split_change_the_charts(shown):
    shown.choose("task", "mini_wmt19")
    shown.choose("split", "dev")
    expected = {round(p.metrics["eda"][0], 2) for p in points_of("mini_wmt19", "dev", "fixed")}
    fixed = next(trace for trace in shown.traces("temperature") if trace["uid"] == "fixed")
    assert {round(y, 2) for y in fixed["y"]} == expected
    assert "SacreBLEU" in shown.text("front")
    shown.choose("task", "mini_msmarco")
    assert not any(trace["uid"] == "ideal" for trace in shown.traces("front"))  # it has none
    assert shown.js("return document.getElementById('edt-split').value") == "dev"
    shown.choose("split", "test")
    shown.choose("task", "mini_xlsum")


def test_a_map_of_two_parameters(shown):
    shown.choose("heat-family", "kld token")
    shown.choose("heat-metric", "self_bleu")
    shown.choose("heat-x", "sigma")
    trace, texts = shown.traces("heat")
    assert (trace["x"], trace["y"]) == (["0.5", "2", "8", "32"], ["0.3", "0.5", "0.7", "0.9", "1", "1.2"])
    for p in points_of("mini_xlsum", "test", "kld token"):
        cell = trace["z"][trace["y"].index(f"{p.params['t0']:g}")][trace["x"].index(f"{p.params['sigma']:g}")]
        assert cell == pytest.approx(p.metrics["self_bleu"][0], rel=1e-5)
    assert sum("★" in text for text in texts["text"]) == 1
    frames = shown.js("return document.getElementById('edt-heat').layout.shapes")
    best = min(range(24), key=lambda n: trace["z"][n // 4][n % 4])
    assert {(round(frame["x0"] + 0.47), round(frame["y0"] + 0.46)) for frame in frames} == {(best % 4, best // 4)}


def test_a_map_of_three_parameters_shows_the_best_over_the_third(shown):
    shown.choose("heat-family", "random_t token")
    shown.choose("heat-metric", "quality")
    trace, _ = shown.traces("heat")
    assert (trace["x"], trace["y"]) == (["0.1", "0.3", "0.5"], ["0.8", "1", "1.2", "1.4"])
    pair = [
        p
        for p in points_of("mini_xlsum", "test", "random_t token")
        if (p.params["low"], p.params["high"]) == (0.3, 1.2)
    ]
    best = min(pair, key=lambda p: p.metrics["eda"][0])
    assert trace["z"][2][1] == pytest.approx(best.metrics["quality"][0], rel=1e-5)
    assert "Settings of one cell differ in shape; it shows the one with the best EDA" in shown.text("heat-note")
    assert shown.options("heat-y") == ["high", "shape"]


def test_one_parameter_is_a_curve(shown):
    shown.choose("heat-family", "fixed")
    shown.choose("heat-metric", "eda")
    curve = shown.traces("heat")[0]
    assert (curve["type"], curve["mode"]) == ("scatter", "lines+markers")
    assert curve["x"] == [0, *[pytest.approx(0.1 * step) for step in range(1, 16)]]
    assert not shown.visible("heat-x")
    shown.choose("heat-family", "edt token")
    assert shown.visible("heat-x")


def test_no_button_sends_a_chart_away(shown):
    titles = shown.js(
        "return [...document.querySelectorAll('.modebar-btn')].map(each => each.getAttribute('aria-label') ?? each.dataset.title)"
    )
    assert any("ownload" in title for title in titles), titles
    assert not any("loud" in title for title in titles)


def test_model_text_is_shown_and_not_run(shown):
    assert HOSTILE in shown.text("prompt")
    own = PAGE.outputs[0]
    shown.pick(1, own)
    assert shown.texts(".strategy:first-child .output-text")[0] == f"Output: {HOSTILE}"
    assert shown.js("return document.title") == "Sampling temperatures on four small tasks"
    assert shown.js("return document.querySelectorAll('#edt-outputs script, #edt-outputs b b').length") == 0
    shown.js("const it = document.createElement('script'); it.textContent = 'window.ran = 1'; document.body.append(it)")
    assert shown.js("return window.ran") is None  # by the policy, even if a text had become an element
    shown.chrome.get_log("browser")  # which says so, as an error


def test_outputs_stand_side_by_side(shown):
    chosen = shown.js("return [...document.querySelectorAll('.strategy select')].map(each => JSON.parse(each.value))")
    assert [family for family, _ in chosen] == ["fixed", "edt token", "edt instance"]
    shown.choose("out-count", "4")
    seconds = "[...document.querySelectorAll('.strategy .output:nth-of-type(2)')]"
    tops = shown.js(f"return {seconds}.map(each => each.getBoundingClientRect().top)")
    assert len(tops) == 4
    assert len(set(tops)) == 1  # samples are aligned
    shown.choose("out-count", "2")
    assert len(shown.texts(".strategy")) == 2
    other = output_of("kld token", "mini_xlsum-0", sample=1)
    shown.pick(2, other)
    assert shown.texts(".strategy:nth-child(2) .output-text")[1] == other.text
    assert f"ROUGE-L {other.scores['rouge_l']:.1f}" in shown.texts(".strategy:nth-child(2) .output-head")[1]


def test_tokens_are_colored_by_temperature_and_tell_it(shown):
    output = output_of("kld token", "mini_xlsum-0", sample=1)
    shown.choose("out-count", "2")
    shown.pick(2, output)
    block = ".strategy:nth-child(2) article:nth-of-type(2) .tokens"
    colors = shown.js(
        "return [...document.querySelector(arguments[0]).children].map(e => getComputedStyle(e).backgroundColor)", block
    )
    hottest, coldest = (f(range(len(output.tokens)), key=lambda n: output.tokens[n].temperature) for f in (max, min))
    assert colors[hottest] != colors[coldest]
    shown.js("document.querySelector(arguments[0]).focus()", block)
    shown.find(block).send_keys("\ue014\ue014")  # → twice: the second token
    token = output.tokens[1]
    assert f"T {token.temperature:.3f}" in shown.text("tip")
    assert f"H {token.entropy:.3f} nats" in shown.text("tip")
    over = "new MouseEvent('mouseover', {bubbles: true})"
    shown.js(f"document.querySelector(arguments[0]).children[2].dispatchEvent({over})", block)
    assert f"T {output.tokens[2].temperature:.3f}" in shown.text("tip")
    assert shown.visible("legend")
    shown.find("#edt-out-heat").click()
    assert shown.js("return document.querySelectorAll('.colored').length") == 0
    assert not shown.visible("legend")
    shown.find("#edt-out-heat").click()


def test_a_filter_leaves_what_contains_the_words(shown):
    shown.type("ARTICLE mini_xlsum-2")
    assert shown.options("out-example") == ["0"]
    assert shown.text("out-position") == "1 of 1"
    assert "Article mini_xlsum-2." in shown.text("prompt")
    assert "Article mini_xlsum-1." not in shown.text("prompt")
    assert shown.texts("#edt-prompt mark") == ["Article mini_xlsum-2"]
    shown.type("of no example at all")
    assert shown.text("out-position") == "no example contains this"
    assert not shown.visible("prompt")
    shown.type("")
    assert shown.text("out-position").endswith("of 3")


def test_a_search_in_outputs_marks_them_and_says_where_else(shown):
    own = [o for o in PAGE.outputs if o.task == "mini_xlsum"]
    words = " ".join(output_of("dynatemp token", "mini_xlsum-1", sample=0).text.split()[:6])
    assert sum(words in o.text for o in own) == 1
    shown.choose("out-scope", "outputs")
    shown.type(words)
    assert shown.text("out-position") == "1 of 1"
    assert "Article mini_xlsum-1." in shown.text("prompt")
    assert "Also found in 1 other strategy" in shown.text("other-strategies")
    shown.find("#edt-other-strategies button").click()
    assert words in shown.texts(".strategy:nth-child(2)")[0]
    assert "".join(shown.texts(".hit")).strip() == words
    assert not shown.visible("other-strategies")
    shown.choose("out-scope", "all")
    shown.type("")


def test_examples_are_stepped_through_and_tasks_chosen(shown):
    shown.choose("out-task", "mini_wmt19")
    assert shown.text("out-position") == "1 of 3"
    assert "马洛镇议会" in shown.text("prompt")
    shown.find("#edt-out-after").click()
    assert shown.text("out-position") == "2 of 3"
    assert "(mini_wmt19-1)" in shown.text("prompt")
    shown.find("#edt-out-before").click()
    assert shown.js("return document.getElementById('edt-out-before').disabled")


def test_light_and_dark(shown):
    fixed = "document.getElementById('edt-front').data.find(trace => trace.uid === 'fixed')"
    look = f"return [getComputedStyle(document.body).backgroundColor, {fixed}.marker.color]"
    before = shown.js(look)
    shown.js("scrollTo(0, 0)")
    shown.find("#edt-theme").click()
    after = shown.js(look)
    assert before[0] != after[0]
    assert {before[1], after[1]} == {"#1256cb", "#629ae0"}
    shown.find("#edt-theme").click()
    assert shown.js(look) == before


@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_overflows_the_window(shown, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    shown.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    time.sleep(0.3)
    try:
        assert shown.js("return document.documentElement.scrollWidth") <= width
        assert shown.js("return document.getElementById('edt-front').getBoundingClientRect().right") <= width
    finally:
        shown.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_parallel_coordinates_are_drawn_when_scrolled_to(shown):
    shown.js("document.getElementById('edt-lines').scrollIntoView()")
    deadline = time.monotonic() + 20
    while not shown.js("return document.querySelectorAll('#edt-lines canvas').length"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (trace,) = shown.traces("lines")
    assert trace["labels"][:5] == ["t0", "theta", "ROUGE-L ↑", "Self-BLEU ↓", "EDA ↓"]
    assert trace["lines"] == 24
    assert "not supported" not in shown.text("lines")  # plotly's own word where it cannot draw
    assert "Colored by EDA" in shown.text("lines-note")
    assert "All settings have the same empty %: 0.0." in shown.text("lines-note")
    shown.choose("lines-family", "\0all")
    (trace,) = shown.traces("lines")
    assert trace["labels"][0] == "family"
    assert trace["lines"] == len(points_of("mini_xlsum", "test"))


def test_without_webgl_the_page_says_so(shown):
    shown.js("window.kept = HTMLCanvasElement.prototype; window.had = kept.getContext; kept.getContext = () => null")
    shown.choose("lines-family", "edt token")
    shown.js("window.kept.getContext = window.had")
    assert "needs WebGL, which this browser does not have" in shown.text("lines")


def test_points_are_labeled_and_have_intervals(shown):
    traces = {trace["uid"]: trace for trace in shown.traces("front")}
    fixed = traces["fixed labels"]
    assert {"0", "1.5"} <= set(fixed["text"])  # both ends, by their temperature
    for family in {p.family for p in PAGE.points} - {"fixed"}:
        own = {p.strategy_id: p for p in points_of("mini_xlsum", "test", family)}
        best = min(own.values(), key=lambda p: p.metrics["eda"][0])
        place = [round(best.metrics[name][0], 2) for name in ("self_bleu", "quality")]
        labels = traces.get(f"{family} labels", {"x": [], "y": []})
        assert not labels["x"] or place in [
            [round(v, 2) for v in each] for each in zip(labels["x"], labels["y"], strict=True)
        ]
    assert sum(uid.endswith(" intervals") for uid in traces) == len({p.family for p in PAGE.points})
    shown.js("document.getElementById('edt-front-intervals').click()")
    assert not any(trace["uid"].endswith(" intervals") for trace in shown.traces("front"))
    shown.js("document.getElementById('edt-front-intervals').click()")


def visible_rows(shown):
    return shown.js(
        "return [...document.querySelectorAll('#edt-settings tbody tr:not([hidden])')].map(row => row.innerText)"
    )


def control(shown, label):
    return shown.js(
        "return [...document.querySelectorAll('#edt-settings .controls label')].find(each => each.textContent.startsWith(arguments[0])).firstElementChild",
        label,
    )


def test_the_table_of_settings_is_filtered_and_sorted(shown):
    assert len(visible_rows(shown)) == len(points_of("mini_xlsum", "test"))
    pick = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    shown.js(pick, control(shown, "family"), "kld token")
    assert len(visible_rows(shown)) == 24
    headings = shown.js("return [...document.querySelectorAll('#edt-settings th')].map(each => each.innerText.trim())")
    eda = next(index for index, text in enumerate(headings) if text.startswith("EDA"))
    shown.js("document.querySelectorAll('#edt-settings th button')[arguments[0]].click()", eda)
    own = points_of("mini_xlsum", "test", "kld token")
    assert min(own, key=lambda p: p.metrics["eda"][0]).strategy_id in visible_rows(shown)[0]
    shown.js("document.querySelectorAll('#edt-settings th button')[arguments[0] - 2].click()", eda)
    assert (
        max(own, key=lambda p: p.metrics["quality"][0]).strategy_id in visible_rows(shown)[0]
    )  # best first, whichever way that is
    shown.js(pick, control(shown, "Filter"), "sigma=32 t0=1.2")
    assert len(visible_rows(shown)) == 1
    shown.js(pick, control(shown, "Filter"), "")
    shown.js(pick, control(shown, "family"), "")


def test_quality_self_bleu_and_eda_are_seen_without_scrolling_at_1280(shown):
    metrics = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    shown.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    time.sleep(0.3)
    try:
        box = "const box = document.getElementById('edt-settings-table');"
        right = (
            box
            + "return [...box.querySelectorAll('th')].filter(each => /quality|Self-BLEU|EDA/.test(each.textContent)).map(each => each.getBoundingClientRect().right <= box.getBoundingClientRect().right)"
        )
        assert shown.js(right) == [True] * 3
    finally:
        shown.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_texts_have_their_own_direction(shown):
    for selector in ("#edt-prompt .prompt", "#edt-columns .output-text"):
        assert set(shown.js("return [...document.querySelectorAll(arguments[0])].map(each => each.dir)", selector)) == {
            "auto"
        }


def test_texts_on_cells_are_legible(shown):
    shown.choose("heat-family", "edt token")
    code = (
        "const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);"
        "const luminance = (rgb) => rgb.match(/[0-9.]+/g).slice(0, 3).map(Number).map(v => linear(v / 255)).reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);"
        "return [...document.querySelectorAll('#edt-heat .textpoint text')].map(each => luminance(getComputedStyle(each).fill))"
    )
    assert set(map(round, shown.js(code))) == {0, 1}  # black on light cells, white on dark ones


# Last in this file, since it opens another page.
def test_labels_are_what_varies_and_stay_inside_the_chart(chrome, tmp_path):
    of_task = points_of("mini_xlsum", "test")
    fixed = [point for point in of_task if point.family == "fixed"]
    alone = next(point for point in of_task if point.family == "edt token")
    # At the right end of the chart, where a label has no place to its right.
    alone = replace(
        alone,
        params={**alone.params, "base_of_a_long_name": 0.8, "another": 3},
        metrics={**alone.metrics, "self_bleu": (99.0, None, None), "quality": (20.0, None, None)},
        chosen=True,
    )
    page = replace(PAGE, points=[*fixed, alone], ideal={}, sections=(), examples=(), outputs=())
    path = tmp_path / "labels.html"
    path.write_text(study_html(page), encoding="utf-8")
    chrome.get(path.as_uri())
    wait_until_drawn(chrome)
    shown = Shown(chrome, path)
    assert {trace["uid"]: trace for trace in shown.traces("front")}["edt token labels"]["text"] == ["edt token"]

    boxes = shown.js(
        "const box = (each) => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };"
        "const texts = [...document.querySelectorAll('#edt-front .textpoint')];"
        "return [box(document.querySelector('#edt-front .nsewdrag')), ...texts.map(box)]"
    )
    (left, top, right, bottom), *texts = boxes
    assert len(texts) > 3
    assert all(x0 >= left and y0 >= top and x1 <= right and y1 <= bottom for x0, y0, x1, y1 in texts)
