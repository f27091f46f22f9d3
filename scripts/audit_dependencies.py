"""Look up the pinned packages of requirements.lock in the advisories of the Python package index, with pip-audit.

    python scripts/audit_dependencies.py [--strict]

Exit status: 0 without a known vulnerability; 1 with one, which is printed with the version that fixes it; where the
advisories cannot be reached, 0 after saying so, and 3 with --strict.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements.lock"
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern edt, by id, each with the reason."""
TIMEOUT_S = 600


def audit(lock: Path) -> Any:
    """Return the report of pip-audit on a lock file, or what it said where it gave none."""
    # Without pip: the versions are pinned, and nothing has to be installed to know them.
    words = ["--requirement", str(lock), "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {TIMEOUT_S} seconds"
    # Its exit status is 1 both for a vulnerability and for a network that fails.
    try:
        return json.loads(done.stdout)
    except ValueError:
        return (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]


def main() -> int:
    """Print what is known of the pinned packages; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="exit with 3 where the advisories cannot be reached")
    strict = parser.parse_args().strict

    report = audit(LOCK)
    # A mirror without advisories answers, but of no package.
    if not isinstance(report, str) and all("skip_reason" in entry for entry in report["dependencies"]):
        report = f"the index knows no advisories of any of the {len(report['dependencies'])} packages"
    if isinstance(report, str):
        print(f"dependencies NOT audited: {report}")
        return 3 if strict else 0
    skipped = [entry["name"] for entry in report["dependencies"] if "skip_reason" in entry]
    found = [(entry, one) for entry in report["dependencies"] for one in entry.get("vulns", [])]
    open_ones = [(entry, one) for entry, one in found if not {one["id"], *one["aliases"]} & set(ACCEPTED)]
    for entry, one in open_ones:
        fixed = ", ".join(one["fix_versions"]) or "none yet"
        print(f"{entry['name']} {entry['version']}: {one['id']} ({', '.join(one['aliases'])}); fixed in: {fixed}")
    for identifier, why in ACCEPTED.items():
        print(f"accepted: {identifier}: {why}")
    n_audited = len(report["dependencies"]) - len(skipped)
    print(f"dependencies audited: {n_audited}, known vulnerabilities: {len(open_ones)}")
    if skipped:
        print(f"not on the index, and so not audited: {', '.join(skipped)}")
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main())
