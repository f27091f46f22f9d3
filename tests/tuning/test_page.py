"""The page of a search: its pictures are drawn without a network, and no text on it is markup."""

import re
import shutil
import subprocess

import pytest

from edt.records import ScoreRow
from edt.report.frame import table_rows
from edt.scoring.dev import TrialMetrics
from edt.tuning.axes import Categorical, Range
from edt.tuning.page import figures, tune_page
from edt.tuning.results import SearchResult, TrialResult
from edt.tuning.spec import SearchSpec

EVIL = "</script><img src=x onerror=alert(1)>"


def result_of(axes, points, sampler="random", tasks=("task",), name="edt"):
    tried = []
    for number, params in enumerate(points):
        measures = TrialMetrics(
            quality=50 + number, self_bleu=40 + number, eda=30 + number, quality_share=90 + number, self_bleu_share=50
        )
        tried.append(
            TrialResult(
                number=number, strategy_id=f"{name}({number})", params=params, by_task=dict.fromkeys(tasks, measures)
            )
        )
    fixed = TrialResult(number=0, strategy_id="fixed(t0=0)", params={"t0": 0.0}, by_task=tried[-1].by_task)
    return SearchResult(
        name=name, model=name, tasks=tasks, axes=axes, spec=SearchSpec(sampler=sampler), n_samples=2,
        trials=tuple(tried), baseline=(fixed,),
    )  # fmt: skip


def sections_of(result):
    common = {"task": "task", "split": "test", "model_name": "m", "family": "edt", "params": {}, "granularity": "token"}
    numbers = {"value": 1.0, "lo": 0.5, "hi": 1.5, "confidence": 0.95, "n_examples": 2, "n_samples": 2}
    ids = {"strategy_id": result.chosen.strategy_id, "signature": "s", "generation_id": "g"}
    return table_rows(
        [ScoreRow(**common, **numbers, **ids, metric=metric) for metric in ("rouge_l", "self_bleu", "eda")]
    )


T0, THETA = Range(low=0.1, high=2, points=2), Range(low=0.1, high=10, log=True, points=2)
PAGES = {
    "plane": ({"t0": T0, "theta": THETA}, [{"t0": 0.5, "theta": 1.0}, {"t0": 1.5, "theta": 5.0}], "tpe", 4),
    "heat map": ({"t0": T0, "theta": THETA}, [{"t0": a, "theta": b} for a in (0.1, 2) for b in (0.1, 10)], "grid", 4),
    "curve and choice": ({"t0": T0, "top_p": Categorical(values=(None, 0.9))}, [{"t0": 1, "top_p": None}], "random", 4),
}


def chromium():
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return found or pytest.skip("there is no chromium or google-chrome to show the page")


@pytest.mark.parametrize("case", PAGES)
def test_the_page_shows_its_pictures_without_a_network(case, tmp_path):
    axes, points, sampler, n_figures = PAGES[case]
    result = result_of(axes, points, sampler, tasks=("one", "two") if case == "plane" else ("task",))
    path = tmp_path / "tune.html"
    path.write_text(tune_page(result, sections_of(result), "In short."), encoding="utf-8")
    shown = subprocess.run(
        [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", "--proxy-server=127.0.0.1:1",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    body = re.sub(r"<script.*?</script>", "", shown.stdout, flags=re.DOTALL)
    drawn = re.findall(r'id="figure-\d+" class="plotly-graph-div js-plotly-plot"', body)
    assert len(drawn) == n_figures
    assert "In short." in body
    assert ("heatmaplayer" in body and "<image" in body) == (case == "heat map")


def test_spaces_of_choices_alone_have_no_plane():
    result = result_of({"top_k": Categorical(values=(1, None))}, [{"top_k": 1}, {"top_k": None}])
    assert list(figures(result)) == ["All parameters", "Quality and Self-BLEU", "The best so far"]


def test_choices_among_numbers_have_a_heat_map_of_their_grid():
    axes = {"t0": Categorical(values=(0.9, 0.5)), "theta": Categorical(values=(0.1, 1))}
    points = [{"t0": a, "theta": b} for a in (0.5, 0.9) for b in (0.1, 1)]
    cells = figures(result_of(axes, points, "grid"))["EDA over t0 and theta"].data[0]
    assert (cells.type, list(cells.x), list(cells.y)) == ("heatmap", [0.5, 0.9], [0.1, 1])
    assert [list(row) for row in cells.z] == [[30, 32], [31, 33]]


def test_ticks_of_a_logarithmic_axis_are_written_out():
    from edt.tuning.page import axis_layout

    shown = axis_layout("theta", Range(low=0.05, high=5, log=True))
    assert shown["ticktext"] == ["0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
    assert [float(text) for text in shown["ticktext"]] == shown["tickvals"]
    assert axis_layout("sigma", Range(low=0.01, high=100, log=True))["ticktext"] == ["0.01", "0.1", "1", "10", "100"]
    assert axis_layout("theta", Range(low=0.6, high=0.9, log=True))["ticktext"] == ["0.6", "0.9"]


def test_trials_are_counted_from_0_on_the_page_as_in_the_csv():
    result = result_of({"t0": T0}, [{"t0": 0.5}, {"t0": 1.5}])
    assert list(figures(result)["The best so far"].data[0].x) == [0, 1]
    page = tune_page(result, sections_of(result), "")
    assert re.findall(r"<td>edt\((\d)\)</td><td>(\d)</td>", page) == [("0", "0"), ("1", "1")]


def test_the_page_escapes_every_text_and_loads_nothing():
    axes = {EVIL: Categorical(values=(EVIL, "b")), f"2{EVIL}": T0, f"3{EVIL}": THETA}
    points = [{EVIL: EVIL, f"2{EVIL}": 1.0, f"3{EVIL}": 1.0}]
    result = result_of(axes, points, tasks=(EVIL,), name=EVIL)
    html = tune_page(result, sections_of(result), EVIL)
    assert "<img src=x" not in html
    assert html.count("</script>") == len(re.findall(r"<script[ >]", html))
    _, _, rest = html.partition("</script>")  # plotly.js itself, which names addresses in its own texts
    assert not re.findall(r"""<[^>]*(?:src|href)\s*=|@import|url\(""", rest)
