"""Rows that a server has answered, kept one by one until their part is written: a row is never paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from edt.adapters.openai_servers import Answer
from edt.errors import StoreError
from edt.ids import digest

RowKey = tuple[str, str, int]
"""The example, the strategy's id and the sample of a row."""


class AnswerJournal:
    """A file with a line per answered row; `None` as its path keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.answers: dict[RowKey, Answer] = {} if path is None or not path.is_file() else dict(_read(path))
        self._file: TextIO | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the file open. Raises StoreError where it cannot be written."""
        if self.path is None:
            yield
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A command that was killed may have left half a line, which the next one must not continue.
            torn = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
            self._file = self.path.open("a", encoding="utf-8")
            if torn:
                self._file.write("\n")
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error}); give another paths.runs.") from error
        try:
            yield
        finally:
            self._file.close()
            self._file = None

    def add(self, key: RowKey, answer: Answer) -> None:
        """Keep an answer."""
        self.answers[key] = answer
        if self._file is not None:
            # With a digest: a line that was damaged must not become an output.
            content: list[Any] = [list(key), asdict(answer)]
            self._file.write(json.dumps([*content, digest(content)], ensure_ascii=False) + "\n")
            # Now: whoever stops the command keeps what was answered.
            self._file.flush()


def _read(path: Path) -> Iterator[tuple[RowKey, Answer]]:
    """Yield the answers of whole lines; a torn or changed line is a row that is requested again."""
    # Split at line feeds alone: a text may hold other characters that Python takes for the end of a line.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            key, answer, stamp = json.loads(line)
            if digest([key, answer]) != stamp:
                continue
            ids = answer["token_ids"]
            example_id, strategy_id, sample = key
            yield (
                (example_id, strategy_id, sample),
                Answer(
                    text=answer["text"], token_ids=None if ids is None else tuple(ids), by_length=answer["by_length"]
                ),
            )
        except (ValueError, TypeError, KeyError):
            continue
