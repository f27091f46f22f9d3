"""A run of a chat model: its stops and its answer rule by default, and the answer wherever a text is read."""

import csv
import shutil
from dataclasses import replace

import pytest

from edt.api.runs import read_samples
from edt.api.scoring import score
from edt.generation.export import export_samples
from edt.generation.session import generate_runs
from edt.metrics.suite import MetricsSpec
from edt.report.frame import table_rows
from edt.report.run_report import scores_page
from edt.scoring.score import score_runs
from edt.store.run import Run
from edt.strategies import Fixed
from edt.tracking.export import _outputs_sheets, _TrackedRun

TEXT, ANSWER = "Here is the translation:\n第1句话,的确。", "第1句话,的确。"


@pytest.fixture
def chat_ask(ask, tiny_folder, tmp_path, monkeypatch):
    """Requests to the random model with a chat template, which introduces every answer."""
    from edt.decoding import row_records

    folder = tmp_path / "chat"
    shutil.copytree(tiny_folder, folder)
    (folder / "chat_template.jinja").write_text("<{{ messages[0]['content'] }}>")
    monkeypatch.setattr(row_records, "cut_at_stop", lambda text, limits: TEXT)

    def make(chat=True, **task):
        request = ask([Fixed(t0=1)], **task)
        return replace(request, model=replace(request.model, path=str(folder), chat_template=chat))

    return make


@pytest.mark.parametrize(
    ("task", "chat", "stop", "rule"),
    [
        ({}, True, [], "after_colon"),
        ({}, "auto", [], "after_colon"),
        ({}, False, ["\n"], None),
        ({"stop": ("Q",), "answer": "all"}, True, ["Q"], None),
        ({"answer": "first_line"}, False, ["\n"], "first_line"),
    ],
)
def test_what_was_decided_is_in_the_manifest(chat_ask, task, chat, stop, rule):
    (run,) = generate_runs(chat_ask(chat, **task))
    manifest = Run.open(run.folder).manifest
    # Absent where all of an output is the answer, so that ids of before stay.
    assert (manifest.identity["limits"]["stop"], manifest.identity.get("answer")) == (stop, rule)
    assert manifest.answer_rule == (rule or "all")
    assert manifest.has_chat_template


def test_the_answer_is_scored_and_shown_next_to_the_text(chat_ask, tmp_path):
    (run,) = generate_runs(chat_ask())
    samples = read_samples(run.folder)
    assert set(samples["text"]) == {TEXT}
    assert set(samples["answer"]) == {ANSWER}

    scores = score_runs([run], MetricsSpec(), samples=None)
    value = next(row.value for row in scores if row.metric == "sacrebleu")
    # The whole text, introduction and all, scores lower.
    for column, same in (("answer", True), ("text", False)):
        frame = samples.drop(columns="answer").assign(text=samples[column])
        own = score(frame, quality="sacrebleu", language="zh", resamples=10).set_index("metric")["value"]
        assert (own["sacrebleu"] == pytest.approx(value)) == same
    own = score(samples, quality="sacrebleu", language="zh", resamples=10).set_index("metric")["value"]
    assert own["sacrebleu"] == pytest.approx(value)

    (file,) = export_samples([run], "csv", tmp_path / "samples.csv")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(keepends=True)))
    assert {(row["text"], row["answer"]) for row in rows} == {(TEXT, ANSWER)}
    page = scores_page(table_rows(scores), [run])
    assert {(output.text, output.answer) for output in page.outputs} == {(TEXT, ANSWER)}
    tracked = _TrackedRun(run)
    sheet = _outputs_sheets([(tracked, tracked.rows("fixed(t0=1)"))], 1, {run.manifest.task: 2})["outputs"]
    shown = dict(zip(sheet.columns, sheet.rows[0], strict=True))
    assert (shown["sample 1"], shown["answer 1"]) == (TEXT, ANSWER)


def test_a_run_without_a_rule_has_no_column_of_answers(chat_ask, tmp_path):
    (run,) = generate_runs(chat_ask(chat=False))
    (file,) = export_samples([run], "csv", tmp_path / "samples.csv")
    assert "answer" not in file.read_text(encoding="utf-8").partition("\n")[0]
    assert "answer" not in read_samples(run.folder).columns
    assert {output.answer for output in scores_page({}, [run]).outputs} <= {None}
