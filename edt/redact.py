"""Remove from texts what must stay secret (keys, tokens, passwords), and what must not leave the machine (the home).

Manifests, logs, errors and traces pass `without_secrets`; what is exported passes a `Redactor`, which also hides the
home.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|access_?key|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|CREDENTIALS?)$|[_.-](PWD|PAT)$",
    re.IGNORECASE,
)
"""Names of variables and keys whose value is a secret. A number of tokens (`max_new_tokens`) is none, and neither are
PWD and OLDPWD, in which a shell keeps its working folder.
"""
_MIN_SECRET_LENGTH = 8
"""A shorter value of such a variable is hardly a secret, and replacing it would damage other texts."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
_NAMED = r"[\w.~%-]*(?:token|key|secret|passw(?:or)?d|pwd|sig|signature|credential|auth)[\w.~%-]*="
_QUERY = re.compile(rf"(://[^\s\"'<>]*?[?&#]{_NAMED})(?!\*\*\*)[^&\s\"'<>#]+", re.IGNORECASE)
"""A parameter of an address that holds a secret, as `?token=…`, `#access_token=…` or those of signed links."""
_BARE_QUERY = re.compile(rf"([?&#]{_NAMED})[^&\s\"'<>#]+", re.IGNORECASE)
"""The same without a scheme, which the script of a page can resemble."""
_HEADER = re.compile(
    r"(\bAuthorization\W{1,4}(?:Bearer|Basic|Token)\s+|\bBearer\s+(?=[\w.~+/-]*\d))[\w.~+/=-]{8,}", re.IGNORECASE
)
"""What a header of a request holds after `Bearer`; outside of a header it has a digit, as no word has."""
_SHORT_NUMBER = r"\s*=\s*[-+]?[\d.]{1,7}(?:[\s'\",}\]]|$)"
_ASSIGNED = re.compile(
    rf"((?:^|[\s'\"{{,+~])[\w.@/-]*?(?:[._-]key(?!{_SHORT_NUMBER})|(?<![A-Za-z0-9])"
    r"(?:api_?key|access_?key|token|secret|password|passwd|pwd))"
    r"\s*=\s*)(\"[^\"]*\"|[^\s'\",}{\[]+)",
    re.IGNORECASE,
)
"""`some.password=…` in a command: what an override gives a key that is named like a secret.

A short number that a `key` has is a parameter.
"""
_OPTION = re.compile(
    r"((?:^|[\s'\"\[(])--?(?:[\w.]+[_.-])*(?:api[_-]?key|access[_-]?key|token|secret|password|passwd|pwd)['\"]?,?\s+)"
    r"(?!-)(\"[^\"]*\"|'[^']*'|[^\s'\",)}\]]+)",
    re.IGNORECASE,
)
"""`--token …` in a command, or in a list of its words: an option of a program that has its secret as the next word."""
_LOGIN = re.compile(r"(?<!\w)[\w.+-]+:[^\s:@/'\"]+@(?=[\w-]+(?:\.[\w-]+)+(?:[/:]|$|\s))")
"""`user:password@host.name` without a scheme."""
_KNOWN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|wandb_v\d_\w{20,})"
)
"""Keys that their issuers made recognizable: Hugging Face, GitHub, GitLab, OpenAI and others, Slack, AWS, W&B."""
HIDDEN = "***"
_TEXT_FILES = (".csv", ".html", ".json", ".md", ".svg", ".tex", ".txt")


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a text with `***` for the values of secret variables, and for what is spelled like a secret."""
    return _hide_all(text, _values(environment))


def json_without_secrets(value: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """Return JSON without secrets: in its texts, and of keys that are named like one, as `password`."""
    values = _values(environment)
    return _map_texts(value, lambda text: _hide_all(text, values))


def _hide_all(text: str, values: Sequence[str]) -> str:
    """Return a text that is no page without secrets; of a page, whose scripts have to stay, see `_hide_spelled`."""
    text = _BARE_QUERY.sub(rf"\g<1>{HIDDEN}", _hide_spelled(_hide_values(text, values)))
    text = _OPTION.sub(rf"\g<1>{HIDDEN}", text)
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))


def _values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of the variables that are named like a secret, such as WANDB_API_KEY and HF_TOKEN."""
    return _longest_first(
        {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= _MIN_SECRET_LENGTH}
    )


def _hide_values(text: str, values: Sequence[str]) -> str:
    for value in values:
        text = text.replace(value, HIDDEN)
    return text


def _hide_spelled(text: str) -> str:
    """Return the text without what is a secret by its form, whatever its value."""
    # user:password@ in an address, such as a proxy's or a private registry's.
    text = _HEADER.sub(rf"\g<1>{HIDDEN}", text)
    text = _KNOWN.sub(HIDDEN, _CREDENTIALS.sub(f"{HIDDEN}@", text))
    # An address can have several: each pass hides the first of each address.
    while (hidden := _QUERY.sub(rf"\g<1>{HIDDEN}", text)) != text:
        text = hidden
    return text


def _map_texts(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        hidden = {name for name, inner in value.items() if isinstance(inner, str) and _SECRET_NAME.search(str(name))}
        return {
            hide(str(name)): HIDDEN if name in hidden and inner else _map_texts(inner, hide)
            for name, inner in value.items()
        }
    if isinstance(value, Sequence):
        return [_map_texts(inner, hide) for inner in value]
    return value


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
        return cls(homes=_longest_first(homes), secrets=_values(environment))

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        # Secrets first: one that contains the home path would not be found after the path is replaced.
        text = _hide_spelled(_hide_values(text, self.secrets))
        for home in self.homes:
            # Not /home/anna, where the home is /home/ann.
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
        return text

    def json(self, value: Any) -> Any:
        """Return JSON without secrets in texts and keys; infinity and NaN, which JSON does not have, become texts."""
        return _map_texts(_finite(value), self.text)

    def file(self, path: Path) -> bytes:
        """Return the bytes of a file; those of a text file without secrets."""
        # Replacing bytes in a picture would damage it.
        if path.suffix not in _TEXT_FILES:
            return path.read_bytes()
        return self.text(path.read_text(encoding="utf-8")).encode()


def _longest_first(texts: set[str]) -> tuple[str, ...]:
    """Sort the texts so that one is replaced before another that is only a part of it."""
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(inner) for inner in value]
    # An infinite parameter, such as sigma=inf, is a valid setting.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
