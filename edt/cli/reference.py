"""Every configuration key and every command, for the generated pages of the reference."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from edt.cli.build import TARGET, describe_type, import_class
from edt.cli.command_names import COMMANDS, EXAMPLES, file_name
from edt.cli.comments import commented_keys
from edt.cli.composition import config_folder
from edt.cli.help import command_help
from edt.cli.listing import options
from edt.cli.schema import OPTIONS, SCHEMAS, node

OF_REQUEST = {
    "split": "Which examples to decode: train, dev, test, all, or a list of them.",
    "quality": "Name of the quality metric, a built-in one or one of metrics.extra; null: each task's own.",
}
"""Keys of a task's configuration that are no fields of its class."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of one option of a configuration group.

    group: empty for the keys of a command; the option is then the command's name. type: in words, empty where unknown.
    default: as YAML writes it, on one line.
    """

    group: str
    option: str
    key: str
    type: str
    default: str
    description: str


@dataclass(frozen=True, kw_only=True)
class CommandHelp:
    """One command with its purpose, its examples, and what --help prints."""

    name: str
    purpose: str
    examples: tuple[str, ...]
    help: str


def commands() -> list[CommandHelp]:
    """Return every command, in the order of `edt`'s overview."""
    return [
        CommandHelp(name=name, purpose=purpose, examples=tuple(EXAMPLES[name]), help=command_help(name))
        for name, purpose in COMMANDS.items()
    ]


def groups() -> dict[str, Mapping[str, str]]:
    """Return the configuration groups with their options, each with what it is."""
    # A group may have options in files, in classes alone, or in both.
    names = {path.name for path in config_folder().iterdir() if path.is_dir()} | {group for group, _ in OPTIONS}
    return {name: options(name) for name in sorted(names)}


def keys() -> Iterator[Key]:
    """Yield the keys of the commands, then those of each group's options, in the order in which they are declared."""
    for command in COMMANDS:
        path = config_folder() / f"{file_name(command)}.yaml"
        # A command without a file in configs, as list, takes words alone.
        if path.is_file():
            yield from _keys_of_file(path, group="")
    for group, group_options in groups().items():
        for option in group_options:
            path = config_folder() / group / f"{option}.yaml"
            if path.is_file():
                yield from _keys_of_file(path, group=group)
            else:
                yield from _keys_of_class(OPTIONS[group, option], group, option)


def _keys_of_file(path: Path, group: str) -> Iterator[Key]:
    # Read as YAML and not composed: the reference lists a file's own keys, not those of what it includes.
    content = _with_schema(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    comments = commented_keys(path)
    prefix = f"{group}." if group else ""
    # a file with `@package _global_` sets keys of other groups, under their own names
    if "@package _global_" in path.read_text(encoding="utf-8"):
        prefix = ""
    for key, value in _leaves({name: value for name, value in content.items() if name != "defaults"}):
        cls = _class_around(content, key)
        name = key.rpartition(".")[2]
        # A comment in the file comes first: it may say what is special about this option.
        documented = field_docs(cls).get(name, "") if cls is not None else ""
        yield Key(
            group=group,
            option=path.stem,
            key=prefix + key,
            type=_type(cls, name),
            default=_yaml(value),
            description=comments.get(key, "") or documented or OF_REQUEST.get(key, ""),
        )


def _with_schema(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's content over that of the class which its defaults list names, as Hydra composes them."""
    merged: dict[str, Any] = {}
    # Only schemas: another file in the list is an option that has its own entry in the reference.
    for entry in content.get("defaults", ()):
        if isinstance(entry, str) and entry.startswith("/schema/"):
            path = entry.removeprefix("/schema/").partition("@")[0]
            merged |= node(SCHEMAS[path])
    return _merged(merged, content)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    # In the order of the class, so that a file that sets one value does not move its key to the front.
    both = dict(below)
    for name, value in above.items():
        inner = both.get(name)
        both[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return both


def _keys_of_class(cls: type, group: str, option: str) -> Iterator[Key]:
    content = node(cls)
    for key, value in _leaves(content):
        owner = _class_around(content, key)
        name = key.rpartition(".")[2]
        yield Key(
            group=group,
            option=option,
            key=f"{group}.{key}",
            type=_type(owner, name),
            default=_yaml(value),
            description=field_docs(owner).get(name, "") if owner is not None else "",
        )


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys that hold a value, without `_target_`."""
    # An empty mapping is a value: it is what the user fills.
    for name, value in content.items():
        if name == TARGET:
            continue
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _class_around(content: Mapping[str, Any], key: str) -> type | None:
    """Return the class whose argument a key is: that of the node that holds it, None for a plain mapping."""
    inner: Any = content
    # Step by step to the node that holds the key: its class declares the type.
    for name in key.split(".")[:-1]:
        inner = inner[name]
    return import_class(inner[TARGET], key) if TARGET in inner else None


def _type(cls: type | None, name: str) -> str:
    hints = get_type_hints(cls) if cls is not None else {}
    return describe_type(hints[name]) if name in hints else ""


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def field_docs(cls: type) -> dict[str, str]:
    """Return what documents each field of a dataclass: the string below the field, or else the class docstring.

    The class docstring documents fields as `name: text.`, one after the other, as in "samples: outputs per example.
    seed: of the noise." Fields of base classes count.
    """
    if not is_dataclass(cls):
        return {}
    names = [field.name for field in fields(cls)]
    documented: dict[str, str] = {}
    # From the farthest base, so that a class's own words about a field replace those of its bases.
    for base in reversed(cls.__mro__[:-1]):
        documented |= _from_docstring(inspect.cleandoc(base.__doc__ or ""), names) | _below_fields(base)
    return documented


def _below_fields(cls: type) -> dict[str, str]:
    # A string below a field is no attribute of the class, so it is read from the source.
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts = {}
    for field, below in itertools.pairwise(body):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = " ".join(str(below.value.value).split())  # type: ignore[attr-defined]
    return texts


def _from_docstring(docstring: str, names: list[str]) -> dict[str, str]:
    words = " ".join(docstring.split())
    # Each text ends where the next field begins, in the order of the docstring and not of the class.
    starts = sorted((at, name) for name in names if (at := _position(words, name)) is not None)
    texts = {}
    ends = [at for at, _ in starts[1:]] + [len(words)]
    for (at, name), end in zip(starts, ends, strict=False):  # no field is documented: no start, and one end
        texts[name] = words[at + len(name) + 1 : end].strip().rstrip(".")
    return texts


def _position(words: str, name: str) -> int | None:
    """Return where the docstring begins to document a field: `name:` at the start of a sentence."""
    if words.startswith(f"{name}:"):
        return 0
    at = words.find(f". {name}:")
    return None if at < 0 else at + 2
