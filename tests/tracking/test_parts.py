"""Parts of an export: options, summary, configuration, plots, and what is redacted."""

import pytest

from edt.errors import ConfigError
from edt.records import ScoreRow
from edt.redact import Redactor
from edt.tracking.spec import WandbSpec
from edt.tracking.wandb_export import mean_by_step, setting_config, setting_summary


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "ofline"}, "tracking.mode is 'ofline'"),
        ({"project": "a/b"}, "tracking.project is 'a/b'"),
        ({"project": ""}, "tracking.project is ''"),
        ({"project": "x" * 129}, "tracking.project is 'x+', 129 characters; W&B takes 1 to 128"),
        ({"group": "x" * 129}, "tracking.group is 'x+', 129 characters; W&B takes 1 to 128"),
        ({"group": " "}, "tracking.group is ' '"),
        ({"entity": "my team/x"}, "tracking.entity is 'my team/x'"),
        ({"tags": ("a", "é" * 65)}, "tracking.tags has the tag 'é+', 65 characters; W&B takes 1 to 64"),
        ({"tags": ("",)}, "tracking.tags has the tag ''"),
        ({"max_examples": -1}, "tracking.max_examples is -1"),
        ({"dir": ""}, "tracking.dir is empty"),
    ],
)
def test_wrong_options_are_errors(values, message):
    with pytest.raises(ConfigError, match=message):
        WandbSpec(**values)


def score(task, metric, value, split="test", **values):
    given = {"model_name": "m", "strategy_id": "s", "family": "f", "params": {}, "granularity": "token", "lo": None}
    given |= {"hi": None, "confidence": 0.95, "n_examples": 1, "n_samples": 1, "signature": "", "generation_id": ""}
    return ScoreRow(task=task, split=split, metric=metric, value=value, **{**given, **values})


def test_differences_are_in_the_summary_and_their_mean_is_of_one_unit():
    paired = {"baseline": "fixed(t0=1)", "difference_lo": -3.0, "difference_hi": 1.0}
    scores = [score("a", "rouge_l", 5.0, difference=-1.0, **paired), score("b", "sacrebleu", 7.0)]
    scores += [score(task, "eda", 9.0, difference=-2.0, **paired) for task in ("a", "b")]
    summary = setting_summary(scores)
    names = ("delta_quality", "delta_quality_lo", "delta_quality_hi", "delta_eda")
    assert [summary[f"a/test/{name}"] for name in names] == [-1.0, -3.0, 1.0, -2.0]
    assert summary["mean/test/delta_eda"] == -2.0
    assert "mean/test/delta_quality" not in summary


def test_no_mean_is_over_different_numbers_of_samples():
    scores = [score("a", "eda", 1.0), score("b", "eda", 3.0, n_samples=2), score("a", "rouge_l", 4.0)]
    summary = setting_summary([*scores, score("b", "rouge_l", 6.0, n_samples=2)])
    assert "mean/test/eda" not in summary
    assert summary["mean/test/quality"] == 5.0


def test_missing_values_have_no_name_and_no_mean():
    scores = [score("a", "eda", 1.0, lo=0.5, hi=2.0), score("b", "eda", 4.0), score("a", "self_bleu", 0.0)]
    scores += [score("b", "self_bleu", None), score("a", "eda", 7.0, split="dev")]
    assert setting_summary(scores) == {
        "a/test/eda": 1.0,
        "a/test/eda_lo": 0.5,
        "a/test/eda_hi": 2.0,
        "b/test/eda": 4.0,
        "a/test/self_bleu": 0.0,
        "a/dev/eda": 7.0,
        "mean/test/eda": 2.5,
        "mean/dev/eda": 7.0,
    }


def test_a_parameter_named_like_a_fact_keeps_its_value():
    found = setting_config(score("a", "eda", 1.0, params={"t0": 0.5, "model": "second"}), {"model": "first"})
    assert (found["model"], found["param_model"], found["t0"]) == ("first", "second", 0.5)


def test_the_mean_of_a_step_is_over_the_rows_that_had_it():
    assert mean_by_step([[1.0, 5.0], [3.0], []]) == [2.0, 5.0]
    assert mean_by_step([]) == []


def test_redaction_leaves_everything_else(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ann")
    redactor = Redactor.from_environment(
        {"MY_API_KEY": "s3cr3t-value", "SHORT_TOKEN": "abc", "KEYBOARD": "us-international"}
    )
    assert redactor.text("/home/ann/models at /home/anna, /home/ann") == "~/models at /home/anna, ~"
    assert redactor.text("us-international abc s3cr3t-value") == "us-international abc ***"
    assert redactor.text("https://me:pass@host/path and a@b") == "https://***@host/path and a@b"
    plain = redactor.json({"a": (1, 0.5, None, True, float("inf")), "/home/ann": {"b": "/home/ann/x"}})
    assert plain == {"a": [1, 0.5, None, True, "inf"], "~": {"b": "~/x"}}
    (tmp_path / "table.csv").write_text("x,/home/ann/y\n")
    (tmp_path / "figure.png").write_bytes(b"\x89/home/ann\xff")
    assert redactor.file(tmp_path / "table.csv") == b"x,~/y\n"
    assert redactor.file(tmp_path / "figure.png") == b"\x89/home/ann\xff"
