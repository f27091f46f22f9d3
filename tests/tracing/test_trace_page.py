"""The pages of `edt trace`: nothing of a model's text is markup, and a browser shows what they promise."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from edt.report.colors import family_style
from edt.report.html_embed import source_hash
from edt.terminal_text import visible
from edt.tracing.demo_page import demo_page
from edt.tracing.demo_results import (
    DemoResults,
    DistributionComparison,
    PromptSamples,
    SettingDistribution,
    TemperatureSamples,
)
from edt.tracing.trace_page import trace_fragment, trace_page
from tests.support.traces import HOSTILE, hostile_trace

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def hostile_show():
    column = TemperatureSamples(temperature=1.0, texts=(HOSTILE, HOSTILE, ""), self_bleu=None, entropy=1.0)
    setting = SettingDistribution(
        name=HOSTILE,
        strategy_id="fixed(t0=1)",
        temperature=1.0,
        probabilities=(0.5, 0.0),
        others=0.5,
        kept_tokens=2,
        entropy=0.7,
    )
    return DemoResults(
        title=HOSTILE,
        model="m",
        seed=0,
        comparison=DistributionComparison(prompt=HOSTILE, tokens=(HOSTILE, "x"), settings=(setting,)),
        prompts=(PromptSamples(label=HOSTILE, prompt=HOSTILE, columns=(column,)),),
    )


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.lasttag == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.mark.parametrize(
    ("text", "scripts"),
    [(trace_page(hostile_trace()), 2), (trace_fragment(hostile_trace()), 0), (demo_page(hostile_show()), 0)],
)
def test_model_text_is_no_markup(text, scripts):
    found = Tags(text)
    assert [tag for tag, _ in found.tags].count("script") == scripts
    assert not {"b", "img"} & {tag for tag, _ in found.tags}
    assert all(not name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert HOSTILE in found.text
    assert "\x1b" not in text


def test_the_page_runs_its_own_script_alone_and_loads_nothing():
    text = trace_page(hostile_trace())
    found = Tags(text)
    data, code = found.scripts
    (policy,) = [a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy
    assert source_hash(code) in policy
    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]  # for styles alone
    links = [a[name] for _, a in found.tags for name in ("src", "href", "action") if name in a]
    assert links == ["data:,"]
    assert not re.findall(r"url\(|https?://|@import|fetch\(", text)
    tokens = json.loads(data)["outputs"][0]
    assert tokens[0]["token"] == visible(HOSTILE)
    assert tokens[0]["alternatives"][0]["token"] == "<b>bold</b>"


def test_a_fragment_is_one_element_that_any_notebook_can_hold_many_times():
    text = trace_fragment(hostile_trace())
    found = Tags(text)
    assert found.tags[0] == ("div", {"class": "edt-trace"})
    assert text.count("<div") == text.count("</div>")
    assert not {"html", "head", "body", "link", "meta", "script", "iframe"} & {tag for tag, _ in found.tags}
    assert all("id" not in attributes for _, attributes in found.tags), "two fragments would share it"
    assert not re.findall(r"url\(|https?://|@import", text)
    shades = [a["style"] for tag, a in found.tags if tag == "span" and "token" in (a.get("class") or "").split()]
    assert len(shades) == 4
    assert len(set(shades)) == 3  # temperatures 1, 0.5 and 0 twice
    assert "entropy 0.500 nats, temperature 1.000, rank 2, probability 0.25 (as drawn 0.125)" in text


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None or shutil.which("chromedriver") is None:
        pytest.skip("no Chromium with its driver is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        "window-size=1200,900",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def opened(browser, path, text):
    path.write_text(text, encoding="utf-8")
    browser.get(path.as_uri())
    return browser


def read(browser, selector):
    return browser.find_element("css selector", selector).get_attribute("textContent")


def test_a_browser_shows_a_tokens_details_without_an_error(browser, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    page = opened(browser, tmp_path / "trace.html", trace_page(hostile_trace()))
    spans = page.find_elements("css selector", ".token")
    assert [span.get_attribute("textContent") for span in spans[:2]] == [HOSTILE, "␛[2J⏎"]
    assert not page.find_element("id", "details").is_displayed()
    ActionChains(page).move_to_element(spans[0]).perform()
    assert page.find_element("id", "details").is_displayed()
    details = {name: read(page, f"#{name}") for name in ("token", "step", "entropy", "temperature", "rank")}
    assert details == {
        "token": HOSTILE,
        "step": "1",
        "entropy": "0.500 nats",
        "temperature": "1.000",
        "rank": "2",
    }
    assert (read(page, "#probability"), read(page, "#sampling_prob")) == ("0.250", "0.125")
    names = page.find_elements("css selector", "#alternatives .name")
    assert [name.get_attribute("textContent") for name in names] == ["<b>bold</b>", HOSTILE]
    spans[0].click()
    ActionChains(page).move_to_element(spans[3]).perform()
    assert read(page, "#step") == "1", "a click keeps the token"
    ActionChains(page).send_keys(Keys.ARROW_RIGHT).perform()
    assert (read(page, "#step"), read(page, "#temperature")) == ("2", "0.500")
    assert page.execute_script("return window.hacked") is None
    assert page.get_log("browser") == []


def test_a_browser_colors_by_another_number(browser, tmp_path):
    page = opened(browser, tmp_path / "trace.html", trace_page(hostile_trace()))

    def shades():
        return [span.value_of_css_property("background-color") for span in page.find_elements("css selector", ".token")]

    by_temperature = shades()
    assert len(set(by_temperature)) == 3  # 1, 0.5 and 0 twice
    page.find_element("css selector", "#by option[value=entropy]").click()
    by_entropy = shades()
    assert len(set(by_entropy[:3])) == 1  # the same entropy
    assert by_entropy[0] == by_temperature[0]  # both at the top of their scales
    assert by_entropy[3] == by_temperature[2]  # both at the bottom
    assert (read(page, "#low"), read(page, "#high")) == ("0.00", "0.50")
    assert page.get_log("browser") == []


def test_a_browser_shows_a_demo(browser, tmp_path):
    page = opened(browser, tmp_path / "demo.html", demo_page(hostile_show()))
    assert page.find_element("css selector", "h1").text == HOSTILE
    items = [item.text for item in page.find_elements("css selector", "li")]
    assert items == [HOSTILE, "the same as 1", "(empty)"]
    assert page.execute_script("return window.hacked") is None
    assert page.get_log("browser") == []


def test_texts_have_their_own_direction_and_families_their_color():
    trace = hostile_trace()
    output = replace(trace.outputs[0], strategy_id="edt(t0=1,theta=0.5)", finish_reason="length")
    page = trace_page(replace(trace, outputs=(output,)))
    assert page.count('dir="auto"') >= 2  # prompt and tokens
    assert f"--light: {family_style('edt token').light}" in page
    assert f"cut at {len(output.tokens)} tokens" in page
    assert "ended by length" not in page
    shown = demo_page(hostile_show())
    assert re.findall(r'<p class="prompt"( dir="auto")?>', shown) == [' dir="auto"'] * 2
    assert '<li dir="auto">' in shown
