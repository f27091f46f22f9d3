"""Every page that edt writes: a policy, no handlers, no links, and no script but its own, parsed and in a real browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from edt.report.html import study_html
from edt.report.html_embed import source_hash
from edt.tracing.demo_page import demo_page
from edt.tracing.trace_page import trace_page
from edt.tuning.page import tune_page
from tests.support.study_page_fixture import study_page
from tests.support.traces import hostile_trace
from tests.tracing.test_trace_page import hostile_show
from tests.tuning.test_page import T0, result_of, sections_of

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PAYLOAD = (
    "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"><svg onload=document.title='ran'>"
    "</script><script>document.title='ran'</script>\"'><iframe srcdoc=\"<script>parent.document.title='ran'</script>\">"
    "<a href=\"javascript:document.title='ran'\">x</a><base href=http://x/><meta http-equiv=refresh content=0;url=http://x>"
)


def tuned(text):
    axes = {text: T0, f"2{text}": T0}
    result = result_of(axes, [{text: 0.5, f"2{text}": 1.0}], tasks=(text,), name=text)
    return tune_page(result, sections_of(result), [text])


PAGES = {
    "report": lambda: study_html(study_page(examples=2, hostile=True)),
    "tune": lambda: tuned(PAYLOAD),
    "trace": lambda: trace_page(hostile_trace()),
    "demo": lambda: demo_page(hostile_show()),
}


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts.append((self.tags[-1][1].get("type", ""), data))


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_has_a_policy_and_nothing_of_others_in_its_markup(kind):
    page = Parsed(PAGES[kind]())
    heads = [attributes for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes]
    assert [head["http-equiv"] for head in heads] == ["Content-Security-Policy"]
    policy = dict(part.strip().partition(" ")[::2] for part in heads[0]["content"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search(r"unsafe|\*|https?:|data:|blob:", policy["script-src"])
    # Before anything that it is to restrain.
    names = [tag for tag, _ in page.tags]
    assert names.index("meta") < min(names.index(tag) for tag in ("style", "script", "body") if tag in names)

    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "action", "srcdoc", "formaction"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not {"iframe", "object", "embed", "base", "form"} & set(names)
    program = [text for kind, text in page.scripts if kind in ("", "module", "text/javascript")]
    assert all(source_hash(text) in policy["script-src"] for text in program)


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path")
@pytest.mark.parametrize("kind", PAGES)
def test_no_script_of_others_runs_in_a_browser(kind, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGES[kind](), encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=3000", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (title,) = re.findall(r"<title>(.*?)</title>", shown, re.DOTALL)[:1]
    assert title != "ran"
    assert "<body" in shown


@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on the path")
def test_the_browser_would_run_the_payload_without_our_page(tmp_path):
    """The check above can fail: the payload runs where nothing escapes it."""
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>t</title><body>{PAYLOAD}", encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "<title>ran</title>" in shown.stdout
