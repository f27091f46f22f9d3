"""The base class of all tasks: examples with references, made from rows, and the template of their prompts."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import cached_property
from string import Formatter
from typing import Any, ClassVar

from edt.errors import ConfigError, DataError, one_line, suggestion
from edt.ids import seeded_rank
from edt.ranges import check_whole
from edt.records import Example, PromptParts, Split
from edt.tasks.answers import check_rule, default_rule

__all__ = ["DroppedRow", "ExampleSet", "Row", "RowSet", "Task", "Template", "check_unique_ids", "field_names"]

Row = Mapping[str, Any]
"""One row of a data set in its original schema."""


_WIDEST = 10_000
"""Characters up to which the format of a template may fill up a field."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The wording of a prompt: the model reads `head + source + turns + tail`.

    Each part is a format string over the fields that the task fills in; a literal brace is written twice. In head and
    tail, {instruction} is the task's instruction.

    head: instruction and labels; never shortened.
    source: the text that answers come from; shortened first, and empty in the prompt without its source (KLD).
    turn: one earlier turn of a dialogue, with fields of its turn; the oldest turns are dropped first.
    tail: the question and the cue for the answer; never shortened.
    """

    head: str = ""
    source: str = "{source}"
    turn: str = ""
    tail: str = ""


@dataclass(frozen=True, kw_only=True)
class RowSet:
    """The rows of one split with where they came from. `origin` is plain JSON for the manifest."""

    rows: tuple[Row, ...]
    origin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class DroppedRow:
    """A row, or one question of it, that is left out; the manifest counts them by reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ExampleSet:
    """The examples of one split; `available` counts them before the limit, `dropped` the rows left out by reason."""

    examples: tuple[Example, ...]
    available: int
    dropped: Mapping[str, int]
    origin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    r"""Base of all tasks. A task of your own is one file: a frozen dataclass with two methods, and its config.

        # my_package.py
        @dataclass(frozen=True, kw_only=True)
        class Capitals(Task):
            name: ClassVar[str] = "capitals"
            quality: ClassVar[str] = "rouge_l"

            template: Template = Template(tail="\nThe capital is")

            def row_set(self, split: Split) -> RowSet:
                with open(self.path) as file:
                    rows = tuple(csv.DictReader(file))
                return RowSet(rows=rows, origin={"file": self.path})

            def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
                example = self.make_example(
                    split=split,
                    example_id=row["country"],
                    fields={"source": f"Country: {row['country']}"},
                    references=(row["capital"],),
                )
                yield example if row["capital"] else DroppedRow(reason="no capital")

        # my_configs/task/capitals.yaml
        _target_: my_package.Capitals
        path: capitals.csv

    `PYTHONPATH=. EDT_TRUSTED_PACKAGES=my_package edt run --config-dir my_configs task=capitals` then decodes, scores
    and prints the table.

    `row_set` returns the rows of one split with their origin, which goes into the manifest. `parse` turns one row into
    one example, several (the questions of a dialogue), or a `DroppedRow`. An example's id must be unique, and should
    not depend on the row's position: it keys the noise and the subset. Tasks whose rows come from files in JSON or
    parquet, local or on the hub, derive from `edt.tasks.sources.dataset_task.DatasetTask` instead, which adds official
    splits and subsets; `edt/tasks/xlsum.py` is the shortest example.

    Class attributes:
        name: what tables and run folders call the task.
        quality: name of the quality metric, "rouge_l", "exact_match" or any other (docs/reference/metrics.md); it may
            also be a field, so that it is a key of the config.
        extra_metrics: names of further metrics that suit the task.
        plain_stop: the stops of prompts without a chat template, where `stop` is null.

    Keys of the config. All have a default here; your class may change it, and may add more keys. The config lists only
    what differs; on the command line `task.limit=10` changes any of them.
        template, instruction, path, limit, seed, max_new_tokens, max_prompt_tokens, stop, answer, shots,
            shot_separator: below.
        split: which examples are decoded: train, dev, test (the default), all, or a list; passed to `row_set`.
        quality: another quality metric than the task's own.
    """

    name: ClassVar[str]
    quality: ClassVar[str]
    extra_metrics: ClassVar[tuple[str, ...]] = ()
    plain_stop: ClassVar[tuple[str, ...]] = ()

    template: Template = Template()
    """Wording of the prompt: head, source, turns, tail."""
    instruction: str | None = None
    """What the model is asked to do. It stands where the template names {instruction}, else before the head, with an
    empty line between; null: none.
    """
    path: str | None = None
    """A file or folder with data; null: the task's own source."""
    limit: int | None = None
    """Largest number of examples, drawn by the seed; null for all. A smaller subset is contained in each larger one."""
    seed: int = 0
    """Draws the examples of the limit, and of a data set also the subsets and the halves of a single file."""
    max_new_tokens: int = 64
    """Tokens of an output, at most."""
    max_prompt_tokens: int | None = None
    """Longer prompts lose the end of their source; null: the context less max_new_tokens."""
    stop: tuple[str, ...] | None = None
    """Texts that end an output once it has text, such as a line break; they are not part of it. A special token ends it
    too. null: with a chat template none, where the model ends its turn itself; else the task's own.
    """
    answer: str | None = None
    """What of an output is scored: all, first_line, first_paragraph, or after_colon (without "Here is a summary:").
    null: after_colon with a chat template, else all.
    """
    shots: int = 0
    """Examples that are put before each question with their answers, the same for all; no output is made for them."""
    shot_separator: str = "\n\n"
    """What stands after each of them."""

    def __post_init__(self) -> None:
        check_whole("task.shots", self.shots, "the number of examples before each question", least=0, most=10_000)
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"task.limit is {self.limit}; it must be 1 or more examples, or null for all.")
        for name in ("max_new_tokens", "max_prompt_tokens"):
            if (tokens := getattr(self, name)) is not None and tokens < 1:
                raise ConfigError(f"task.{name} is {tokens}; it must be 1 token or more.")

        # tuple("END") would be three stops of one letter each.
        if isinstance(self.stop, str):
            raise ConfigError(f"task.stop is the text {self.stop!r}; it must be a list, such as [{self.stop!r}].")
        if self.stop is not None:
            object.__setattr__(self, "stop", tuple(self.stop))
        if self.answer is not None:
            check_rule(self.answer, "task.answer")

        # An empty path would be the current folder; an empty stop is in every text and would leave nothing of it.
        for name, texts in (("path", [self.path]), ("stop", self.stop or ())):
            if "" in texts:
                raise ConfigError(f"task.{name} has an empty text; give a text, or null ([] for a list).")

    @property
    def target_language(self) -> str:
        """Two-letter code of the language of the references; it sets the tokenizer of BLEU and Self-BLEU."""
        return "en"

    def stops(self, *, chat_template: bool) -> tuple[str, ...]:
        """Return the texts that end an output, as configured or by the form of the prompt."""
        if self.stop is not None:
            return self.stop
        # A chat model ends its turn itself, and often writes several lines; a base model would begin the next example.
        return () if chat_template else self.plain_stop

    def answer_rule(self, *, chat_template: bool) -> str:
        """Return what of an output is scored, as configured or by the form of the prompt."""
        return default_rule(chat_template=chat_template) if self.answer is None else self.answer

    @abstractmethod
    def row_set(self, split: Split) -> RowSet:
        """Return the rows of one split, before the limit."""

    @abstractmethod
    def parse(self, row: Row, split: Split) -> Iterator[Example | DroppedRow]:
        """Yield the examples of one row: one, several (a dialogue's questions), or the reason why it is left out."""

    def load(self, split: Split) -> ExampleSet:
        """Return the examples of one split, in the order of the source.

        Raises DataError when there is none, or when two have the same id.
        """
        every = self.read_split(split)
        # Before the limit as well: whether an id occurs twice must not depend on which examples are drawn.
        check_unique_ids((example.example_id for example in every.examples), self.name)
        subset = _nested_subset(list(every.examples), limit=self.limit, seed=self.seed)
        return replace(every, examples=tuple(subset))

    def read_split(self, split: Split) -> ExampleSet:
        """Return all examples of one split, whatever the limit; their ids are not compared.

        Raises DataError when there is none.
        """
        # A task of the user's own may open files itself. Other errors are mistakes in its code: they keep their trace.
        try:
            row_set = self.row_set(split)
            # Before the limit, which counts examples: a row may give several, or none.
            parsed = [item for row in row_set.rows for item in self.parse(row, split)]
        except (OSError, UnicodeError) as error:
            raise DataError(f"the rows of task '{self.name}' cannot be read: {one_line(error)}.") from error
        examples = [item for item in parsed if isinstance(item, Example)]
        dropped = Counter(item.reason for item in parsed if isinstance(item, DroppedRow))
        origin = row_set.origin
        if self.shots and examples:
            examples, used = self._with_shots(examples)
            dropped.update({"used as a shot": used} if used else {})
            origin = {**origin, "shots": {"split": self.shot_split(), "ids": [shot.example_id for shot in self._shots]}}

        if not examples:
            source = self.path if self.path is not None else "its source"
            raise DataError(
                f"task '{self.name}' has no example for split '{split}' in {source} "
                f"(left out: {dict(dropped) or 'none'}). Give another task.path or task.split."
            )
        return ExampleSet(examples=tuple(examples), available=len(examples), dropped=dict(dropped), origin=origin)

    def shot_split(self) -> Split:
        """Return the split that the shots are drawn from: train. A task that may have none overrides this."""
        return "train"

    def shot_rows(self) -> Sequence[Row]:
        """Return the rows that the shots are drawn from."""
        return self.row_set(self.shot_split()).rows

    @cached_property
    def _shots(self) -> tuple[Example, ...]:
        """The examples that stand before each question: the first in an order of the ids by the seed."""
        split = self.shot_split()
        try:
            rows = self.shot_rows()
        except DataError as error:
            raise DataError(f"task.shots={self.shots} takes examples of split '{split}': {error}") from error
        pool = [item for row in rows for item in self.parse(row, split) if isinstance(item, Example)]
        if len(pool) < self.shots:
            raise DataError(
                f"task.shots is {self.shots}, but split '{split}' of task '{self.name}' has {len(pool)} examples to "
                "draw from; lower it."
            )
        # Another order than that of subsets and halves, of which the first would otherwise always be the shots.
        ranked = sorted(pool, key=lambda example: seeded_rank(self.seed, f"shot/{example.example_id}"))
        return tuple(ranked[: self.shots])

    def _with_shots(self, examples: Sequence[Example]) -> tuple[list[Example], int]:
        """Return the examples with the shots before each, and how many were left out.

        Left out is what is a shot itself, has the same question, or belongs to the cluster of one: its answer would
        stand in the prompt. With official splits this is nothing as a rule, for shots are of train. Where dev has to
        give them, they are taken out of it.
        """
        clusters = {shot.cluster_id for shot in self._shots}
        questions = {shot.parts for shot in self._shots}
        kept = [e for e in examples if e.cluster_id not in clusters and e.parts not in questions]
        texts = "".join(_shot_text(shot) + self.shot_separator for shot in self._shots)
        # In the head, which is never shortened and stays in the prompt without its source.
        shown = [replace(e, parts=replace(e.parts, head=texts + e.parts.head)) for e in kept]
        return shown, len(examples) - len(kept)

    def make_example(
        self,
        *,
        split: Split,
        example_id: str,
        fields: Mapping[str, str],
        references: tuple[str, ...],
        turns: tuple[Mapping[str, str], ...] = (),
        cluster_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Example:
        """Return an example whose prompt is the template filled with `fields`.

        turns: the fields of each earlier turn of a dialogue, oldest first.
        cluster_id: groups examples that are not independent, such as a dialogue's; each its own cluster by default.
        meta: plain JSON for the extra metrics; nothing of it reaches the model.
        """
        head, tail = self._head_and_tail(fields)
        parts = PromptParts(
            head=head,
            source=_fill("template.source", self.template.source, fields),
            turns=tuple(_fill("template.turn", self.template.turn, turn) for turn in turns),
            tail=tail,
        )
        _check_characters(self.name, example_id, (example_id, parts.head, parts.source, *parts.turns, parts.tail))
        _check_characters(self.name, example_id, references)

        return Example(
            task=self.name,
            split=split,
            example_id=example_id,
            cluster_id=example_id if cluster_id is None else cluster_id,
            parts=parts,
            references=references,
            meta={} if meta is None else meta,
        )

    def _head_and_tail(self, fields: Mapping[str, str]) -> tuple[str, str]:
        """Return the first and the last part of a prompt, with the instruction in its place."""
        head, tail = self.template.head, self.template.tail
        named = any("instruction" in field_names(part) for part in (head, tail))
        given = _fill("instruction", self.instruction or "", fields)
        # A column of that name, in rows of the user's own, is the instruction of its row where the key sets none.
        if self.instruction is not None or "instruction" not in fields:
            fields = {**fields, "instruction": given}
        filled = _fill("template.head", head, fields), _fill("template.tail", tail, fields)
        if named:
            # Without an instruction, the line breaks after it would begin the prompt.
            return filled if str(fields["instruction"]) else (filled[0].lstrip(), filled[1])
        # The task's own instruction belongs to its own wording: a user who has written another head has replaced both.
        own = next(field.default for field in dataclass_fields(self) if field.name == "instruction")
        return (f"{given}\n\n{filled[0]}", filled[1]) if given and self.instruction != own else filled


def field_names(wording: str) -> set[str]:
    """Return the fields that a format string names, without parts as in {choices[0]}; none of other text."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(wording) if name is not None]
    # What is wrong is said when it is filled.
    except ValueError:
        return set()
    return {re.split(r"[.\[]", name)[0] for name in names}


def _shot_text(shot: Example) -> str:
    """Return the prompt of an example, without earlier turns, and its first reference."""
    question = shot.parts.head + shot.parts.source + shot.parts.tail
    # A cue such as "Answer:" ends without the space that a model writes before its answer.
    space = "" if not question or question[-1].isspace() else " "
    return f"{question}{space}{shot.references[0]}"


def _check_widths(key: str, wording: str) -> None:
    """Raise ConfigError for a field that is filled up to a length that no prompt has, as {source:>999999999}."""
    try:
        formats = [form for _, _, form, _ in Formatter().parse(wording) if form]
    # What is wrong is said when it is filled.
    except ValueError:
        return
    for form in formats:
        # A width in braces would come from the data.
        if "{" in form or any(float(number) > _WIDEST for number in re.findall(r"\d+", form)):
            raise ConfigError(
                f"task.{key} fills a field up by ':{form}'; a width is a number of at most {_WIDEST:,} characters."
            )


def _fill(key: str, wording: str, fields: Mapping[str, str]) -> str:
    """Return what `task.KEY` says of a prompt, with its fields filled in; braces in the fields' values are literal.

    Raises ConfigError when the wording names an unknown field or is not a format string.
    """
    _check_widths(key, wording)
    try:
        return wording.format_map(fields)
    except KeyError as error:
        name = str(error.args[0])
        raise ConfigError(
            f"task.{key} has the unknown field '{name}'{suggestion(name, fields)}; known fields: {', '.join(fields)}."
        ) from error
    # A lone brace is a ValueError, {source[99]} an IndexError, {source.x} an AttributeError.
    except (ValueError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"task.{key} is not a format string ({error}): {wording!r}. Write a field in {{braces}} and a "
            "literal brace twice."
        ) from error


def _check_characters(task: str, example_id: str, texts: Iterable[str]) -> None:
    """Raise DataError for a text that no file can hold: half of a surrogate pair is no character."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"task '{task}', example {example_id!a}: a text holds {text[error.start]!a}, half of a "
                "surrogate pair, which is no character. Correct or remove the row."
            ) from error


def check_unique_ids(ids: Iterable[str], task: str) -> None:
    """Raise DataError when an id occurs twice: two examples with one id would share their noise and their records."""
    seen: set[str] = set()
    for example_id in ids:
        if example_id in seen:
            raise DataError(
                f"task '{task}' has the id '{example_id}' twice; ids key the noise and the records, so they must be "
                "unique. Remove or rename one of the two rows."
            )
        seen.add(example_id)


def _nested_subset(examples: list[Example], *, limit: int | None, seed: int) -> list[Example]:
    """Return the `limit` examples that rank first in the seed's order of ids, in their original order."""
    # A limit above the number of examples is no error: one limit holds for all tasks of a list, large and small.
    if limit is None or limit >= len(examples):
        return examples
    # Ranks depend on ids, not on positions: the subset of a smaller limit is contained in that of a larger one.
    ranked = sorted(examples, key=lambda example: seeded_rank(seed, example.example_id))
    kept = {example.example_id for example in ranked[:limit]}
    return [example for example in examples if example.example_id in kept]
