"""The page of a search: its pictures are drawn without a network, and no text on it is markup."""

import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from rich.console import Console

from edt.records import ScoreRow
from edt.report.fitting import fitting_columns, left_out_line
from edt.report.frame import DELTAS, table_rows
from edt.report.table import markdown
from edt.scoring.dev import TrialMetrics
from edt.scoring.objective import Objective
from edt.tuning.axes import Categorical, Range
from edt.tuning.conclusion import choice_caveat, conclusions
from edt.tuning.page import figures, tune_page
from edt.tuning.progress import SearchProgress, _best_message
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
    path.write_text(tune_page(result, sections_of(result), ["In short."]), encoding="utf-8")
    shown = subprocess.run(
        [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", "--proxy-server=127.0.0.1:1",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    body = re.sub(r"<script.*?</script>", "", shown.stdout, flags=re.DOTALL)
    drawn = re.findall(r'class="chart js-plotly-plot" id="edt-chart-\d+"', body)
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
    page = tune_page(result, sections_of(result), [])
    cells = re.findall(r"<td[^>]*>(?:★ )?edt\((?:<wbr>)?(\d)\)</td><td[^>]*>(\d)</td>", page)
    assert cells == [("0", "0"), ("1", "1")]


def test_the_page_escapes_every_text_and_loads_nothing():
    axes = {EVIL: Categorical(values=(EVIL, "b")), f"2{EVIL}": T0, f"3{EVIL}": THETA}
    points = [{EVIL: EVIL, f"2{EVIL}": 1.0, f"3{EVIL}": 1.0}]
    result = result_of(axes, points, tasks=(EVIL,), name=EVIL)
    html = tune_page(result, sections_of(result), [EVIL])
    assert "<img src=x" not in html
    assert html.count("</script>") == len(re.findall(r"<script[ >]", html))
    for text in html.split("</script>"):
        markup = text.partition("<script")[0]
        assert not re.findall(r"""<[^>]*\s(?:src|href)\s*=\s*"(?!#|data:,)|@import|url\(""", markup)


def test_the_page_allows_no_script_but_its_own_and_has_less_than_one_and_a_half_megabytes():
    result = result_of({"t0": T0}, [{"t0": 0.01 * n} for n in range(48)])
    page = tune_page(result, sections_of(result), [])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]
    assert len(page.encode()) < 1_500_000


def test_a_choice_says_in_numbers_how_uncertain_it_is():
    result = result_of({"t0": T0}, [{"t0": 0.5}, {"t0": 1.0}, {"t0": 1.5}])  # EDA 30, 31 and 32
    text = choice_caveat(replace(result, n_examples=5))
    assert "the lowest of 3 settings on 5 dev examples with 2 samples" in text
    assert "1 of the others are within 5% of its EDA" in text  # 31 is, 32 is not
    assert "With fewer than 20 settings" in text
    many = choice_caveat(result_of({"t0": T0}, [{"t0": 0.01 * n} for n in range(30)]))
    assert "fewer than" not in many
    assert text in tune_page(replace(result, n_examples=5), sections_of(result), [text])


def test_dark_is_good_and_families_have_their_colors():
    from edt.report.colors import color_scale

    drawn = figures(result_of({"t0": T0, "theta": THETA}, [{"t0": 0.5, "theta": 1.0}]))
    scales = [trace.marker.colorscale for trace in drawn["EDA over t0 and theta"].data if trace.marker.colorscale]
    assert [[list(stop) for stop in scale] for scale in scales] == [[list(stop) for stop in color_scale()]]
    assert [trace.meta for trace in drawn["Quality and Self-BLEU"].data] == ["fixed", None, "edt", None]


def test_each_new_trial_is_a_line(caplog):
    caplog.set_level("INFO", logger="edt.tuning.progress")
    trials = list(result_of({"t0": T0}, [{"t0": 0.5}, {"t0": 1.0}, {"t0": 1.5}]).trials)
    progress = SearchProgress(Console(file=io.StringIO(), force_terminal=False))
    with progress.search(3) as show:
        show(trials[:1])  # of an earlier command
        show(trials)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("trial ")]
    assert lines == ["trial 1: edt(1), EDA on dev 31.00", "trial 2: edt(2), EDA on dev 32.00"]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ((-2.0, -0.5), "edt(0) is better than the best fixed temperature, fixed(t0=0) (Δ EDA −1.2 [−2.0, −0.5])."),
        ((0.5, 2.0), "is worse than"),
        ((-2.0, 0.5), "is not distinguishable from the best fixed temperature, fixed(t0=0) (Δ EDA −1.2 [−2.0, +0.5]"),
        ((None, None), "is not distinguishable"),
        (None, "cannot be compared"),
    ],
)
def test_the_conclusion_is_that_of_the_paired_interval_on_test(bounds, verdict):
    result = result_of({"t0": T0}, [{"t0": 0.5}, {"t0": 1.5}])
    (group, (row,)) = next(iter(sections_of(result).items()))
    eda = row.cells["eda"]
    delta = {} if bounds is None else {
        "delta_eda": replace(
            eda, metric="delta_eda", value=1.2 if bounds[0] == 0.5 else -1.2, lo=bounds[0], hi=bounds[1],
            baseline="fixed(t0=0)", baseline_origin="of 1 fixed temperatures the best by EDA on dev, chosen by edt tune",
        )
    }  # fmt: skip
    sections = {group: [replace(row, cells={**row.cells, **delta})]}
    (text,) = conclusions(result, sections)
    assert text.startswith("task, test: edt(0) ")
    assert verdict in text
    if delta:
        page = tune_page(result, sections, [text])
        assert "Δ is the difference to fixed(t0=0) (of 1 fixed temperatures the best by EDA on dev" in page


@pytest.mark.parametrize("name", ["best_of", "rouge_l", "quality", "mine", "tokens"])
def test_the_conclusion_is_of_the_objective_whichever_metric_it_is(name):
    """Of the task's quality, another built-in metric, and a user's."""
    objective = Objective(metric=name, higher_is_better=name != "tokens")
    result = replace(result_of({"t0": T0}, [{"t0": 0.5}]), objective=objective)
    result = replace(result, trials=tuple(replace(t, by_task=_with_value(t.by_task, name)) for t in result.trials))
    result = replace(result, baseline=tuple(replace(t, by_task=_with_value(t.by_task, name)) for t in result.baseline))
    (row,) = next(iter(sections_of(result).values()))
    metric = "rouge_l" if name == "quality" else name
    score = replace(
        row.cells["eda"], metric=metric, is_quality=metric == "rouge_l", baseline="fixed(t0=0)",
        baseline_origin="as set", difference=2.0, difference_lo=1.0, difference_hi=3.0,
    )  # fmt: skip
    sections = table_rows([score], deltas=[*DELTAS, name])
    (text,) = conclusions(result, sections)
    assert ("is worse than" if name == "tokens" else "is better than") in text
    assert f"(Δ {objective.label} +2.0 [+1.0, +3.0])" in text
    shown = {"best_of": "Δ best of K ↑", "mine": "Δ mine", "tokens": "Δ tokens"}.get(name, "Δ quality ↑")
    assert shown in markdown(sections)
    # A name that sounds like an extreme, as "best of K" does, follows no superlative.
    assert "best best" not in tune_page(result, sections, [text]) + _best_message(list(result.trials), objective)


def _with_value(by_task, name):
    return {task: replace(measures, values={name: measures.eda}) for task, measures in by_task.items()}


def test_a_difference_that_the_search_is_about_stays_on_a_narrow_terminal():
    columns = ["quality", "delta_quality", "self_bleu", "eda", "delta_eda", "best_of", "delta_best_of", "tokens"]
    shown, left_out = fitting_columns(columns, {}, lambda some: len(some) <= 4)
    assert shown == ["quality", "self_bleu", "eda", "delta_best_of"]
    assert left_out_line(left_out).startswith("4 columns do not fit: Δ quality, Δ EDA, best of K, tokens;")


def test_a_chosen_fixed_temperature_is_no_discovery():
    result = result_of({"t0": T0}, [{"t0": 0.5}])
    (text,) = conclusions(replace(result, baseline=result.trials), sections_of(result))
    assert text == "The chosen setting is the best fixed temperature itself, edt(0): no other was better on dev."
