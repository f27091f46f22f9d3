"""Keys, tokens and passwords stay out of manifests, logs, errors, pages, traces and exports."""

import json
import logging

import pytest

from edt.cli import main
from edt.logs import log_to_stderr
from edt.redact import Redactor, json_without_secrets, without_secrets
from tests.support.command_line import refused

SECRET = "s3cr3t-Value"
KEYS = {"HF_TOKEN": f"{SECRET}1", "WANDB_API_KEY": f"{SECRET}2", "DB_PASSWORD": f"{SECRET}3", "MY_SECRET": f"{SECRET}4"}

SPELLED = [
    f"https://user:{SECRET}@host/x",
    f"https://{SECRET}@host/x",
    f"https://host/x?token={SECRET}",
    f"https://host/x?a=1&access_token={SECRET}&b=2",
    f"https://host/x?sig={SECRET}&token={SECRET}",
    f"s3://bucket/x?X-Amz-Signature={SECRET}&X-Amz-Credential={SECRET}",
    f"https://host/x#access_token={SECRET}",
    f"https://host/x?a=1#state=2&id_token={SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"curl -H 'authorization: bearer {SECRET}' -H \"Authorization: Basic {SECRET}\"",
    f'{{"Authorization": "Token {SECRET}"}}',
    f"+header=Bearer {SECRET}",
    "hf_abcdefghijklmnopqrst",
    "path/ghp_abcdefghijklmnopqrstuvwxyz/x",
    "sk-abcdefghijklmnopqrstuvwx",
    "AKIAABCDEFGHIJKLMNOP",
]
IN_COMMANDS = [
    f"host.org/x?token={SECRET}",
    f"user:{SECRET}@host.org/x",
    f"edt run tracking.password={SECRET}",
    f"host.org/x#token={SECRET}",
    "edt run my.password=abcdefgh1 api_key=abcdefgh2 x.key=abcdefgh3",
    f"edt run '+my.api_key={SECRET}' b=1",
    f'edt run ++x.secret="{SECRET}"',
    f"edt run a={{token={SECRET},b=1}}",
    f"edt run --token {SECRET} task=wmt19",
    f"hf download x --hub-token '{SECRET} and more'",
    f'git push --http.password "{SECRET} x"',
    f"['edt', 'run', '--api-key', '{SECRET}']",
    f"curl --access_key\t{SECRET}",
    f"--TOKEN {SECRET} --token {SECRET}",
]
HARMLESS = [
    "edt run sampling.max_new_tokens=16 families.kld_token._target_=edt.strategies.KLD model.path=a/b@main",
    "an override has the form key=value",
    "https://host.org/x?page=2&size=3",
    "mail me@example.org, see a.py:12 and 10:30",
    "strategy.key=3 x.key=0.25, y.key=-1",
    "the bearer understands; a Bearer instrument; basic probabilities, Authorization: required",
    "https://host.org/x#section-token and report.html#results",
    "monkey=3 sampling.seed=1",
    "edt run --max-new-tokens 16 --token-file secret.txt --keys 3 --token --passwords x",
    "x --- token of a text, a token --and another",
    "2024-07-26T10:00:00+00:00",
    "const key = data.key; x ? key=1 : 2",
]


@pytest.mark.parametrize("text", [*SPELLED, *IN_COMMANDS])
def test_what_is_spelled_like_a_secret_is_hidden(text):
    shown = without_secrets(text, {})
    assert "***" in shown
    assert not any(part in shown for part in (SECRET, "abcdefgh", "ABCDEFGH"))


@pytest.mark.parametrize("text", SPELLED)
def test_what_is_exported_passes_the_same(text):
    shown = Redactor.from_environment({}).text(text)
    assert not any(part in shown for part in (SECRET, "abcdefgh", "ABCDEFGH"))


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay(text):
    assert Redactor(homes=(), secrets=()).text(text) == text
    if "const" not in text:
        assert without_secrets(text, {}) == text


def test_values_of_secret_variables_are_hidden_wherever_they_stand():
    assert without_secrets(" ".join(KEYS.values()), KEYS) == "*** *** *** ***"
    assert without_secrets("short", {"A_TOKEN": "short"}) == "short"
    others = {
        "GITHUB_PAT": f"{SECRET}1",
        "DB_PASS": f"{SECRET}2",
        "MY_CREDENTIALS": f"{SECRET}3",
        "A_CREDENTIAL": f"{SECRET}4",
    }
    assert without_secrets(" ".join(others.values()), others) == "*** *** *** ***"
    assert without_secrets(
        "/usr/local/bin", {"PAT": "/usr/local", "COMPASS": "/usr/local", "BYPASS": "/usr/local"}
    ) == ("/usr/local/bin")


def test_the_value_of_a_key_that_is_named_like_a_secret_is_hidden():
    config = {"a": {"password": SECRET, "api_key": SECRET, "hf_token": SECRET}, "max_new_tokens": 16, "secret": None}
    hidden = {"password": "***", "api_key": "***", "hf_token": "***"}
    assert json_without_secrets(config, {}) == {"a": hidden, "max_new_tokens": 16, "secret": None}
    assert json_without_secrets({"kld_token": {"axes": [1, 2.5, True]}}, {}) == {"kld_token": {"axes": [1, 2.5, True]}}


def test_logs_and_errors_hide_secrets(capsys, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    log_to_stderr()
    logging.getLogger("edt.x").warning("looking at %s with %s", SPELLED[0], KEYS["HF_TOKEN"])
    assert SECRET not in capsys.readouterr().err
    for words in (
        ["run", f"model=hf model.path=https://user:{SECRET}@host/x"],
        ["run", f"nope.password={SECRET}"],
        ["run", "task=jsonl", f"task.path=https://host/x.jsonl?token={SECRET}"],
        ["report", f"runs={KEYS['WANDB_API_KEY']}"],
    ):
        assert SECRET not in refused(capsys, *words)


def test_no_file_of_a_run_its_report_or_its_trace_holds_a_secret(tmp_path, monkeypatch, capsys):
    """A token in a path, in an override and through ${oc.env:…}; every file is read as bytes."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    data = tmp_path / f"user:{SECRET}@host.org" / "data.jsonl"
    data.parent.mkdir()
    data.write_text("".join(f'{{"id": "{n}", "source": "a {n}", "reference": "b"}}\n' for n in range(4)))
    words = ["task=jsonl", f"task.path={data}", "task.name=mine", "task.split=all", "sampling.samples=2"]
    words += ["sampling.max_new_tokens=2", "sampling.trace=true", "strategy=fixed", f"+note.password={SECRET}"]
    words += ["+note.env=${oc.env:HF_TOKEN}", f"+note.url='https://host/x?token={SECRET}'"]
    runs = tmp_path / "out"
    assert main(["run", *words, f"paths.runs={runs}"]) == 0
    assert main(["trace", *words, "example=1", f"paths.traces={runs}/traces"]) == 0
    assert main(["export", str(runs), "--to", "jsonl"]) == 0
    assert main(["run", *words, "--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    (manifest,) = runs.glob("*/manifest.json")
    assert json.loads(manifest.read_text())["config"]["note"]["password"] == "***"
    files = [path for path in runs.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_run_whose_words_hold_a_secret_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEYS["HF_TOKEN"])
    words = ["task=mini_xlsum", "task.limit=1", "sampling.samples=1", "sampling.max_new_tokens=2", "strategy=fixed"]
    for _ in range(2):
        assert main(["generate", *words, "+note.token=${oc.env:HF_TOKEN}", f"paths.runs={tmp_path}"]) == 0
    assert len(list(tmp_path.glob("*/manifest.json"))) == 1


def test_the_working_folder_of_a_shell_is_no_secret():
    # Shells export it: every path below would be hidden, and no remedy could be followed.
    environment = {"PWD": "/home/ann/study", "OLDPWD": "/home/ann/data", "DB_PWD": "correct horse"}
    text = "paths.runs=/home/ann/study/runs task.path=/home/ann/data/x.jsonl, correct horse"
    assert without_secrets(text, environment) == text.replace("correct horse", "***")
