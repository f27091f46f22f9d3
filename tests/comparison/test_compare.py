"""`edt compare` on files of several programs: its numbers, its pairing, its verdicts, its refusals."""

from __future__ import annotations

import csv
import json
import math
import re

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from scipy import stats

from edt.cli import main
from edt.comparison.compare import CompareRequest, compare_samples
from edt.metrics.suite import BootstrapSpec, EdaSpec, MetricsSpec
from tests.support.command_line import refused

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "looked",
    "at",
    "the",
    "red",
    "dog",
    "near",
    "old",
    "house",
    "by",
    "sea",
]


def rows_of(keep, n=40, samples=3, seed=0, **more):
    """Rows in which each word of the reference stays with the chance `keep`."""
    reference_rng, rng = np.random.default_rng(1), np.random.default_rng(seed)
    rows = []
    for number in range(n):
        words = reference_rng.choice(WORDS, 10)
        for sample in range(samples):
            said = [word if rng.random() < keep else rng.choice(WORDS) for word in words]
            rows.append(
                {"example_id": f"e{number:02}", "sample": sample, "text": " ".join(said), "reference": " ".join(words)}
                | more
            )
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "a.jsonl", rows_of(0.9)), write(tmp_path / "b.jsonl", rows_of(0.6, seed=2))


def compared(a, b, by=None, **more):
    resamples = more.pop("resamples", 1999)
    spec = MetricsSpec(bootstrap=BootstrapSpec(resamples=resamples), eda=more.pop("eda", EdaSpec()))
    return {row.metric: row for row in compare_samples(CompareRequest(a=a, b=b, by=by, metrics=spec, **more))}


def rouge(rows):
    """Mean ROUGE-L of each example, by rouge_score."""
    scorer = RougeScorer(["rougeL"])
    values = [100 * scorer.score(row["reference"], row["text"])["rougeL"].fmeasure for row in rows]
    return np.reshape(values, (40, 3)).mean(axis=1)


def test_a_difference_is_rouge_scores_and_its_interval_scipys(files):
    difference = rouge(rows_of(0.9)) - rouge(rows_of(0.6, seed=2))
    row = compared(*files, by=["rouge_l"])["rouge_l"]
    peer = stats.bootstrap(
        (difference,), np.mean, n_resamples=1999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert row.difference == pytest.approx(difference.mean())
    assert (row.lo, row.hi) == pytest.approx((peer.low, peer.high))
    assert row.detectable == pytest.approx(2.80 * difference.std() / 40**0.5, rel=0.05)
    assert (row.examples, row.clusters, row.samples) == (40, 40, 3)


def test_a_corpus_score_is_corrected_and_a_mean_is_not(files):
    rows = compared(*files, by=["quality", "sacrebleu", "self_bleu"])
    assert {name: row.method for name, row in rows.items()} == {
        "rouge_l": "percentile",
        "sacrebleu": "BCa",
        "self_bleu": "percentile",
    }
    assert rows["sacrebleu"].lo < rows["sacrebleu"].difference < rows["sacrebleu"].hi


def test_eda_is_that_of_both_values(files):
    rows = compared(*files, by=["quality", "self_bleu", "eda"], eda=EdaSpec(q_star=90.0, s_star=100.0))
    for side in ("a", "b"):
        quality, self_bleu, eda = (getattr(rows[name], side) for name in ("rouge_l", "self_bleu", "eda"))
        by_hand = 100 * math.sqrt((max(0, 1 - quality / 90) ** 2 + (self_bleu / 100) ** 2) / 2)
        assert eda == pytest.approx(by_hand)
    assert rows["eda"].method == "BCa"


def test_the_same_samples_in_another_order_do_not_differ(tmp_path, files):
    shuffled = [rows_of(0.9)[i] for i in np.random.default_rng(0).permutation(120)]
    other = write(tmp_path / "shuffled.jsonl", shuffled)
    for row in compared(files[0], other, margins={"rouge_l": 0.5}).values():
        assert row.difference == 0
        assert row.p_value == 1
    row = compared(files[0], other, margins={"rouge_l": 0.5})["rouge_l"]
    assert row.verdict_text == "no gain of 0.5 or more"


def test_p_values_are_corrected_over_all_rows(files):
    rows = list(compared(*files, by=["rouge_l", "chrf", "self_bleu"]).values())
    assert all(row.p_adjusted == pytest.approx(min(1, 3 * row.p_value)) for row in rows[:1])
    assert all(row.detectable_in_family > row.detectable for row in rows)


def test_margins_give_verdicts_and_nested_ones_are_one_sided(files):
    assert compared(*files, margins={"rouge_l": 0.5})["rouge_l"].verdict == "gain"
    assert compared(*files[::-1], margins={"rouge_l": 0.5})["rouge_l"].verdict == "loss"
    nested = compared(*files[::-1], margins={"rouge_l": 0.5}, nested=True)["rouge_l"]
    assert (nested.verdict_text, nested.confidence) == ("no gain of 0.5 or more", pytest.approx(0.9))
    assert nested.p_value > 0.999
    lower = compared(*files[::-1], margins={"self_bleu": 1})["self_bleu"]
    assert lower.verdict == "gain"


def test_few_clusters_give_no_verdict(tmp_path):
    a, b = (write(tmp_path / name, rows_of(keep, n=12)) for name, keep in (("a.jsonl", 0.9), ("b.jsonl", 0.3)))
    row = compared(a, b, margins={"rouge_l": 0.5})["rouge_l"]
    assert row.verdict_text == "cannot tell: 12 clusters, fewer than 30"


def test_clusters_are_drawn_whole(tmp_path):
    def clustered(keep, seed):
        rows = rows_of(keep, seed=seed)
        return [row | {"cluster": row["example_id"][:2]} for row in rows]

    a, b = (write(tmp_path / f"{k}.jsonl", clustered(k, s)) for k, s in ((0.9, 0), (0.6, 2)))
    row = compared(a, b)["rouge_l"]
    assert (row.examples, row.clusters) == (40, 4)


def test_without_references_only_what_needs_none_is_compared(tmp_path):
    rows = [{name: row[name] for name in ("example_id", "sample", "text")} for row in rows_of(0.8)]
    a = write(tmp_path / "a.jsonl", rows)
    assert set(compared(a, a)) == {"self_bleu"}
    # those of one side are enough
    found = compared(a, write(tmp_path / "b.jsonl", rows_of(0.8, seed=3)))
    assert list(found) == ["rouge_l", "self_bleu", "best_of"]


def test_samples_in_groups_have_the_self_bleu_of_a_group(tmp_path):
    whole = [write(tmp_path / f"{n}.jsonl", rows_of(k, samples=6, seed=n)) for n, k in ((0, 0.9), (1, 0.6))]
    first = [write(tmp_path / f"f{n}.jsonl", [row for row in rows_of(k, samples=6, seed=n) if row["sample"] < 3])
             for n, k in ((0, 0.9), (1, 0.6))]  # fmt: skip
    last = [write(tmp_path / f"l{n}.jsonl", [row for row in rows_of(k, samples=6, seed=n) if row["sample"] > 2])
            for n, k in ((0, 0.9), (1, 0.6))]  # fmt: skip
    spec = MetricsSpec(group_size=3, bootstrap=BootstrapSpec(resamples=999), eda=EdaSpec(q_star=90.0, s_star=100.0))
    rows = {
        row.metric: row
        for row in compare_samples(
            CompareRequest(a=whole[0], b=whole[1], by=["self_bleu", "best_of", "eda"], metrics=spec)
        )
    }
    for name in ("self_bleu", "best_of"):
        parts = [compared(*pair, by=[name])[name].difference for pair in (first, last)]
        assert rows[name].difference == pytest.approx(np.mean(parts))
    assert "40x2x3" in rows["eda"].signature


def harness(rows, *, filters=("none",), target=lambda text: text):
    """What lm-evaluation-harness logs with --log_samples: a row per document and filter."""
    documents = {}
    for row in rows:
        documents.setdefault(row["example_id"], []).append(row)
    return [
        {
            "doc_id": number,
            "doc": {"article": "…"},
            "target": target(of_document[0]["reference"]),
            "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {"until": []}}},
            "resps": [[row["text"] for row in of_document]],
            "filtered_resps": [of_document[0]["text"]],
            "filter": name,
            "doc_hash": "…",
        }
        for number, of_document in enumerate(documents.values())
        for name in filters
    ]


def test_logs_of_the_harness_give_the_same_numbers(tmp_path, files):
    logs = []
    for name, rows in (("a", rows_of(0.9)), ("b", rows_of(0.6, seed=2))):
        folder = tmp_path / name
        folder.mkdir()
        documents = harness(rows, filters=("strict", "flexible"), target=lambda text: str([text]))
        write(folder / "samples_xsum_2026-01-02T03-04-05.678.jsonl", documents)
        # an older log of the same task is not what is meant
        write(folder / "samples_xsum_2025-01-02T03-04-05.678.jsonl", documents[:2])
        logs.append(str(folder))
    own, found = compared(*files)["rouge_l"], compared(*logs)["rouge_l"]
    assert (found.task, found.difference) == ("xsum", pytest.approx(own.difference))
    assert (found.lo, found.hi) == pytest.approx((own.lo, own.hi), abs=1.5)


def test_a_run_and_its_export_are_the_same(tmp_path, capsys):
    words = ["task=mini_xlsum", "task.limit=5", "sampling.samples=2", "sampling.max_new_tokens=12"]
    words += ["strategy=fixed", "strategy.t0=[0.5,1]", "eda_scale=null", f"paths.runs={tmp_path / 'runs'}"]
    assert main(["run", *words, "metrics.bootstrap.resamples=20"]) == 0
    (run,) = (path.parent for path in (tmp_path / "runs").glob("*/manifest.json"))
    assert main(["export", str(run), "--out", str(tmp_path / "export.jsonl")]) == 0
    capsys.readouterr()
    export = tmp_path / "export.jsonl"
    out = tmp_path / "compared.json"
    sides = [f"{run}:fixed(t0=0.5)", f"{export}:fixed(t0=0.5)"]
    assert main(["compare", *sides, "by=[quality,self_bleu]", f"out={out}"]) == 0
    shown = capsys.readouterr().out
    assert "A − B" in shown
    assert f"B: {sides[1]}" in shown
    content = json.loads(out.read_text())
    assert [row["difference"] for row in content["rows"]] == [0.0, 0.0]
    assert content["rows"][0]["lo"] is None
    by_key = ["compare", f"a={run}:fixed(t0=0.5)", f"b={run}:fixed(t0=1)", f"out={tmp_path / 'c.csv'}"]
    assert main([*by_key, "metrics.bootstrap.resamples=200"]) == 0
    with (tmp_path / "c.csv").open() as file:
        table = list(csv.DictReader(file))
    assert (table[0]["task"], table[0]["metric"]) == ("mini_xlsum", "rouge_l")
    capsys.readouterr()
    message = refused(capsys, "compare", str(run), str(export))
    assert "holds 2 settings; name one after a colon" in message
    assert "fixed(t0=0.5), fixed(t0=1)" in message
    message = refused(capsys, "compare", f"{run}:fixed(t0=0.6)", str(export))
    assert "no setting 'fixed(t0=0.6)' (did you mean 'fixed(t0=0.5)'?)" in message
    assert "has: test" in refused(capsys, "compare", f"{run}:fixed(t0=1)", f"{run}:fixed(t0=1)", "split=dev")
    capsys.readouterr()
    assert main(["study", "power", str(run), "margins.rouge_l=0.5", "examples=[10,20]", "samples=[2,4]"]) == 0
    power = capsys.readouterr().out
    assert "fixed(t0=0.5) − fixed(t0=1), 5 examples × 2 samples" in power
    assert "for 0.5" in power
    assert "holds one setting" in refused(capsys, "study", "power", f"{run}:fixed(t0=1)")


def changed(number, **values):
    rows = rows_of(0.8)
    rows[number] |= values
    return rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of(0.8)[3:], r"39 examples are in both, but 1 only in a \('e00'\) and 0 only in b \(none\)"),
        ([row | {"example_id": "x" + row["example_id"]} for row in rows_of(0.8)], "no example in common"),
        (rows_of(0.8, samples=2), "a has 3 samples of each example and b 2;.* samples=2"),
        (rows_of(0.8)[1:], "example 'e01' has 3 samples and 'e00' 2; all need the same number"),
        (changed(4, reference="other"), "line 5 has other references of example 'e01' than an earlier row"),
        ([row | {"reference": "other"} for row in rows_of(0.8)], "example 'e00' has other references in a than in b"),
        (changed(1, sample=0), "line 2 holds sample 0 of example 'e00' a second time"),
        (changed(1, sample="x"), "line 2 has the sample 'x'; it must be a whole number"),
        (changed(2, text=None), 'line 3 has no text; give the output as "text"'),
        (changed(2, text=3), 'line 3 has the text 3; give the output as "text"'),
        (changed(2, example_id=None), r"line 3 has no example_id \(or id\)"),
        (changed(2, reference={"a": 1}), "line 3 has the reference .*; it must be a text or a list of texts"),
        (["text"], "row 1 is 'text'; each row must hold keys"),
        (rows_of(0.8, n=1), "39 only in a"),
    ],
)
def test_what_cannot_be_paired_is_refused(tmp_path, files, capsys, rows, words):
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps(rows)) if rows == ["text"] else write(path, rows)
    assert re.search(words, refused(capsys, "compare", files[0], str(path)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["by=[rogue_l]"], "no metric is called 'rogue_l' (did you mean 'rouge_l'?)"),
        (["by=[]"], "by is []; it must be a list of metrics"),
        (["by=3"], "by is 3; it must be a list of metrics"),
        (["by=eda"], "eda needs its scale"),
        (["margins.rouge_l=-1"], "margins.rouge_l is -1; it must be a number above 0"),
        (["margins.chrf=1"], "margins.chrf is a margin of a metric that is not there"),
        (["margins=1"], "margins is 1, but it holds numbers by metric"),
        (["samples=9"], "samples is 9, but a has 3 of each example"),
        (["samples=0"], "samples is 0; it must be 1 or more"),
        (["samples=x"], "samples is 'x'; it must be a whole number"),
        (["out=x.txt"], "out is 'x.txt'; it must end in .csv or .json"),
        (["nested=2"], "nested is 2; it must be true or false"),
        (["split=3"], "split is 3; it must be a name, or null"),
        (["extra.jsonl"], "give two things to compare, not 3"),
        (["metrics.bootstrap.resamples=0"], "metrics.bootstrap.resamples is 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(files, capsys, more, words):
    assert words in refused(capsys, "compare", *files, *more)


def test_what_is_not_there_or_too_little_is_refused(tmp_path, files, capsys):
    assert "a is 'nowhere', and there is no such file or folder" in refused(capsys, "compare", "nowhere", files[0])
    (tmp_path / "empty").mkdir()
    assert "no run in" in refused(capsys, "compare", str(tmp_path / "empty"), files[0])
    one = write(tmp_path / "one.jsonl", rows_of(0.8, n=1))
    assert "1 example in 1 cluster; an interval needs 2 or more" in refused(capsys, "compare", one, one)
    single = write(tmp_path / "single.jsonl", [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}])
    assert "without references there is no quality" in refused(capsys, "compare", single, single)
    choices = [{"doc_id": 0, "resps": [["-1.2", "False"], ["-3.4", "False"]], "target": "1"}]
    logged = write(tmp_path / "samples_arc_2026-01-02T03-04-05.jsonl", choices)
    assert "scores of choices" in refused(capsys, "compare", logged, logged)
    (tmp_path / "notes.txt").write_text("x")
    assert "is no file of samples" in refused(capsys, "compare", str(tmp_path / "notes.txt"), files[0])
    tasks = [write(tmp_path / f"{n}.jsonl", rows_of(0.8, task=f"t{n}") + rows_of(0.8, task=f"u{n}")) for n in "12"]
    assert "no task in common: a has t1, u1; b has t2, u2" in refused(capsys, "compare", *tasks)


def test_groups_and_few_clusters_are_named_below_the_table(tmp_path, capsys):
    a, b = (write(tmp_path / f"{n}.jsonl", rows_of(0.8, n=12, samples=4, seed=n)) for n in (0, 1))
    assert main(["compare", a, b, "metrics.group_size=2", "metrics.bootstrap.resamples=200"]) == 0
    shown = capsys.readouterr().out
    assert "is of groups of 2, averaged" in shown
    assert "12 clusters are few" in shown
    assert "does not divide the 4 samples" in refused(capsys, "compare", a, b, "metrics.group_size=3")


def test_a_home_folder_and_a_missing_run_are_sides(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.jsonl", rows_of(0.8))
    assert main(["compare", "~/a.jsonl", "~/a.jsonl", "metrics.bootstrap.resamples=50"]) == 0
    capsys.readouterr()
    message = refused(capsys, "compare", "runs/RUN:edt(t0=1,theta=0.5)", "~/a.jsonl")
    assert "a is 'runs/RUN:edt(t0=1,theta=0.5)', and there is no such file or folder" in message


def test_examples_of_one_side_alone_are_left_out_on_request(tmp_path, files):
    fewer = write(tmp_path / "fewer.jsonl", rows_of(0.6, seed=2)[30:])
    row = compared(files[0], fewer, common_only=True)["rouge_l"]
    assert row.examples == 30


def test_several_tasks_are_rows_of_one_family(tmp_path):
    a, b = (
        write(tmp_path / f"{side}.jsonl", rows_of(keep, task="t") + rows_of(keep, task="u", seed=5))
        for side, keep in (("a", 0.8), ("b", 0.75))
    )
    spec = MetricsSpec(bootstrap=BootstrapSpec(resamples=999))
    rows = compare_samples(CompareRequest(a=a, b=b, by=["rouge_l"], metrics=spec))
    assert [row.task for row in rows] == ["t", "u"]
    smaller = min(rows, key=lambda row: row.p_value)
    assert smaller.p_adjusted == pytest.approx(min(1.0, 2 * smaller.p_value))


def test_the_best_of_k_has_the_interval_of_a_mean(files):
    assert compared(*files, by=["best_of"])["best_of"].method == "percentile"


def test_differences_that_do_not_vary_show_no_detectable_one(tmp_path):
    rows = rows_of(0.9)
    files = [write(tmp_path / name, rows) for name in ("a.jsonl", "b.jsonl")]
    row = compared(*files)["rouge_l"]
    assert math.isnan(row.detectable)
    assert math.isnan(row.detectable_in_family)


def test_samples_without_references_are_compared_by_self_bleu_with_a_warning(tmp_path, caplog):
    rows = [{key: value for key, value in row.items() if key != "reference"} for row in rows_of(0.9)]
    a, b = (write(tmp_path / name, rows) for name in ("a.jsonl", "b.jsonl"))
    assert list(compared(a, b)) == ["self_bleu"]
    assert "neither a nor b has references" in caplog.text
