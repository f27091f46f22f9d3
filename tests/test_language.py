"""The prose of the repository: words that are not used, docstrings that begin with a verb, and enough comments.

Run it for one folder with `pytest tests/test_language.py -k edt/metrics`.
"""

import ast
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BANNED = {
    r"\b(un)?told\b": "report, print, state",
    # "cannot tell" is the name of a verdict.
    r"(?<!cannot )\btell(s|ing)?\b": "report, print, state, distinguish",
    r"\bhang(s|ing)? (on|together)\b": "depend on",
    r"\bways? out\b": "remedy",
    r"\blies? (on|at|beyond|beside|there|with)\b": "is at, is in",
    r"\bbeside\b": "next to",
    r"\bgo(es)? on\b": "continue, extend",
    r"\bof its own\b": "own, separate",
    r"\basked for\b": "requested, set",
    r"\bthere is: ": "available:",
    r"\bspoken\b": "described",
    r"\bcome(s)? about\b": "is computed",
    r"\bnear miss\b": "suggestion",
    r"\bartefacts?\b": "experiment, artifact",
    r"\b\w*colour\w*": "color",
    r"\bbehaviour\b": "behavior",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\bwidenings?\b": "extension",
    r"\bhitherto|whereof|thereof|therein\b": "plain English",
    r"\bsuffice[sd]?\b": "is enough",
    r"\bbereft|devoid\b": "without",
    r"\bkin\b": "related",
}
"""Words by what stands for them (STYLE: a colleague reads this in a second language, and once)."""

TRAINED_TEXTS = ("edt/tasks/mini/events.py", "edt/tasks/mini/narratives.py")
"""Modules whose texts the embedded models were trained on: a word in them cannot change, only docstrings are read."""

OLD_NAMES = re.compile(r"strategy=telling|edt\.artefacts|\"artefacts\"")
"""Names of version 0.1 that the changelog, edt/cli/renamed.py and edt/study/manifest.py must spell."""

COMMENT_SHARE = 0.05
"""Least share of comment lines in the package, docstrings not counted."""


def python_texts(path):
    """Docstrings, comments and text literals of a module, with their line numbers."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
                yield token.start[0], token.string


def texts(path):
    if path.suffix == ".py":
        trained = path.relative_to(ROOT).as_posix() in TRAINED_TEXTS
        yield from (found for found in python_texts(path) if not trained or found[1].startswith(('"""', "#")))
    else:
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)


def prose_files():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in names:
        first = name.split("/")[0]
        if name.startswith(("edt/assets", "results/", "tests/")) or first in ("LICENSE", "requirements.lock"):
            continue
        if name.endswith((".py", ".md", ".yaml", ".j2", ".js", ".toml", ".cff")) and (ROOT / name).is_file():
            yield name


@pytest.mark.parametrize("name", list(prose_files()))
def test_the_words_are_plain(name):
    found = [
        f"{name}:{line}: '{match.group()}' ({better})"
        for line, text in texts(ROOT / name)
        for pattern, better in BANNED.items()
        for match in re.finditer(pattern, OLD_NAMES.sub("", text), re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


def test_comments_are_at_least_one_line_in_twenty():
    comments, lines = 0, 0
    for path in sorted((ROOT / "edt").rglob("*.py")):
        content = path.read_text(encoding="utf-8").splitlines()
        comments += sum(line.lstrip().startswith("#") for line in content)
        lines += len(content)
    assert comments / lines >= COMMENT_SHARE, f"{comments} comment lines of {lines}: {comments / lines:.1%}"


def annotations(tree):
    """The words in the annotations of a module's public functions, classes and values: what a caller gets or gives."""
    for node in tree.body:
        name = getattr(node, "name", None) or getattr(getattr(node, "target", None), "id", "_")
        if not name.startswith("_"):
            for inner in ast.walk(node):
                for part in ("annotation", "returns"):
                    if getattr(inner, part, None) is not None:
                        yield from re.findall(r"\w+", ast.unparse(getattr(inner, part)))


def test_private_helpers_are_underscored():
    """A module-level function or class that only its own module names begins with an underscore.

    A class that a public function returns or takes is public too.
    """
    names, words = {}, {}
    for path in sorted((ROOT / "edt").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        words[path] = set(re.findall(r"\w+", source))
        tree = ast.parse(source)
        given = set(annotations(tree))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_" and node.name not in given:
                names.setdefault(node.name, set()).add(path)
    elsewhere = {
        path: set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
        for folder in ("tests", "scripts", "configs", "docs", "experiments", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".md", ".j2")
    } | {ROOT / "README.md": set(re.findall(r"\w+", (ROOT / "README.md").read_text(encoding="utf-8")))}
    lonely = [
        f"{path.relative_to(ROOT)}: {name}"
        for name, paths in names.items()
        for path in paths
        if not any(name in found for other, found in (words | elsewhere).items() if other != path)
    ]
    assert not lonely, "\n".join(lonely)
