"""Read line-aligned text: two files with one stem, one per language; each line holds a segment or its translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from edt.errors import DataError
from edt.tasks.sources.files import LocatedRow, read_lines
from edt.tasks.sources.local import FileGroup

__all__ = ["LANGUAGES", "Language", "find_pairs", "read_pair"]


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language: its English name, and the endings of text files in it."""

    name: str
    endings: tuple[str, ...]


# Endings are the codes of ISO 639-1 and 639-2 (both where it has two: deu, ger), and for Mandarin of 639-3 (cmn).
LANGUAGES: Mapping[str, Language] = {
    "en": Language(name="English", endings=("en", "eng")),
    "zh": Language(name="Chinese", endings=("zh", "zho", "chi", "cmn")),
    "cs": Language(name="Czech", endings=("cs", "ces", "cze")),
    "de": Language(name="German", endings=("de", "deu", "ger")),
    "fi": Language(name="Finnish", endings=("fi", "fin")),
    "fr": Language(name="French", endings=("fr", "fra", "fre")),
    "gu": Language(name="Gujarati", endings=("gu", "guj")),
    "kk": Language(name="Kazakh", endings=("kk", "kaz")),
    "lt": Language(name="Lithuanian", endings=("lt", "lit")),
    "ru": Language(name="Russian", endings=("ru", "rus")),
}
"""The languages of WMT19 by their two-letter code."""


def _split_language(path: Path) -> tuple[Path, str] | None:
    """Return (path without its language ending, language) of a text file; None when it has no such ending."""
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for code, language in LANGUAGES.items():
        if bare.suffix.lower().removeprefix(".") in language.endings:
            return bare.with_suffix(""), code
    return None


def find_pairs(files: Sequence[Path], languages: tuple[str, str]) -> list[FileGroup]:
    """Return the (source, target) pairs among files; the partner of a single file is looked up in its folder.

    Raises DataError when a text in one of the languages has no partner in the other.
    """
    pairs: dict[Path, FileGroup] = {}
    for file in files:
        # A text in a third language is ignored: one folder may serve several directions.
        stem, language = _split_language(file) or (None, None)
        # Both files of a pair come by; the second finds its pair done.
        if stem is not None and language in languages and stem not in pairs:
            pairs[stem] = _find_pair(file, stem, languages)
    return list(pairs.values())


def _find_pair(file: Path, stem: Path, languages: tuple[str, str]) -> FileGroup:
    """Return the source and the target text with one stem."""
    siblings = [path for path in sorted(stem.parent.iterdir()) if (_split_language(path) or (None,))[0] == stem]

    pair = []
    for language in languages:
        matching = [path for path in siblings if (_split_language(path) or (None, None))[1] == language]
        # Two candidates (.zh and .zho) may be two translations; taking one would be a guess.
        if len(matching) != 1:
            endings = ", ".join(f".{ending}" for ending in LANGUAGES[language].endings)
            problem = f"several ({', '.join(path.name for path in matching)})" if matching else "none"
            raise DataError(
                f"{file} is line-aligned text and needs one partner in {LANGUAGES[language].name} in the same folder, "
                f"named {stem.name} with one of {endings}; there is {problem}. Add or remove a file."
            )
        pair.append(matching[0])
    return tuple(pair)


def read_pair(pair: FileGroup, languages: tuple[str, str]) -> Iterator[LocatedRow]:
    """Yield rows {translation: {source language: .., target language: ..}}, one per line.

    Raises DataError when the files differ in their number of lines, or are empty.
    """
    source, target = pair
    # zip_longest, because zip would end with the shorter file and hide the loss. An empty line is "" and not None: it
    # stays a pair, which `parse` counts as left out.
    count = 0
    for count, texts in enumerate(zip_longest(read_lines(source), read_lines(target)), start=1):
        # One file is shorter: every pair after a lost line would be wrong, so none is used.
        if None in texts:
            raise DataError(
                f"{source} and {target} are line-aligned, but have {_count_lines(source)} and {_count_lines(target)} "
                "lines. Download both again."
            )
        yield f"{source}, line {count}", {"translation": dict(zip(languages, texts, strict=True))}

    if count == 0:
        raise DataError(f"data files {source} and {target} are empty: they have no line. Give another task.path.")


def _count_lines(path: Path) -> int:
    return sum(1 for _ in read_lines(path))
