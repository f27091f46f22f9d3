"""Remove from texts what must not leave the machine: the home path, keys, and credentials in addresses."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECRET_NAME = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE)
_MIN_SECRET_LENGTH = 8
"""A shorter value of such a variable is hardly a secret, and replacing it would damage other texts."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
HIDDEN = "***"
_TEXT_FILES = (".csv", ".html", ".json", ".md", ".svg", ".tex", ".txt")


@dataclass(frozen=True, kw_only=True)
class Redactor:
    """Replaces the home path with `~`, and secret variables' values and credentials in addresses with `***`."""

    homes: tuple[str, ...]
    secrets: tuple[str, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Redactor:
        """Build it with the home folder and the values of variables such as WANDB_API_KEY."""
        # A home can be a link, and paths show either name of it.
        home = Path.home()
        homes = {str(path) for path in (home, home.resolve()) if path != Path(path.anchor)}
        secrets = {v for k, v in environment.items() if _SECRET_NAME.search(k) and len(v) >= _MIN_SECRET_LENGTH}
        return cls(homes=_longest_first(homes), secrets=_longest_first(secrets))

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        # Secrets first: one that contains the home path would not be found after the path is replaced.
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        for home in self.homes:
            # Not /home/anna, where the home is /home/ann.
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
        # user:password@ in an address, such as a proxy's or a private registry's.
        return _CREDENTIALS.sub(f"{HIDDEN}@", text)

    def json(self, value: Any) -> Any:
        """Return JSON without secrets in texts and keys; infinity and NaN, which JSON does not have, become texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.json(inner) for name, inner in value.items()}
        if isinstance(value, Sequence):
            return [self.json(inner) for inner in value]
        # An infinite parameter, such as sigma=inf, is a valid setting.
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    def file(self, path: Path) -> bytes:
        """Return the bytes of a file; those of a text file without secrets."""
        # Replacing bytes in a picture would damage it.
        if path.suffix not in _TEXT_FILES:
            return path.read_bytes()
        return self.text(path.read_text(encoding="utf-8")).encode()


def _longest_first(texts: set[str]) -> tuple[str, ...]:
    """Sort the texts so that one is replaced before another that is only a part of it."""
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))
