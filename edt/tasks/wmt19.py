"""WMT19 news translation: the sentences of the news test (Barrault et al. 2019, wmt/wmt19)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from edt.errors import ConfigError
from edt.ids import digest
from edt.records import Example, Split
from edt.tasks.base import DroppedRow, Row
from edt.tasks.sources.aligned import LANGUAGES, find_pairs, read_pair
from edt.tasks.sources.columns import check_columns
from edt.tasks.sources.dataset_task import DatasetTask
from edt.tasks.sources.files import LocatedRow, read_rows
from edt.tasks.sources.local import FileGroup
from edt.tasks.sources.subsets import OfficialSplit, SubsetPlan, SubsetRule

__all__ = ["WMT19"]


@dataclass(frozen=True, kw_only=True)
class WMT19(DatasetTask):
    """Row schema: {translation: {en, zh}, id?}.

    An example's id is its row's `id`, or a hash of the two texts, so it depends on neither position nor direction.
    Further pairs with the same texts get the endings "-2", "-3", ..
    Template fields: `sentence`, `source_language`, `target_language` (English names).
    Splits: 10k of train; 1k of the validation rows that test does not take; 1k of validation.

    path: NAME.eng and NAME.zho, or JSON lines {translation: {en, zh}}, or a folder with them; null: read the hub.
    """

    name: ClassVar[str] = "wmt19"
    quality: ClassVar[str] = "sacrebleu"
    plain_stop: ClassVar[tuple[str, ...]] = ("\n",)
    # The hub has no test split. Test takes the first places of the validation rows and dev the next ones, so the size
    # of dev cannot change what is tested.
    official_splits: ClassVar[frozenset[OfficialSplit]] = frozenset({"train", "dev"})
    plan: ClassVar[SubsetPlan] = {
        "train": SubsetRule(official="train"),
        "dev": SubsetRule(official="dev", excluding="test"),
        "test": SubsetRule(official="dev"),
    }

    instruction: str | None = "Translate the sentence from {source_language} to {target_language}."

    direction: str = "en-zh"
    """SOURCE-TARGET: en-zh translates from English to Chinese; another pair needs another hub.config."""

    def __post_init__(self) -> None:
        super().__post_init__()
        codes = self.direction.split("-")
        if len(codes) != 2 or codes[0] == codes[1] or not set(codes) <= set(LANGUAGES):
            raise ConfigError(
                f"task.direction is '{self.direction}'; it must be SOURCE-TARGET with two of: {', '.join(LANGUAGES)}."
            )

    @property
    def languages(self) -> tuple[str, str]:
        """Two-letter codes of the source and the target language."""
        source, target = self.direction.split("-")
        return source, target

    @property
    def target_language(self) -> str:
        """Two-letter code of the language of the references."""
        return self.languages[1]

    def group_files(self, files: Sequence[Path]) -> list[FileGroup]:
        """Return the line-aligned pairs and the data files."""
        return find_pairs(files, self.languages) + super().group_files(files)

    def read(self, group: FileGroup) -> Iterator[LocatedRow]:
        """Yield the rows of a pair or a file."""
        return read_rows(group[0]) if len(group) == 1 else read_pair(group, self.languages)

    def rows(self, located: Iterable[LocatedRow]) -> Iterator[Row]:
        """Yield the rows, each with both languages and its own id."""
        seen: Counter[str] = Counter()
        for where, row in located:
            translation = check_columns(row, {"translation": dict}, where)["translation"]
            check_columns(translation, dict.fromkeys(self.languages, str), f"{where}, column 'translation'")
            # Given ids are never renamed: if two are equal, the file is wrong, and `load` says so.
            if "id" in row:
                yield dict(row)
                continue

            # News repeats itself: the same pair twice is two examples, which must not share an id.
            # Which of the two is the second does not matter, because their texts are equal.
            content = self.row_id(row)
            seen[content] += 1
            yield {**row, "id": content if seen[content] == 1 else f"{content}-{seen[content]}"}

    def row_id(self, row: Row) -> str:
        """Return the row's id, or the hash of its texts."""
        if "id" in row:
            return str(row["id"])
        # A dict, because `digest` sorts its keys: both directions of a pair have one id and fall into one subset.
        return digest({language: row["translation"][language] for language in self.languages})

    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield the sentence with its one reference."""
        source, target = (row["translation"][language].strip() for language in self.languages)
        if not source or not target:
            yield DroppedRow(reason="empty source" if not source else "empty reference")
            return
        names = [LANGUAGES[language].name for language in self.languages]
        fields: dict[str, Any] = {"sentence": source, "source_language": names[0], "target_language": names[1]}
        yield self.make_example(split=split, example_id=self.row_id(row), fields=fields, references=(target,))
