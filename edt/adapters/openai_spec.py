"""The settings of engine=openai. Importing this module imports neither torch nor an HTTP client."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edt.decoding.engine_specs import EngineSpec
from edt.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from edt.adapters.openai_engine import OpenAIEngine
    from edt.models.spec import ModelSpec

SERVERS = ("auto", "vllm", "llamacpp", "openai")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class OpenAISpec(EngineSpec):
    """A server with OpenAI's interface, as vLLM's, llama.cpp's or TGI's: it draws, and the answers become a run."""

    base_url: str = "http://localhost:8000/v1"
    """Address of the server, with /v1. No key belongs into it."""
    served_model: str | None = None
    """The model's name at the server; null: the only one that it lists."""
    server: str = "auto"
    """vllm, llamacpp, or openai for any other, such as text-generation-inference; auto: as the server's list says."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, if the server wants one; it is stored nowhere."""
    concurrency: int = 8
    """Requests that wait for an answer at the same time."""
    requests_per_minute: float | None = None
    """The most requests begun in a minute; null: any number."""
    retries: int = 6
    """How often a request is repeated after an answer of 429 or 5xx, a cut connection, or no usable answer."""
    timeout: float = 600.0
    """Seconds to wait for an answer."""
    max_rows: int = 1024
    """Rows that are stored together. What was answered before a command stopped is kept, row by row."""

    def __post_init__(self) -> None:
        address = _address(self.base_url)
        if self.server not in SERVERS:
            raise ConfigError(
                f"engine.server is '{self.server}'{suggestion(str(self.server), SERVERS)}; it must be one of "
                f"{', '.join(SERVERS)}."
            )
        # A key typed here by mistake must reach no file: the value is not repeated.
        if not _VARIABLE.fullmatch(self.api_key_variable):
            raise ConfigError(
                "engine.api_key_variable must be the name of an environment variable, in capitals, as OPENAI_API_KEY; "
                "it holds the name and not the key."
            )
        for name, least in (("concurrency", 1), ("retries", 0), ("max_rows", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"engine.{name} is {getattr(self, name)}; it must be {least} or more.")
        for name in ("requests_per_minute", "timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"engine.{name} is {value}; it must be a number above 0.")
        assert address  # parsed above, to refuse a bad one before anything is sent

    def open(self, model: ModelSpec) -> OpenAIEngine:
        """Read the model's tokenizer, ask the server what it serves, and return the engine."""
        # Not at the top: the command line builds these settings for its help.
        from edt.adapters.openai_engine import OpenAIEngine

        return OpenAIEngine.connect(self, model)


def _address(url: str) -> str:
    """Return the address. Raises ConfigError for one that is none, or that holds a login or a key."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        assert parts.port is None or parts.port > 0
    except (ValueError, AssertionError, TypeError, AttributeError):
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise ConfigError("engine.base_url must be an address of the form http://HOST:PORT/v1.")
    # Not repeated in the message, which reaches the log.
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "engine.base_url holds a login, a key or a query; give the plain address, and the key in the environment "
            "variable that engine.api_key_variable names."
        )
    return url
