"""Pair the samples of two settings: the same tasks, the same examples in one order, equally many samples."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edt.comparison.sources import TaskSamples
from edt.errors import DataError
from edt.metrics.base import SampleSet
from edt.records import Example

logger = logging.getLogger(__name__)

_MOST_NAMED = 3
"""Ids that an error names."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two settings on one task, example by example."""

    task: str
    a: SampleSet
    b: SampleSet
    quality: str | None
    extra_metrics: tuple[str, ...]
    has_references: bool

    @property
    def clusters(self) -> list[str]:
        """The cluster of each example."""
        return [example.cluster_id for example in self.a.examples]


def pair_tasks(
    a: Mapping[str, TaskSamples],
    b: Mapping[str, TaskSamples],
    *,
    samples: int | None,
    language: str | None,
    common_only: bool,
) -> list[Pair]:
    """Return the tasks that both have, paired.

    samples: the first so many of each example; None takes all, which both must have equally many of.
    common_only: leave out examples that only one has, in place of an error.
    Raises DataError where nothing, or not the same, can be paired.
    """
    # One task each: files of two programs call the same task by other names.
    names = zip(a, b, strict=True) if len(a) == len(b) == 1 else [(task, task) for task in _common_tasks(a, b)]
    # The same for every task: a table whose rows are of other samples would mislead.
    return [
        _pair(a[of_a], b[of_b], samples=samples, language=language, common_only=common_only) for of_a, of_b in names
    ]


def _common_tasks(a: Mapping[str, TaskSamples], b: Mapping[str, TaskSamples]) -> list[str]:
    common = [task for task in a if task in b]
    if not common:
        raise DataError(f"a and b have no task in common: a has {', '.join(a)}; b has {', '.join(b)}.")
    # Named, not refused: two runs of different lists of tasks still share some.
    for task in [*a, *b]:
        if task not in common:
            logger.warning("left out: only one of the two has the task %s.", task)
    return common


def _pair(a: TaskSamples, b: TaskSamples, *, samples: int | None, language: str | None, common_only: bool) -> Pair:
    ids = _common_ids(a, b, common_only=common_only)
    # By id, since two programs write examples in different orders.
    position_a = {example.example_id: number for number, example in enumerate(a.examples)}
    position_b = {example.example_id: number for number, example in enumerate(b.examples)}
    examples = [_merged(a.examples[position_a[one]], b.examples[position_b[one]]) for one in ids]

    # Before the texts are cut, so that the error names what each side has.
    count = _sample_count(a, b, samples)
    # The user's word first, then what a run recorded.
    languages = [given for given in (language, a.language, b.language) if given is not None]
    sets = [
        SampleSet(
            examples=examples,
            texts=[of.texts[position[one]][:count] for one in ids],
            target_language=languages[0] if languages else "en",
        )
        for of, position in ((a, position_a), (b, position_b))
    ]
    return Pair(
        task=a.task,
        a=sets[0],
        b=sets[1],
        # What a run says of its task also holds for a file of the same examples.
        quality=a.quality or b.quality,
        extra_metrics=a.extra_metrics or b.extra_metrics,
        has_references=all(example.references for example in examples),
    )


def _common_ids(a: TaskSamples, b: TaskSamples, *, common_only: bool) -> list[str]:
    """Return the ids of the examples that are compared, in the order of `a`."""
    # In the order of A, whose table is read; resamples do not depend on the order.
    of_a, of_b = ([example.example_id for example in one.examples] for one in (a, b))
    known_a, known_b = set(of_a), set(of_b)
    common = [one for one in of_a if one in known_b]
    if not common:
        raise DataError(
            f"a and b have no example in common: a has {_named(of_a)}; b has {_named(of_b)}. They are paired by "
            "example_id; both must be of the same data."
        )
    only_a, only_b = [one for one in of_a if one not in known_b], [one for one in of_b if one not in known_a]
    if (only_a or only_b) and not common_only:
        raise DataError(
            f"{len(common)} examples are in both, but {len(only_a)} only in a ({_named(only_a)}) and {len(only_b)} "
            f"only in b ({_named(only_b)}). Complete them, or compare what both have: common_only=true."
        )
    return common


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(f"'{one}'" for one in ids[:_MOST_NAMED]) or "none"
    return f"{shown}, …" if len(ids) > _MOST_NAMED else shown


def _merged(a: Example, b: Example) -> Example:
    """Return an example of both, with the references and the cluster of whoever has them."""
    if a.references and b.references and sorted(a.references) != sorted(b.references):
        raise DataError(
            f"example '{a.example_id}' has other references in a than in b, so they are not of the same data; "
            f"a: {_named(a.references)}; b: {_named(b.references)}."
        )
    # An example whose cluster is its own id has none.
    cluster = a.cluster_id if a.cluster_id != a.example_id else b.cluster_id
    return replace(a, references=a.references or b.references, cluster_id=cluster, meta=a.meta or b.meta)


def _sample_count(a: TaskSamples, b: TaskSamples, samples: int | None) -> int:
    """Return how many samples of each example are compared."""
    has = {"a": len(a.texts[0]), "b": len(b.texts[0])}
    if samples is not None:
        for name, count in has.items():
            if count < samples:
                raise DataError(f"samples is {samples}, but {name} has {count} of each example.")
        return samples
    # Self-BLEU and the best of K grow with K: of unequal numbers the difference would be that of K.
    if has["a"] != has["b"]:
        raise DataError(
            f"a has {has['a']} samples of each example and b {has['b']}; metrics of several samples depend on their "
            f"number. Compare the first ones of both: samples={min(has.values())}."
        )
    return has["a"]
