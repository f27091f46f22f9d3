"""The columns that a row must have; what is missing is named with its place and the nearest name that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edt.errors import DataError, suggestion

Columns = Mapping[str, type | tuple[type, ...]]
"""Column name -> the type or types of its values."""

_JSON_NAMES = {
    str: "text",
    int: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
    bool: "true or false",
}


def checked(row: Any, columns: Columns, where: str) -> Mapping[str, Any]:
    """The row itself, when it is an object with all the columns. `where`: file and line, for the error."""
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is {json_name(type(row))}, but must be an object with the columns {listed(columns)}.")
    for name, types in columns.items():
        if name not in row:
            raise DataError(
                f"{where} has no column '{name}'{suggestion(name, map(str, row))}; it has {listed(row)}, "
                f"and needs {listed(columns)}. Rename the column or check that this is the right data set."
            )
        allowed = types if isinstance(types, tuple) else (types,)
        if not isinstance(row[name], allowed) or isinstance(row[name], bool):
            raise DataError(
                f"{where}: column '{name}' is {json_name(type(row[name]))}, but must be "
                f"{' or '.join(json_name(kind) for kind in allowed)}. Correct the row or remove it."
            )
    return row


def equal_lengths(lists: Mapping[str, Any], where: str) -> None:
    """Lists that belong together item by item must be equally long."""
    lengths = {name: len(items) for name, items in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise DataError(f"{where}: the lists must be equally long, but have lengths {told}. Correct or remove the row.")


def texts(items: Any, where: str) -> None:
    """A list must hold texts and nothing else."""
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(
                f"{where}: item {number} is {json_name(type(item))}, but must be text. Correct the row or remove it."
            )


def listed(names: Mapping[str, Any]) -> str:
    """Names in a row for a message, or "none"."""
    return ", ".join(map(str, names)) or "none"


def json_name(kind: type) -> str:
    """What a reader of JSON calls a type."""
    return _JSON_NAMES.get(kind, kind.__name__)
