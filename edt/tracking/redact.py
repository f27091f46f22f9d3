"""Taking out of a text what must not leave the machine: the home path, keys, and credentials in addresses."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET_NAME = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE)
SHORTEST_SECRET = 8
"""Characters; a shorter value of such a variable is no secret worth the harm that replacing it would do to texts."""
CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
HIDDEN = "***"
TEXT_FILES = (".csv", ".html", ".json", ".md", ".svg", ".tex", ".txt")


@dataclass(frozen=True, kw_only=True)
class Redactor:
    """Replaces the home path by `~`, and by `***` the values of secret variables and the credentials of addresses."""

    homes: tuple[str, ...]
    secrets: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Redactor:
        """What this process must hide: its home, also as links lead to it, and variables such as WANDB_API_KEY."""
        home = Path.home()
        homes = {str(path) for path in (home, home.resolve()) if path != Path(path.anchor)}
        secrets = {v for k, v in environment.items() if SECRET_NAME.search(k) and len(v) >= SHORTEST_SECRET}
        return cls(homes=longest_first(homes), secrets=longest_first(secrets))

    def text(self, text: str) -> str:
        """The text without them."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        for home in self.homes:
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
        return CREDENTIALS.sub(f"{HIDDEN}@", text)

    def plain(self, value: Any) -> Any:
        """Plain JSON without them, keys too; a number that JSON cannot hold becomes its name."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.plain(inner) for name, inner in value.items()}
        if isinstance(value, Sequence):
            return [self.plain(inner) for inner in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    def file(self, path: Path) -> bytes:
        """A file's bytes; those of a text without what is hidden."""
        if path.suffix not in TEXT_FILES:
            return path.read_bytes()
        return self.text(path.read_text(encoding="utf-8")).encode()


def longest_first(texts: set[str]) -> tuple[str, ...]:
    """In an order in which none is replaced in part before it is replaced whole."""
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))
