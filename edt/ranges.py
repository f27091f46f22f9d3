"""Check whole numbers of the configuration, with one sentence for all of them."""

from __future__ import annotations

from edt.errors import ConfigError, shown_value

__all__ = ["check_whole"]


def check_whole(key: str, value: object, what: str, *, least: int = 1, most: int = 1_000_000) -> None:
    """Raise ConfigError unless a value is a whole number in a range. what: its meaning, to follow "it is".

    most: far more than anybody uses, and little enough that a slip of some zeros neither fills the memory nor takes
        days.
    """
    # bool is an int in Python, so `samples=true` would silently be 1.
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"{key} is {shown_value(value)}; it is {what}, a whole number from {least:,} to {most:,}.")
