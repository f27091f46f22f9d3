"""The HTTP requests of engine=openai: the key, the pace, and what is repeated after a fault."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from edt.adapters.openai_servers import UnusableAnswerError
from edt.errors import ServerError, one_line
from edt.extras import extra_imports
from edt.redact import HIDDEN, without_secrets

if TYPE_CHECKING:
    from edt.adapters.openai_spec import OpenAISpec

with extra_imports("openai", "engine=openai"):
    import httpx

_REPEATED = frozenset({408, 409, 425, 429})
"""Answers that say "not now"; those of 500 and more are repeated too."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
"""Seconds before the first repetition, which doubles, and the most that the server may ask for."""
_SHOWN = 300
"""Characters of a server's own message."""
_NOTED_WAIT, _SECONDS_BETWEEN_NOTES = 1.0, 60.0
"""The shortest wait that is worth a line, and how often there is one: with many requests, each would say the same."""
_FOR_ROWS = (
    "Answers of before are kept: the same command asks for the others alone. Look at the server's log, or raise "
    "engine.retries or lower engine.concurrency."
)
FOR_ADDRESS = "Check that the server runs, and engine.base_url, which ends in /v1 for most servers."
"""What to do where the first request of all has no usable answer."""

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Client:
    """Sends requests to one server, many at a time, within `async with`."""

    def __init__(self, spec: OpenAISpec) -> None:
        self.spec = spec
        # From the environment and only there: it stands in no configuration, manifest or log.
        key = os.environ.get(spec.api_key_variable)
        self._http = httpx.AsyncClient(
            timeout=spec.timeout,
            headers={} if not key else {"Authorization": f"Bearer {key}"},
            # A redirect could take the key to another host.
            follow_redirects=False,
            limits=httpx.Limits(max_connections=spec.concurrency),
        )
        self._next = 0.0
        self._next_note = 0.0

    async def __aenter__(self) -> Client:
        """Open the connections."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close them, also of requests that wait for an answer."""
        await self._http.aclose()

    async def get(self, url: str) -> Any:
        """Return the JSON at an address. Raises UnusableAnswerError for what may pass, ServerError for a refusal."""
        return await self._asked("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON answer to a request. Raises as `get`."""
        return await self._asked("POST", url, body)

    async def repeated(self, ask: Callable[[], Awaitable[Result]], what: str, remedy: str = _FOR_ROWS) -> Result:
        """Return what `ask` returns; repeat it where its answer cannot be used.

        what: what is requested, in errors, which end in the remedy. Raises ServerError after `retries` repetitions.
        """
        wait = _FIRST_WAIT
        for attempt in range(self.spec.retries + 1):
            try:
                return await ask()
            except UnusableAnswerError as fault:
                if attempt == self.spec.retries:
                    raise ServerError(
                        f"{self._where} gave no usable answer {what}: {_clause(str(fault))} ({attempt + 1} attempts). "
                        f"{remedy}"
                    ) from fault
                pause = min(_LONGEST_WAIT, wait if fault.wait is None else fault.wait)
                self._note(f"{_clause(str(fault))} {what}", attempt, pause)
                await asyncio.sleep(pause)
                wait = min(_LONGEST_WAIT, 2 * wait)
        raise AssertionError("a last attempt returns or raises")

    def _note(self, fault: str, attempt: int, pause: float) -> None:
        """Log that a request is repeated: else a server that is down, or busy, is a command that stands still."""
        now = time.monotonic()
        if pause < _NOTED_WAIT or now < self._next_note:
            return
        self._next_note = now + _SECONDS_BETWEEN_NOTES
        logger.info(
            "%s: %s; asked again in %.3g s (repetition %d of engine.retries=%d).",
            self._where,
            fault,
            pause,
            attempt + 1,
            self.spec.retries,
        )

    @property
    def _where(self) -> str:
        return f"the server at {without_secrets(self.spec.base_url)}"

    async def _asked(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        # Repetitions count as well: the limit of a server is on requests, not on rows.
        await self._wait_for_turn()
        try:
            response = await self._http.request(method, url, json=body)
        # A connection that was cut or refused, a time that ran out: any of them may be over the next time.
        except httpx.TransportError as error:
            raise UnusableAnswerError(f"{type(error).__name__}: {one_line(error)}") from error
        if response.status_code in _REPEATED or response.status_code >= 500:
            raise UnusableAnswerError(
                f"{response.status_code} {self._message(response)}".rstrip(),
                _seconds(response.headers.get("retry-after")),
            )
        if response.status_code != 200:
            raise ServerError(self._refusal(response))
        # A proxy may answer 200 with a page of text while the server starts.
        try:
            return response.json()
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UnusableAnswerError("an answer that is no JSON") from error

    def _refusal(self, response: httpx.Response) -> str:
        said = _clause(self._message(response))
        text = f"{self._where} refuses a request: {response.status_code}{f' {said}' if said else ''}."
        if response.status_code in (401, 403):
            variable = self.spec.api_key_variable
            given = "is set" if os.environ.get(variable) else "is not set"
            return f"{text} The key is read from the environment variable {variable}, which {given}."
        if response.status_code == 404:
            return f"{text} Check engine.base_url, which ends in /v1 for most servers, and engine.served_model."
        return f"{text} Check what the server offers, and engine.server."

    def _message(self, response: httpx.Response) -> str:
        """Return what a server says about a refusal, in one shortened line without secrets."""
        try:
            content = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            content = response.text
        # {"error": {"message": …}} is the usual form, {"error": "…"} and {"message": …} occur.
        if isinstance(content, dict):
            inner = content.get("error", content)
            content = inner.get("message", inner) if isinstance(inner, dict) else inner
        text = without_secrets(" ".join(str(content).split()))
        # Servers repeat a key that they refuse, and the variable may have any name.
        key = os.environ.get(self.spec.api_key_variable)
        text = text.replace(key, HIDDEN) if key else text
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

    async def _wait_for_turn(self) -> None:
        """Wait until another request may begin, at an even pace."""
        if self.spec.requests_per_minute is None:
            return
        # The turn is taken before the wait, so that others queue behind it.
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + 60.0 / self.spec.requests_per_minute
        await asyncio.sleep(turn - now)


def _clause(text: str) -> str:
    """Return a message without the period at its end, to be part of a sentence."""
    return text.removesuffix(".")


def _seconds(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for a date, or where there is none."""
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None
