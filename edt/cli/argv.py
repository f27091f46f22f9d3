"""Rewrite a command's words before Hydra reads them: paths and texts are quoted, ranges replaced, options translated.

Hydra's grammar gives a meaning to commas, braces, brackets, quotes, `=`, `#` and more. A path or a text is taken as it
was typed instead. What keeps a meaning in a path:

- null and the empty value, and a value in quotes as a whole, as Hydra reads it;
- `runs=[a,b]`, a list;
- commas, choice(…) and glob(…) in a --multirun, which list the points of the sweep;
- `${oc.env:NAME}`, an environment variable. Any other `$` is a character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edt.errors import ConfigError
from edt.paths import is_there, typed_path

TEXT_KEYS = {
    "trace": ("prompt", "unconditional_prompt", "example"),
    "data": ("example",),
    "compare": ("a", "b"),
    "study power": ("a", "b"),
    "run": ("baseline",),
    "score": ("baseline",),
    "report": ("baseline",),
}
"""Per command, the keys whose value is text as it stands: a prompt holds commas and braces, a setting parentheses."""

_TASK_TEXT = re.compile(r"\+{0,2}task(\.members\.\w+)?\.(template\.\w+|instruction|shot_separator)")
"""Keys of every command whose value is text: a prompt's fields are in braces."""

_PATH = re.compile(
    r"\+{0,2}(task(\.members\.\w+)?\.path|model\.(path|adapter)|strategy(\.\w+)?\.model|paths\.\w+|tracking\.dir|out|adapter|base)"
)
_PATHS = re.compile(r"\+{0,2}runs")
"""Keys whose value is a path, and the one that may have a list of them."""

_GROUP_LIST = re.compile(r"(?P<group>task|strategy)=\[(?P<names>[^\[\]]*)\]")
_LIST_PACKAGES = {"task": "task.members", "strategy": "strategy"}
"""Where the members of a list are in the configuration, as in the options that are lists themselves (task=mini)."""
_LIST_EXAMPLES = {"task": "[xlsum,quac]", "strategy": "[fixed,edt]"}

_FUNCTION = re.compile(r"(choice|glob)\(.*\)", re.DOTALL)
"""Hydra's functions that list the points of a sweep."""
_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]*\}")

REPLACEABLE = {
    "tune": re.compile(r"(\+{0,2})(space\.\w+)=(?!\{)"),
    "study": re.compile(r"(\+{0,2})(families\.\w+\.(?!_target_)\w+)=(?!\{)"),
}
"""Per command, the overrides of values that may be a mapping as well as something else. One by a mapping is merged."""

QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
"""A value that is quoted for Hydra as a whole."""


def rewrite(command: str, words: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Return the overrides of a command as Hydra should read them. multirun: commas list the points of a sweep."""
    words = _group_lists(words)
    # Only where any metric can be named: `edt study` lists its margins, so a typo there must stay an error.
    if command in _NAME_METRICS:
        words = [_with_new_key(word) for word in words]
    return _empty_ranges(command, quote_paths(quote_texts(command, words, multirun=multirun), multirun=multirun))


_NAME_METRICS = ("compare", "study power")
_BY_METRIC = re.compile(r"(margins|sd|sd_between)\.\w+=")
"""Keys that hold a number by the name of a metric, of which a configuration lists none or some."""


def _with_new_key(word: str) -> str:
    """Return an override that may name a metric which the configuration does not list as one that adds it."""
    return f"++{word}" if _BY_METRIC.match(word) else word


def _group_lists(words: Sequence[str]) -> list[str]:
    """Return the words with `task=[a,b]` and `strategy=[a,b]` as Hydra needs them for several members side by side.

    Hydra itself would merge the listed files into one, in which the last one's values win without a word.
    """
    rewritten = []
    for word in words:
        match = _GROUP_LIST.fullmatch(word)
        if match is None:
            rewritten.append(word)
            continue
        group = match["group"]
        # A name twice would be one member, and the user would look for the second one.
        names = [name.strip() for name in match["names"].split(",")]
        if len(set(names)) < len(names) or "" in names:
            raise ConfigError(f"'{word}' must list different names, as in {group}={_LIST_EXAMPLES[group]}.")
        package = _LIST_PACKAGES[group]
        rewritten.append(f"{group}=several")
        rewritten += [f"+{group}@{package}.{name.rsplit('/', 1)[-1]}={name}" for name in names]
    return rewritten


def quote_paths(words: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Return the words with the values of path keys quoted for Hydra."""
    return [_quoted_path(word, multirun=multirun) for word in words]


def _quoted_path(word: str, *, multirun: bool) -> str:
    """Return an override with its path quoted, or each of its paths; other words as they are."""
    # At the first `=`: a path may hold others.
    key, equals, value = word.partition("=")
    is_list = _PATHS.fullmatch(key) is not None
    if not equals or not (is_list or _PATH.fullmatch(key)) or _keeps_meaning(value):
        return word

    # A folder may have brackets in its name.
    if is_list and value.startswith("[") and value.endswith("]") and not is_there(value):
        return f"{key}=[{','.join(_quoted_paths(value[1:-1]))}]"
    if multirun and ("," in value or _FUNCTION.fullmatch(value)):
        return word if _FUNCTION.fullmatch(value) else f"{key}={','.join(_quoted_paths(value))}"
    return f"{key}={quoted(value, environment=True)}"


def _keeps_meaning(value: str) -> bool:
    """Return whether Hydra is to read a value as it is: none, or quoted as a whole."""
    return value in ("", "null") or QUOTED.fullmatch(value) is not None


def _quoted_paths(values: str) -> list[str]:
    """Return the paths between commas, each quoted; a path with a comma is in quotes already."""
    items = (item.strip() for item in re.findall(rf"\s*(?:{QUOTED.pattern})\s*|[^,]+", values, re.DOTALL))
    return [item if _keeps_meaning(item) else quoted(item, environment=True) for item in items]


def positional_as_runs(words: Sequence[str]) -> list[str]:
    """Return the words with folders (words without `=`) joined to `runs=[…]`, as in `edt export results/runs`."""
    # A folder may be called `part=1`; what exists is a folder.
    folders = [word for word in words if "=" not in word or is_there(word)]
    overrides = [word for word in words if word not in folders]
    if not folders:
        return overrides
    return [f"runs=[{','.join(quoted(folder) for folder in folders)}]", *overrides]


def positional_as(key: str, words: Sequence[str]) -> list[str]:
    """Return the words with the one word without `=` as the key's value, as in `edt fetch smollm2_135m`."""
    # `~strategy.kld` takes a key away, and is an override too.
    values = [word for word in words if "=" not in word and not word.startswith("~")]
    if len(values) > 1:
        raise ConfigError(f"give one {key}, not {len(values)} ({', '.join(values)}); the command can be repeated.")
    return [*(f"{key}={value}" for value in values), *(word for word in words if word not in values)]


def positional_as_pair(words: Sequence[str]) -> list[str]:
    """Return the words with the first two that are no overrides as the keys a and b, as in `edt compare A B`."""
    # A side may look like an override: a folder called a=1, or a setting with its values.
    sides = [word for word in words if _is_side(word)]
    if len(sides) > 2:
        raise ConfigError(f"give two things to compare, not {len(sides)} ({', '.join(sides)}).")
    # Quoted by `quote_texts`, as `a=…` is.
    named = [f"{key}={side}" for key, side in zip("ab", sides, strict=False)]
    return [*named, *(word for word in words if word not in sides)]


def _is_side(word: str) -> bool:
    """Return whether a word is a path, or `RUN:fixed(t0=0.7)`, whose setting holds `=` as an override does."""
    if word.startswith(("~", "+")) and "=" not in word:
        return is_there(str(typed_path(word)))
    # A key has neither of these signs; a setting's name begins after a colon and has its values in parentheses.
    before = word.split("=", 1)[0]
    return "=" not in word or is_there(word) or ":" in before or "(" in before


def _empty_ranges(command: str, words: Sequence[str]) -> list[str]:
    """Return the words with `++key=null` before each override that may replace a mapping.

    OmegaConf merges, and refuses to merge a list or a constant into a mapping; over null, anything can be set. Hydra
    keeps one override per key as it is spelled, so the two are never spelled alike.
    """
    # Of the other commands no value is a mapping at one time and a list at another.
    pattern = REPLACEABLE.get(command)
    rewritten = []
    for word in words:
        override = pattern.match(word) if pattern else None
        if override:
            added, key = override.groups()
            rewritten.append(f"++{key}=null")
            word = word[1:] if added == "++" else word
        rewritten.append(word)
    return rewritten


def quote_texts(command: str, words: Sequence[str], *, multirun: bool = False) -> list[str]:
    """Return the words with the values of text keys quoted for Hydra; null and quoted values stay as they are."""
    return [_quoted_override(word) if _is_text(command, word, multirun=multirun) else word for word in words]


def _is_text(command: str, word: str, *, multirun: bool) -> bool:
    """Return whether a word sets a text key to text that is not quoted."""
    key, equals, value = word.partition("=")
    of_command, of_task = key in TEXT_KEYS.get(command, ()), _TASK_TEXT.fullmatch(key) is not None
    if not equals or not (of_command or of_task) or _keeps_meaning(value):
        return False
    # Quoted texts with commas between them are a sweep.
    return not (of_task and multirun and re.fullmatch(rf"(?:(?:{QUOTED.pattern}),?)+", value, re.DOTALL))


def _quoted_override(word: str) -> str:
    """Return `key=value` with the value quoted."""
    key, _, value = word.partition("=")
    return f"{key}={quoted(value)}"


def quoted(value: str, *, environment: bool = False) -> str:
    """Return a value in double quotes, so that Hydra and OmegaConf read it as the same text.

    environment: leave `${oc.env:NAME}` to OmegaConf, which puts in the variable's value.
    """
    if not environment or not _ENVIRONMENT.search(value):
        return f'"{_escape_quotes(_escape_interpolations(value))}"'
    # Only what is between the variables is text; escaping the variables would make them text too.
    texts, variables = _ENVIRONMENT.split(value), [*_ENVIRONMENT.findall(value), ""]
    pieces = zip(map(_escape_interpolations, texts), variables, strict=True)
    return f'"{_escape_quotes("".join(text + variable for text, variable in pieces))}"'


def _escape_interpolations(value: str) -> str:
    """Return `${` as text, for OmegaConf: the backslashes before it doubled, and one more."""
    # Of "$" alone OmegaConf makes nothing; only "${" begins an interpolation.
    head, *rest = value.split("${")
    for part in rest:
        slashes = len(head) - len(head.rstrip("\\"))
        head += "\\" * (slashes + 1) + "${" + part
    return head


def _escape_quotes(value: str) -> str:
    """Escape quotes for Hydra, and double backslashes before a quote or at the end; others stand as they are."""
    *parts, last = value.split('"')
    doubled = [part + "\\" * (len(part) - len(part.rstrip("\\"))) for part in (*parts, last)]
    return '\\"'.join(doubled)
