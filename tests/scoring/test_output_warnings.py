"""Empty and cut outputs: their columns, and one warning of the worst setting with its cause and remedy."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from edt.api.runs import read_samples, read_scores
from edt.api.scoring import score
from edt.cli import main
from edt.records import ScoreRow
from edt.scoring.output_warnings import output_warnings
from edt.store.run import find_runs

LOGGER = "edt"


@pytest.fixture
def ends_at_once(tiny_folder, tmp_path):
    """The random model, each of whose tokens ends a text."""
    folder = tmp_path / "short"
    shutil.copytree(tiny_folder, folder)
    content = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**content, "eos_token_id": list(range(259))}))
    return folder


def runs_of(words):
    return find_runs([Path(next(word for word in words if word.startswith("paths.runs")).partition("=")[2])])


@pytest.mark.parametrize(
    ("template", "remedy"),
    [(None, "look at a prompt (edt data show)"), ("{{ messages[0]['content'] }}", "try model.chat_template=true")],
)
def test_empty_outputs_are_warned_of_with_cause_and_remedy(local, ends_at_once, caplog, template, remedy):
    if template is not None:
        (ends_at_once / "chat_template.jinja").write_text(template)
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        assert main(["run", *local, f"model.path={ends_at_once}", "strategy=fixed", "strategy.t0=[0,1]"]) == 0
    (line,) = [message for message in caplog.messages if "empty" in message and "outputs of" in message]
    assert "wmt19, test: 4 of 4 outputs of fixed(t0=0) are empty: the model ended them at the first token; " in line
    assert remedy in line
    assert line.endswith("(1 more setting above 10 %).")


def test_cut_outputs_have_a_column_a_length_and_a_warning(local, caplog):
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        assert main(["run", *local, "strategy=fixed", "strategy.t0=0"]) == 0
    (run,) = runs_of(local)
    samples = read_samples(run.folder)
    # By hand, from the recorded ends.
    cut = 100 * (samples["finish_reason"] == "length").mean()
    tokens = samples["token_ids"].map(len).mean()
    assert cut >= 25
    scores = read_scores(run.folder).set_index("metric")["value"]
    assert (scores["cut_share"], scores["tokens"]) == (pytest.approx(cut), pytest.approx(tokens))

    (line,) = [message for message in caplog.messages if "ended by length" in message]
    count = (samples["finish_reason"] == "length").sum()
    assert f"wmt19, test: {count} of 4 outputs of fixed(t0=0) ended by length (max_new_tokens 4): raise" in line

    # The frame of the Python interface gives the same values.
    own = score(samples, quality="rouge_l", resamples=10).set_index("metric")["value"]
    assert (own["cut_share"], own["tokens"]) == (pytest.approx(cut), pytest.approx(tokens))


def test_few_empty_or_cut_outputs_are_no_reason():
    rows = [
        ScoreRow(
            task="t", split="test", model_name="m", strategy_id="fixed(t0=1)", family="fixed", params={}, value=value,
            granularity="token", metric=metric, lo=None, hi=None, confidence=0.95, n_examples=10, n_samples=2,
            signature="", generation_id="g",
        )
        for metric, value in (("empty_share", 5.0), ("cut_share", 20.0), ("rouge_l", 90.0))
    ]  # fmt: skip
    assert output_warnings(rows, []) == []
