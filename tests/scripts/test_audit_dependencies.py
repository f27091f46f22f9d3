"""The audit of the pinned packages: it reports what it finds, and says so where it could look nothing up."""

import json
import subprocess
import sys

import pytest

from scripts import audit_dependencies

FOUND = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}


def entry(name, *vulnerabilities):
    return {"name": name, "version": "1.0", "vulns": list(vulnerabilities)}


SKIPPED = {"name": "c", "skip_reason": "not on the index"}


@pytest.fixture
def audited(monkeypatch, capsys):
    """Run the script on what pip-audit prints; give the exit status and the output."""

    def run(stdout, stderr="", *words):
        done = subprocess.CompletedProcess([], 1, stdout, stderr)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
        monkeypatch.setattr(sys, "argv", ["audit_dependencies.py", *words])
        return audit_dependencies.main(), capsys.readouterr().out

    return run


def report(*entries):
    return json.dumps({"dependencies": entries, "fixes": []})


def test_nothing_known_is_a_success(audited):
    status, shown = audited(report(entry("a"), SKIPPED))
    assert status == 0
    assert "audited: 1, known vulnerabilities: 0" in shown
    assert "not audited: c" in shown


def test_a_vulnerability_fails_with_what_mends_it(audited):
    status, shown = audited(report(entry("a", FOUND), entry("b")))
    assert status == 1
    assert "a 1.0: PYSEC-1 (CVE-1); fixed in: 2.0" in shown


def test_an_accepted_one_does_not(audited, monkeypatch):
    monkeypatch.setattr(audit_dependencies, "ACCEPTED", {"CVE-1": "edt does not call it"})
    status, shown = audited(report(entry("a", FOUND)))
    assert status == 0
    assert "accepted: CVE-1: edt does not call it" in shown


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [("", "Traceback\nConnectionError: no network", "ConnectionError"), (report(SKIPPED), "", "any of the 1 packages")],
)
def test_where_nothing_can_be_looked_up_it_says_so(stdout, stderr, reason, audited):
    status, shown = audited(stdout, stderr)
    assert status == 0
    assert "NOT audited" in shown
    assert reason in shown
    assert audited(stdout, stderr, "--strict")[0] == 3
