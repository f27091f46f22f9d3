"""A headless browser, and what a person does to a study's page in it and sees of it."""

import shutil
import time
from pathlib import Path

from tests.support.study_page_fixture import study_page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1400,900",
]
PAGE = study_page(examples=3, hostile=True)


def headless(profile: Path):
    """A browser with this empty folder as its profile; it talks to no one, and its driver is looked for on the path alone."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def wait_until_drawn(chrome):
    """Wait until the page has unpacked its library and drawn its charts."""
    deadline = time.monotonic() + 30
    while not chrome.execute_script("return document.documentElement.dataset.drawn === 'true'"):
        assert time.monotonic() < deadline, chrome.get_log("browser")
        time.sleep(0.1)


class Shown:
    """What a person does to the page and sees of it."""

    def __init__(self, chrome, path: Path):
        self.chrome, self.path = chrome, path

    def js(self, code, *arguments):
        return self.chrome.execute_script(code, *arguments)

    def texts(self, selector):
        code = "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText)"
        return self.js(code, selector)

    def text(self, name):
        return self.js("return document.getElementById('edt-' + arguments[0]).innerText", name)

    def visible(self, name):
        return self.js("return document.getElementById('edt-' + arguments[0]).offsetParent !== null", name)

    def find(self, selector):
        return self.chrome.find_element("css selector", selector)

    def choose(self, name, value):
        code = (
            "const it = document.getElementById('edt-' + arguments[0]); it.value = arguments[1];"
            "if (it.value !== arguments[1]) throw Error('no ' + arguments[1]);"
            "it.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        self.js(code, name, value)

    def type(self, words):
        box = self.find("#edt-out-query")
        box.send_keys("\ue009a\ue000\ue003", words)  # control and A, released; backspace
        time.sleep(0.3)

    def pick(self, column, output):
        select = self.find(f".strategy:nth-child({column}) select")
        code = "arguments[0].value = JSON.stringify(arguments[1]); arguments[0].dispatchEvent(new Event('change'))"
        self.js(code, select, [output.family, output.strategy_id])

    def options(self, name):
        return self.js(
            "return [...document.getElementById('edt-' + arguments[0]).options].map(each => each.value)", name
        )

    def traces(self, name):
        code = (
            "const plain = (it) => ArrayBuffer.isView(it) ? [...it] : it;"
            "return document.getElementById('edt-' + arguments[0]).data.map(t => ({type: t.type, mode: t.mode, name: t.name, uid: t.uid,"
            "x: plain(t.x), y: plain(t.y), z: t.z, text: t.text, color: t.marker && t.marker.color,"
            "labels: t.dimensions && t.dimensions.map(d => d.label), lines: t.dimensions && t.dimensions[0].values.length}))"
        )
        return self.js(code, name)

    def hovered(self, name, curve, index):
        code = (
            "Plotly.Fx.hover('edt-' + arguments[0], [{curveNumber: arguments[1], pointNumber: arguments[2]}]);"
            "return [...document.querySelectorAll('#edt-' + arguments[0] + ' .hovertext tspan')].map(each => each.textContent)"
        )
        return self.js(code, name, curve, index)


def points_of(task, split, family=None):
    return [p for p in PAGE.points if (p.task, p.split) == (task, split) and family in (None, p.family)]


def output_of(family, example_id, sample):
    """The first setting of this family that has outputs."""
    return next(o for o in PAGE.outputs if (o.family, o.example_id, o.sample) == (family, example_id, sample))
