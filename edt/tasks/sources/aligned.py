"""Line-aligned text: two files of one name, one per language, with a segment and its translation on each line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from edt.errors import DataError
from edt.tasks.sources.files import LocatedRow, read_lines
from edt.tasks.sources.local import FileGroup


@dataclass(frozen=True, kw_only=True)
class Language:
    """English name, and what the names of text files in the language end in."""

    name: str
    endings: tuple[str, ...]


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


def language_of(path: Path) -> tuple[Path, str] | None:
    """(path without its language ending, language) of a text file; None when it has no such ending."""
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    for code, language in LANGUAGES.items():
        if bare.suffix.lower().removeprefix(".") in language.endings:
            return bare.with_suffix(""), code
    return None


def find_pairs(files: Sequence[Path], languages: tuple[str, str]) -> list[FileGroup]:
    """The (source, target) pairs among files; the partner of a file given alone is looked for beside it.

    Raises DataError when a text in one of the languages has no partner in the other.
    """
    pairs: dict[Path, FileGroup] = {}
    for file in files:
        found = language_of(file)
        if found is not None and found[1] in languages and found[0] not in pairs:
            pairs[found[0]] = pair_of(file, found[0], languages)
    return list(pairs.values())


def pair_of(file: Path, stem: Path, languages: tuple[str, str]) -> FileGroup:
    """The source and the target text of one name."""
    beside = [path for path in sorted(stem.parent.iterdir()) if (language_of(path) or (None,))[0] == stem]
    pair = []
    for language in languages:
        matching = [path for path in beside if (language_of(path) or (None, None))[1] == language]
        if len(matching) != 1:
            endings = ", ".join(f".{ending}" for ending in LANGUAGES[language].endings)
            problem = f"several ({', '.join(path.name for path in matching)})" if matching else "none"
            raise DataError(
                f"{file} is line-aligned text and needs one partner in {LANGUAGES[language].name} beside it, named "
                f"{stem.name} with one of {endings}; there is {problem}."
            )
        pair.append(matching[0])
    return tuple(pair)


def read_pair(unit: FileGroup, languages: tuple[str, str]) -> Iterator[LocatedRow]:
    """Rows {translation: {source language: .., target language: ..}}, one per line.

    Raises DataError when the files differ in their number of lines, or are empty.
    """
    source, target = unit
    count = 0
    both = zip_longest(read_lines(source), read_lines(target))
    for count, texts in enumerate(both, start=1):
        if None in texts:
            raise DataError(
                f"{source} and {target} are line-aligned, but have {line_count(source)} and {line_count(target)} "
                "lines. Fetch both again."
            )
        yield f"{source}, line {count}", {"translation": dict(zip(languages, texts, strict=True))}
    if count == 0:
        raise DataError(f"data files {source} and {target} are empty: they hold no line. Give another task.path.")


def line_count(path: Path) -> int:
    """Lines of a text file."""
    return sum(1 for _ in read_lines(path))
