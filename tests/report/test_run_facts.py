"""EDA's scale in a page's header: of every run, also of one whose EDA is missing."""

from edt.metrics.eda import EdaConstants
from edt.report.frame import table_rows
from edt.report.run_facts import eda_scales
from tests.report.test_run_labels import score

NAMES = {"a": "seed 0", "b": "seed 1"}


def scale_of(*q_stars):
    scores = []
    for name, q_star in zip(NAMES, q_stars, strict=False):
        constants = None if q_star is None else EdaConstants(q_star=q_star, s_star=50.0, source="dev")
        text = "EDA|missing" if constants is None else constants.signature(quality="rouge_l", n="3x2")
        scores.append(score(name, signature=text, value=None if q_star is None else 1.0))
    sections = table_rows(scores, NAMES)
    return eda_scales(sections, {group: group.run_label or group.task for group in sections})


def test_each_run_has_its_scale():
    assert scale_of(20.0, 30.0) == "seed 0, test: Q* = 20, S* = 50 (dev); seed 1, test: Q* = 30, S* = 50 (dev)"
    assert scale_of(20.0, None) == "seed 0, test: Q* = 20, S* = 50 (dev); seed 1, test: EDA is missing"
    assert scale_of(20.0, 20.0) == scale_of(20.0) == "Q* = 20, S* = 50 (dev)"
    assert scale_of(None, None) == ""
