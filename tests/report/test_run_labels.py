"""Runs of one model and task in one table: headings, notes, CSV and page say in what they differ."""

import csv
import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from edt.records import ScoreRow
from edt.report import run_report
from edt.report.frame import difference_note, notes_in, table_rows
from edt.report.run_labels import run_labels
from edt.report.table import csv_text, legend, markdown, print_table
from edt.store.manifest import Manifest

MODEL = {"weights": "w", "dtype": "float32", "device": "cpu"}
IDENTITY = {
    "engine": "torch",
    "noise": "own",
    "model": MODEL,
    "task": "mini_xlsum",
    "seed": 0,
    "coupling": "identity",
    "limits": {"max_new_tokens": 32, "stop": []},
    "prompts": "0123456789abcdef",
}
GENERATE = {"engine": "generate", "noise": "torch", "coupling": "engine"}


def manifest(path="edt:mini", config=None, **changes):
    identity = {**IDENTITY, **changes}
    return Manifest(
        identity=identity, task=identity["task"], model=path, quality="rouge_l", target_language="en",
        extra_metrics=(), splits={}, config=config or {},
    )  # fmt: skip


def labels(*manifests):
    by_id = run_labels(manifests)
    return [by_id[one.generation_id] for one in manifests]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}], [""]),
        ([{}, GENERATE], ["batched", "hf_generate"]),
        ([{}, {"seed": 1}], ["seed 0", "seed 1"]),
        ([{}, {"model": {**MODEL, "dtype": "float64"}}], ["float32", "float64"]),
        ([{}, {"limits": {"max_new_tokens": 64, "stop": []}}], ["max_new_tokens 32", "max_new_tokens 64"]),
        ([{}, {"coupling": "independent"}], ["noise shared", "noise per_strategy"]),
        ([{}, GENERATE, {"seed": 1}], ["batched, seed 0", "hf_generate, seed 0", "batched, seed 1"]),
        ([{}, {"model": {**MODEL, "chat_template": True}}], ["no chat template", "chat template"]),
        ([{}, {"answer": "first_line"}], ["answer all", "answer first_line"]),
        ([{}, {"limits": {**IDENTITY["limits"], "minimum": 3}}], ["default minimum", "minimum 3"]),
        ([{}, {"prompts": "fedcba9876543210"}], ["other prompts (0123456)", "other prompts (fedcba9)"]),
        ([{}, {"model": {**MODEL, "weights": "ab" * 8}}], ["other weights (7265b87)", "other weights (abababa)"]),
        (
            [{}, {"seed": 1, "model": {**MODEL, "weights": "ab" * 8}}],
            ["seed 0, other weights (7265b87)", "seed 1, other weights (abababa)"],
        ),
        (
            [{}, {"limits": {"max_new_tokens": 64, "stop": []}, "prompts": "fedcba9876543210"}],
            ["max_new_tokens 32", "max_new_tokens 64"],
        ),
        ([{}, {"task": "mini_quac", "seed": 1}], ["", ""]),
    ],
)
def test_runs_are_distinguished_by_what_a_person_can_read(changes, expected):
    assert labels(*(manifest(**change) for change in changes)) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"limit": 2}, {"limit": None}, ["limit 2", "no limit"]),
        ({"path": "a/x.jsonl", "shots": 0}, {"path": "b/x.jsonl", "shots": 2},
         ["data a/x.jsonl, shots 0", "data b/x.jsonl, shots 2"]),
        ({"template": {"head": "Short", "tail": "\n"}}, {"template": {"head": "L" + 50 * "o" + "ng", "tail": "\n"}},
         ['head "Short"', 'head "L' + 38 * "o" + "…"]),
        ({"template": {"tail": 30 * "so " + "it ends:"}}, {"template": {"tail": 30 * "so " + "it began."}},
         ['tail …o so it ends:"', 'tail …o so it began."']),
        ({"limit": 2}, {"limit": 2, "answer": "all"}, ["other prompts (0123456)", "other prompts (fedcba9)"]),
    ],
)  # fmt: skip
def test_options_of_the_task_explain_other_prompts(one, other, expected):
    changed = {"prompts": "fedcba9876543210"}
    assert labels(manifest(config={"task": one}), manifest(config={"task": other}, **changed)) == expected
    # In a list of tasks an option is the member's, and the list's own value has precedence.
    listed = [{"task": {"members": {"mini_xlsum": {"limit": 9, **of_run}}, "limit": None}} for of_run in (one, other)]
    assert labels(manifest(config=listed[0]), manifest(config=listed[1], **changed)) == expected


def test_options_that_changed_no_prompt_are_not_named():
    configs = [{"task": {"max_prompt_tokens": value}} for value in (None, 4096)]
    assert labels(manifest(config=configs[0]), manifest(config=configs[1], seed=1)) == ["seed 0", "seed 1"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stop": None, "answer": None}, ["no chat template", "chat template"]),
        ({"answer": None, "stop": ["\n"]},
         ['stop ["\\n"], no chat template', "stop [], chat template"]),
    ],
)  # fmt: skip
def test_what_follows_from_the_chat_template_is_not_named(options, expected):
    plain = {**IDENTITY["limits"], "stop": ["\n"], "stop_rule": "after_text"}
    in_chat = {"model": {**MODEL, "chat_template": True}, "answer": "after_colon", "prompts": "fedcba9876543210"}
    config = {"task": options}
    assert labels(manifest(config=config, limits=plain), manifest(config=config, **in_chat)) == expected


def test_a_dtype_that_the_device_sets_is_not_named_and_a_chosen_one_is():
    on_gpu = {"model": {**MODEL, "device": "cuda", "dtype": "bfloat16"}}
    auto, chosen = ({"model": {"dtype": dtype}} for dtype in ("auto", "bfloat16"))
    assert labels(manifest(config=auto), manifest(config=auto, **on_gpu)) == ["cpu", "cuda"]
    assert labels(manifest(config=auto), manifest(config=chosen, **on_gpu)) == ["float32, cpu", "bfloat16, cuda"]


def test_how_a_stop_counts_has_words():
    limits = [{**IDENTITY["limits"], "stop": ["\n"]}, {**IDENTITY["limits"], "stop": ["\n"], "stop_rule": "after_text"}]
    assert labels(*(manifest(limits=one) for one in limits)) == ["stops count anywhere", "stops count after text"]


def test_models_with_the_same_name_are_named_by_their_paths():
    first, second = ("one/mini", "two/mini")
    assert labels(manifest(first), manifest(second, model={**MODEL, "weights": "v"})) == [first, second]
    assert labels(manifest("one"), manifest("two", model={**MODEL, "weights": "v"})) == ["", ""]


def score(generation_id="a", **changes):
    whole = ScoreRow(
        task="mini_xlsum", split="test", model_name="edt:mini", strategy_id="fixed(t0=0)", family="fixed", params={},
        granularity="token", metric="eda", value=1.0, lo=None, hi=None, confidence=0.95, n_examples=3, n_samples=2,
        signature="s", generation_id=generation_id, note="EDA is provisional",
    )  # fmt: skip
    return replace(whole, **changes)


def printed(scores, names):
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as capture:
        print_table(table_rows(scores, names), console)
    return capture.get()


NAMES = {"a": "batched", "b": "hf_generate"}


def test_two_runs_have_two_headings_and_two_notes():
    scores = [score("a"), score("b")]
    shown = markdown(table_rows(scores, NAMES))
    assert "| mini_xlsum | test | mini · batched |" in shown
    assert "| mini_xlsum | test | mini · hf_generate |" in shown
    headings = [line.split("  ")[0].strip() for line in printed(scores, NAMES).splitlines()]
    assert {"batched", "hf_generate"} <= set(headings)
    for text in (shown, printed(scores, NAMES)):
        assert "mini · batched, mini_xlsum, test: EDA is provisional" in text
        assert "mini · hf_generate, mini_xlsum, test: EDA is provisional" in text


@pytest.mark.parametrize("names", [{}, {"a": "batched", "b": "batched"}])
def test_runs_without_a_label_are_named_by_their_ids(names):
    assert [group.run_label for group in table_rows([score("a"), score("b")], names)] == ["a", "b"]


@pytest.mark.parametrize("other", [{"task": "mini_quac"}, {"model_name": "edt:mini_base"}])
def test_headings_of_other_tasks_and_models_need_no_label(other):
    sections = table_rows([score("a"), score("b", **other)], NAMES)
    assert [group.run_label for group in sections] == ["", ""]


@pytest.mark.parametrize("other", [{"split": "dev"}, {"n_examples": 4}, {"n_samples": 4}])
def test_two_runs_are_named_also_where_their_sizes_differ(other):
    sections = table_rows([score("a"), score("b", **other)], NAMES)
    assert [group.run_label for group in sections] == ["batched", "hf_generate"]


def test_the_csv_names_the_run():
    rows = list(csv.DictReader(io.StringIO(csv_text([score("a"), score("b"), score("c", task="other")], NAMES))))
    assert [row["run"] for row in rows] == ["batched", "hf_generate", ""]


def test_sections_of_different_sample_counts_say_what_cannot_be_compared():
    shown = markdown(table_rows([score("a", n_samples=2), score("b", n_samples=4, task="other", note="")]))
    assert "| 3 × 2 |" in shown
    assert "| 3 × 4 |" in shown
    assert "2 and 4 samples per example" in shown
    assert "edt score metrics.group_size=2" in shown
    # groups of two are no groups of three samples: then only fewer samples help
    odd = markdown(table_rows([score("a", n_samples=2), score("b", n_samples=3, task="other", note="")]))
    assert "edt score samples=2" in odd
    assert "samples per example" not in markdown(table_rows([score("a"), score("b", task="other")]))


def test_eda_of_several_models_is_marked_as_not_comparable():
    several = markdown(table_rows([score("a"), score("b", model_name="org/base")]))
    assert "do not compare it between models" in several
    without = [score("a", metric="rouge_l"), score("b", metric="rouge_l", model_name="org/base")]
    for sections in (table_rows([score("a"), score("b", task="other")]), table_rows(without)):
        assert "between models" not in markdown(sections)


def test_a_note_names_the_model_where_there_are_several():
    assert notes_in(table_rows([score()])) == ["mini_xlsum, test: EDA is provisional"]
    assert notes_in(table_rows([score(), score("b", model_name="org/base")]))[1:] == [
        "mini, mini_xlsum, test: EDA is provisional",
        "base, mini_xlsum, test: EDA is provisional",
    ]


def test_the_note_of_differences_and_a_warning_name_the_run():
    delta = {"baseline": "fixed(t0=0)", "difference": 0.0, "note": ""}
    one = score("a", baseline_origin="chosen on dev", strategy_id="edt(t0=1)", lo=0.5, hi=1.5, **delta)
    other = score("b", baseline_origin="the only fixed temperature", **delta)
    sections = table_rows([one, other], NAMES)
    note = difference_note(sections)
    assert "fixed(t0=0) (chosen on dev) in mini · batched, mini_xlsum, test" in note
    assert "fixed(t0=0) (the only fixed temperature) in mini · hf_generate, mini_xlsum, test" in note
    # Equal in every resample, and not the baseline itself.
    assert "does not show how large" in note
    assert "does not show how large" not in difference_note(table_rows([other]))

    runs = [
        SimpleNamespace(generation_id=name, manifest=manifest(limits={"max_new_tokens": 7, "stop": []}))
        for name in NAMES
    ]
    cut = [score(name, metric="cut_share", value=100.0) for name in NAMES]
    warnings = run_report.warnings_in(table_rows(cut, NAMES), cut, runs)
    assert [text.split(": ")[0] for text in warnings] == [
        "mini · batched, mini_xlsum, test", "mini · hf_generate, mini_xlsum, test",
    ]  # fmt: skip
    shown = markdown(table_rows(cut, NAMES), warnings)
    assert shown.index(f"**Warning:** {warnings[0]}") < shown.index("Values with")


def test_the_page_names_tasks_as_the_table_does_and_says_that_outputs_are_left_out(monkeypatch, tmp_path, capsys):
    manifests = [manifest(), manifest(model={**MODEL, "dtype": "bfloat16"})]
    runs = [
        SimpleNamespace(manifest=one, generation_id=one.generation_id, folder=tmp_path / one.generation_id)
        for one in manifests
    ]
    scores = [score(run.generation_id) for run in runs]
    page = run_report.scores_page(table_rows(scores, run_labels(manifests)), runs)
    assert list(page.quality) == ["mini_xlsum · float32", "mini_xlsum · bfloat16"]
    assert [point.task for point in page.points] == list(page.quality)

    monkeypatch.setattr(run_report, "write_step_figures", lambda *arguments: [])
    run_report.report_study(scores, runs)
    assert "report.html (without outputs: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "warned"),
    [({"n_examples": 9}, True), ({"n_examples": 10}, False), ({"n_examples": 1, "lo": None, "hi": None}, False)],
)
def test_the_legend_warns_of_the_intervals_of_few_examples(changes, warned):
    scores = [score(**{"lo": 0.5, "hi": 1.5, **changes})]
    assert ("too short" in legend(table_rows(scores))) == warned
