"""Inject faults into commands and files of `edt`, repeat the command or follow its message, and compare the ends.

    python -m scripts.soak                          some cases of every fault, in a minute or two
    python -m scripts.soak --long                   the form whose figures are in results/reliability
    python -m scripts.soak --faults kill --on tune,study --cases 100 --jobs 2
    python -m scripts.soak --faults flip,swap --cases 1000 --minutes 20

Every case has its own seed, from --seed and its number, so it repeats up to the moments of processes. Commands run in
forks of a process that has imported everything. Exit status 1 where something was lost, silently wrong or crashed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from scripts.soak.case import BAD, OUTCOMES, Case, Result, SkippedError
from scripts.soak.file_faults import FILE_FAULTS, FILE_TARGETS, file_fault
from scripts.soak.process_faults import PROCESS_FAULTS
from scripts.soak.scenarios import Library, one_thread

QUICK = {"generate": "runs", "score": "runs", "report": "runs", "tune": "tune", "train": "train"}
"""The commands that a short form disturbs, with their chains."""
ALL = {**QUICK, "study": "study", "score-workers": "score-workers", "study-workers": "study-workers"}
_LONG = {"kill": 240, "kill-worker": 12, "flip": 1000, "truncate": 60, "empty": 60, "remove": 60, "swap": 60}
"""Cases per fault of the long form; 24 of those that are not named."""
_WORKERS_ONLY = ("kill-worker",)
_NOT_TRAINING = ("clock", "moved", "linked", "concurrent")
"""Faults of the folders and clocks of commands: training writes into its checkout, and no two of it run at once."""


@dataclass(frozen=True)
class Planned:
    """One case to run: a fault, and the command or the chain of files that it meets."""

    number: int
    fault: str
    target: str


def main() -> None:
    """Read the options, run the cases, print the counts."""
    options = _options()
    one_thread()
    root = Path(tempfile.mkdtemp(prefix="soak-", dir=options.folder))
    try:
        bad = _soak(options, root)
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    raise SystemExit(1 if bad else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*PROCESS_FAULTS, *FILE_FAULTS]
    parser.add_argument("--faults", default=",".join(known), help=f"which, of: {', '.join(known)}")
    parser.add_argument(
        "--on", help=f"which commands or chains of files, of: {', '.join(dict.fromkeys([*ALL, *FILE_TARGETS]))}"
    )
    parser.add_argument(
        "--cases", type=int, help="cases per fault (default: 2; with --long, more where they are cheap)"
    )
    parser.add_argument("--long", action="store_true", help="all commands, workers included, and many cases")
    parser.add_argument("--minutes", type=float, help="begin no case after so many minutes")
    parser.add_argument(
        "--follow", type=float, default=0.1, help="share of reported file faults whose remedy is followed"
    )
    parser.add_argument("--jobs", type=int, default=1, help="cases at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the cases have their folders (default: the temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the cases")
    parser.add_argument("--json", type=Path, help="write the counts, and each bad case, to this file")
    options = parser.parse_args()
    options.faults = options.faults.split(",")
    options.on = None if options.on is None else options.on.split(",")
    allowed = {"--faults": (options.faults, known), "--on": (options.on or [], [*ALL, *FILE_TARGETS])}
    for name, (values, names) in allowed.items():
        if unknown := sorted(set(values) - set(names)):
            parser.error(f"{name} has {', '.join(unknown)}; it may have {', '.join(dict.fromkeys(names))}.")
    return options


def _plan(options: argparse.Namespace) -> list[Planned]:
    """Return the cases, faults in turn, so that a time limit leaves some of each."""
    names = list(ALL if options.long or options.on else QUICK)
    queues = []
    for fault in options.faults:
        cases = options.cases or (_LONG.get(fault, 24) if options.long else 2)
        targets = [name for name in _targets(fault, names, options) if options.on is None or name in options.on]
        # From a random one on: two cases per fault would otherwise meet the first two commands only.
        first = Random(f"{options.seed}:{fault}").randrange(len(targets)) if targets else 0
        queues.append([(fault, targets[(first + i) % len(targets)]) for i in range(cases if targets else 0)])
    # A case of a fault with many cases comes up as often as its share.
    order = sorted((i / len(queue), at, one) for at, queue in enumerate(queues) for i, one in enumerate(queue))
    return [Planned(number, *one) for number, (_, _, one) in enumerate(order)]


def _targets(fault: str, names: Sequence[str], options: argparse.Namespace) -> list[str]:
    if fault in FILE_FAULTS:
        # The more kinds of files, the more cases.
        chains = ["runs", "runs", "runs", "tune", "train"] if fault != "swap" else ["runs", "runs", "tune"]
        return [*chains, "study"] if options.long or options.on else chains
    if fault in _WORKERS_ONLY:
        return [name for name in names if name.endswith("-workers")]
    return [name for name in names if fault not in _NOT_TRAINING or name != "train"]


def _soak(options: argparse.Namespace, root: Path) -> bool:
    """Run the cases and print the counts; return whether one was bad."""
    plan = _plan(options)
    library = Library(root)
    for chain in dict.fromkeys(ALL.get(one.target, one.target) for one in plan):
        library.prepare(chain)
    # With it all is imported that a command's environment needs; the commit is the one that the forks run.
    from edt.generation.environment import environment

    made_by = environment(shlex.join(["python", "-m", "scripts.soak", *sys.argv[1:]]))
    print(f"{len(plan)} cases in {root}; undisturbed, seconds: {_seconds(library)}", flush=True)

    began, results, skipped = monotonic(), [], Counter[str]()
    for one, found in _run_all(options, library, plan, began):
        if isinstance(found, str):
            skipped[f"{one.fault}: {found}"] += 1
            continue
        results.append(found)
        if len(results) % 50 == 0:
            print(f"{len(results)} of {len(plan)} after {monotonic() - began:.0f} s", flush=True)
        if found.outcome in BAD:
            print(f"case {one.number}, {found.fault} on {found.target}: {found.outcome}. {found.detail}\n", flush=True)
    print(_table(results))
    for reason, count in skipped.items():
        print(f"{count} cases skipped, {reason}")
    if options.json is not None:
        content: dict[str, Any] = {
            "environment": made_by,
            "seed": options.seed,
            "planned": len(plan),
            "seconds": round(monotonic() - began),
        }
        content |= {"skipped": skipped, "counts": _counts(results)}
        content |= {"bad": [asdict(found) for found in results if found.outcome in BAD]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return any(found.outcome in BAD for found in results)


def _seconds(library: Library) -> str:
    return ", ".join(f"{name} {step.seconds:.1f}" for name, step in library.steps.items())


def _run_all(
    options: argparse.Namespace, library: Library, plan: Sequence[Planned], began: float
) -> Iterator[tuple[Planned, Result | str]]:
    """Run the cases in `jobs` forks; yield each with its result, or with the reason why it was skipped."""
    reader, writer = os.pipe()
    jobs = []
    for job in range(options.jobs):
        child = os.fork()
        if child == 0:
            os.close(reader)
            status = 1
            try:
                with os.fdopen(writer, "w") as pipe:
                    for one in plan[job :: options.jobs]:
                        if options.minutes is None or monotonic() - began < 60 * options.minutes:
                            _write(pipe.fileno(), one, _run_one(options, library, one))
                        else:
                            _write(pipe.fileno(), one, "the time was over")
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(BaseException):
                    sys.stderr.flush()
                os._exit(status)
        jobs.append(child)
    os.close(writer)
    with os.fdopen(reader) as lines:
        for line in lines:
            number, skipped, content = json.loads(line)
            yield plan[number], skipped or Result(**content)
    failed = [job for job in jobs if os.waitpid(job, 0)[1]]
    if failed:
        raise SystemExit(f"{len(failed)} of {options.jobs} jobs of the soak ended with an error of their own.")


def _write(descriptor: int, one: Planned, found: Result | str) -> None:
    """Write a line at once: what is shorter than a pipe's buffer is never mixed with another job's."""
    parts = (found, None) if isinstance(found, str) else (None, {**asdict(found), "detail": found.detail[:2500]})
    line = json.dumps([one.number, *parts])
    os.write(descriptor, f"{line}\n".encode())


def _run_one(options: argparse.Namespace, library: Library, one: Planned) -> Result | str:
    case = Case(
        library, library.folder / f"case-{one.number}", Random(f"{options.seed}:{one.fault}:{one.number}"), one.target
    )
    try:
        if one.fault in FILE_FAULTS:
            return file_fault(case, one.target, one.fault, options.follow)
        return PROCESS_FAULTS[one.fault](case)
    except SkippedError as reason:
        return str(reason)
    finally:
        if not options.keep:
            shutil.rmtree(case.folder, ignore_errors=True)


def _counts(results: Sequence[Result]) -> list[dict[str, int | str]]:
    """Return, per fault and what it met, how many were tried and came to what."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for found in results:
        counts = rows.setdefault((found.fault, found.target), Counter())
        counts["tried"] += found.tried
        counts[found.outcome] += found.tried
        counts["followed"] += found.tried if found.outcome == "reported" and found.followed else 0
    names = ("tried", *OUTCOMES, "followed")
    return [
        {"fault": fault, "on": on, **{name: counts[name] for name in names}}
        for (fault, on), counts in sorted(rows.items())
    ]


def _table(results: Sequence[Result]) -> str:
    """Return the counts as Markdown, with a sum per fault."""
    columns = ("tried", *OUTCOMES, "followed")
    lines = [f"| fault | on | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    counts = _counts(results)
    for fault in dict.fromkeys(row["fault"] for row in counts):
        own = [row for row in counts if row["fault"] == fault]
        total: dict[str, int | str] = {name: sum(int(row[name]) for row in own) for name in columns}
        rows = [*own, {"on": "**all**", **total}] if len(own) > 1 else own
        lines += [f"| {fault} | {row['on']} | {' | '.join(str(row[name]) for name in columns)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
