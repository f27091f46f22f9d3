"""The summary of a run's page: what is best, by how much, and what a reader must know before believing it."""

from dataclasses import replace

from edt.report.html import study_html
from edt.report.page import Point, StudyPage
from edt.report.page_data import chart_data
from edt.report.page_summary import summary_section

QUALITY = {"t": "ROUGE-L"}


def a_point(family, setting, *, eda=None, quality=50.0, split="test", task="t", **more):
    metrics = {"quality": (quality, quality - 1, quality + 1), "self_bleu": (40.0, None, None), **more}
    if eda is not None:
        metrics["eda"] = (eda, eda - 2, eda + 2)
    return Point(task=task, split=split, family=family, strategy_id=setting, params={}, metrics=metrics)


def rows_of(section):
    table = section.tables[0]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_each_family_has_its_best_setting_and_the_best_family_comes_first():
    points = [
        a_point("fixed", "fixed(t0=1)", eda=40.0), a_point("fixed", "fixed(t0=0)", eda=70.0),
        a_point("edt", "edt(t0=1)", eda=50.0), a_point("edt", "edt(t0=2)", eda=30.0),
    ]  # fmt: skip
    section = summary_section(points, QUALITY)
    assert [(row["family"], row["best setting"], row["EDA ↓"]) for row in rows_of(section)] == [
        ("edt", "edt(t0=2)", "30.0 [28.0, 32.0]"),
        ("fixed", "fixed(t0=1)", "40.0 [38.0, 42.0]"),
    ]
    assert "ROUGE-L ↑" in section.tables[0].columns
    assert {"task", "split", "settings"} <= set(section.tables[0].secondary)
    assert section.text[0].startswith("t, test: edt(t0=2) has the lowest EDA, 30.0 [28.0, 32.0]; the best fixed")
    assert section.text[0].endswith("Their intervals do not overlap.")
    assert any("not across models" in text for text in section.text)
    assert any("best of 4 settings" in text for text in section.text)


def test_a_paired_difference_decides_where_there_is_one():
    near = a_point("edt", "edt(t0=1)", eda=39.0, delta_eda=(-1.0, -1.6, -0.4))
    section = summary_section([a_point("fixed", "fixed(t0=1)", eda=40.0), near], QUALITY)
    assert rows_of(section)[0]["Δ EDA ↓"] == "−1.0 [−1.6, −0.4]"
    assert "The paired difference to the baseline is −1.0 [−1.6, −0.4]; its interval excludes 0." in section.text[0]
    unsure = a_point("edt", "edt(t0=1)", eda=39.0, delta_eda=(-1.0, -2.6, 0.4))
    section = summary_section([a_point("fixed", "fixed(t0=1)", eda=40.0), unsure], QUALITY)
    assert "contains 0, so the difference may be chance" in section.text[0]


def test_a_small_lead_may_be_chance_and_fixed_can_win():
    points = [a_point("fixed", "fixed(t0=1)", eda=40.0), a_point("edt", "edt(t0=1)", eda=39.0)]
    assert (
        summary_section(points, QUALITY).text[0].endswith("Their intervals overlap, so the difference may be chance.")
    )
    points = [a_point("fixed", "fixed(t0=1)", eda=38.0), a_point("edt", "edt(t0=1)", eda=39.0)]
    assert (
        "no other family is better than a fixed temperature; next is edt(t0=1)"
        in summary_section(points, QUALITY).text[0]
    )


def test_a_low_eda_of_bad_outputs_is_not_called_good():
    points = [
        a_point("fixed", "fixed(t0=0)", eda=70.0, quality=60.0),
        a_point("edt", "edt(t0=2)", eda=30.0, quality=4.0),
    ]
    text = " ".join(summary_section(points, QUALITY).text)
    assert "Its quality is 4.0, less than half of the best one here, 60.0" in text


def test_without_eda_quality_decides_and_without_both_there_is_no_summary():
    points = [a_point("fixed", "fixed(t0=0)", quality=20.0), a_point("fixed", "fixed(t0=1)", quality=30.0)]
    section = summary_section(points, QUALITY)
    assert section.text[0] == "t, test: fixed(t0=1) has the highest quality, 30.0 [29.0, 31.0]."
    assert not any("EDA" in text for text in section.text)
    assert summary_section([], QUALITY) is None


def test_tasks_and_splits_have_their_own_rows_and_menus():
    points = [
        a_point("fixed", "f", eda=1.0, split=split, task=task) for task in ("t", "u") for split in ("dev", "test")
    ]
    section = summary_section(points, {"t": "ROUGE-L", "u": "SacreBLEU"})
    assert section.tables[0].filters == ["task", "split"]
    assert [(row["task"], row["split"]) for row in rows_of(section)] == [
        ("t", "dev"),
        ("t", "test"),
        ("u", "dev"),
        ("u", "test"),
    ]
    assert "quality ↑" in section.tables[0].columns


def test_the_summary_names_the_baseline_and_begins_with_the_warnings():
    points = [
        replace(point, baseline="fixed(t0=1)")
        for point in (
            a_point("fixed", "fixed(t0=1)", eda=40.0, delta_eda=(0.0, None, None)),
            a_point("edt", "edt(t0=1)", eda=39.0, delta_eda=(-0.041, -0.4, 0.03)),
        )
    ]
    section = summary_section(points, QUALITY, delta_note="Δ is to it.", warnings=["All outputs are empty."])
    assert "difference to the baseline, fixed(t0=1), is 0.0 [−0.4, 0.0]" in section.text[0]
    assert [row["Δ EDA ↓"] for row in rows_of(section)] == ["0.0 [−0.4, 0.0]", "baseline"]
    assert section.tables[0].note.endswith("Δ is to it.")

    page = StudyPage(
        title="p", about={}, quality=QUALITY, points=points, ideal={}, sections=[section], examples=(), outputs=()
    )
    assert [point["texts"]["delta_eda"] for point in chart_data(page)["points"]] == ["baseline", "0.0 [−0.4, 0.0]"]
    html = study_html(page)
    assert html.index('<p class="warning">All outputs are empty.') < html.index("has the lowest EDA")
