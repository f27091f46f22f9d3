"""Check the columns of a row; an error names the place of the row, the column, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from edt.errors import DataError, suggestion

__all__ = ["Columns", "check_columns", "check_equal_lengths", "check_texts"]

Columns = Mapping[str, type | tuple[type, ...]]
"""Column name -> the type or types of its values."""

_JSON_NAMES = {
    str: "text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
    bool: "true or false",
}


def check_columns(row: Any, columns: Columns, where: str) -> Mapping[str, Any]:
    """Return the row if it is an object with all the columns; raise DataError otherwise.

    where: file and line of the row, for the message.
    """
    if not isinstance(row, Mapping):
        wanted = f"with the columns {_list(columns)}" if columns else 'of columns, {"column": value}'
        kind = _json_name(type(row))
        raise DataError(f"{where} is {kind}, but must be an object {wanted}. Correct the row or remove it.")
    for name, types in columns.items():
        if name not in row:
            raise DataError(
                f"{where} has no column '{name}'{suggestion(name, map(str, row))}; it has {_list(row)}, "
                f"and needs {_list(columns)}. Rename the column or check that this is the right data set."
            )

        allowed = types if isinstance(types, tuple) else (types,)
        # In Python True is an int; in a data set it is not a number.
        if not isinstance(row[name], allowed) or isinstance(row[name], bool):
            raise DataError(
                f"{where}: column '{name}' is {_value_name(row[name])}, but must be "
                f"{' or '.join(_json_name(kind) for kind in allowed)}. Correct the row or remove it."
            )
    return row


def check_equal_lengths(lists: Mapping[str, Any], where: str) -> None:
    """Raise DataError unless the lists, which belong together item by item, are equally long."""
    lengths = {name: len(items) for name, items in lists.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise DataError(
            f"{where}: the lists must be equally long, but have the lengths {listed}. Correct or remove the row."
        )


def check_texts(items: Any, where: str) -> None:
    """Raise DataError unless all items of a list are texts."""
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise DataError(
                f"{where}: item {number} is {_json_name(type(item))}, but must be text. Correct the row or remove it."
            )


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(map(str, names)) or "none"


def _value_name(value: Any) -> str:
    """Return what a value is, for a message."""
    # What pandas writes for a missing text is a number in every file format.
    if isinstance(value, float) and math.isnan(value):
        return "NaN, which stands for a missing value,"
    return _json_name(type(value))


def _json_name(kind: type) -> str:
    """Return what a reader of JSON calls a type."""
    # Parquet has types that JSON lacks, such as dates; they keep Python's name.
    return _JSON_NAMES.get(kind, kind.__name__)
