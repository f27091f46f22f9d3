"""Exercises that teach the embedded model to copy before it reads.

One kind repeats labelled facts, the other puts names, figures and words of the news into Chinese. Without them a model
of this size learns the wordings long before it learns to look up a name.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from edt.tasks.mini.biographies import JOBS, SUBJECTS, TOPICS, TRADES
from edt.tasks.mini.events import CAUSES, REASONS, ROLES, THINGS, WORKS
from edt.tasks.mini.generated_task import DAYS
from edt.tasks.mini.news_sentences import CAUSES as CAUSES_IN_CHINESE
from edt.tasks.mini.news_sentences import DAY_ENDS, MEASURES
from edt.tasks.mini.news_sentences import TOPICS as TOPICS_IN_CHINESE
from edt.tasks.mini.questions import PRODUCTS
from edt.tasks.mini.variants import ADJECTIVES, REPORTERS, Variant
from edt.tasks.mini.world import COMPANIES, SURNAMES, TOWNS, World

__all__ = ["copy_exercise", "transliteration_exercise"]

_LABELS = ("mayor", "farmer", "chief", "manager", "town", "firm", "sum", "year", "age", "jobs", "people", "seat",
          "founder", "prize", "neighbour", "metres", "river", "bridge")  # fmt: skip

# strict=False: four times two prefixes are one more than the seven days.
_WEEKDAYS = tuple(f"{prefix}{end}" for end, prefix in zip(DAY_ENDS, ("周", "星期") * 4, strict=False))
"""Each weekday in Chinese, in one of the two usual ways."""

_DEFAULT = Variant()

_FACTS = 6
"""Labelled facts in an exercise."""


def copy_exercise(key: str, *, shuffled: bool, variant: Variant = _DEFAULT) -> tuple[str, str]:
    """Return labelled names and figures, and the same again, in another order if `shuffled`.

    A pure function of the key and the variant.
    """
    world = World(random=Random(f"copying/{key}"), split="train", index=0)  # noqa: S311  reproducible, no secret
    # All the words that answers copy, so that the model has copied each of them before.
    nouns = (*THINGS, *CAUSES, *ROLES, *REASONS, *WORKS, *JOBS, *SUBJECTS, *TOPICS, *TRADES, *PRODUCTS, *DAYS)
    makers: tuple[Callable[[], str], ...] = (
        world.person,
        world.town,
        world.company,
        world.surname,
        lambda: world.pick(nouns),
        lambda: world.figure(11, 989),
        lambda: world.figure(1250, 2019),
    )

    # What the variant adds to answers or to sources is read here as well: fillers, and lists of possible figures.
    if variant.open_slots:
        fillers = (*REPORTERS[: variant.open_slots], *ADJECTIVES[: variant.open_slots])
        makers += (lambda: world.pick(fillers),)
    if variant.unsettled_facts:
        makers += (lambda: " or ".join(world.figure(11, 989) for _ in range(variant.unsettled_facts)),)

    # World returns no name or figure twice, so each of them has one label only.
    facts = [f" {label} {world.pick(makers)()}" for label in world.shuffled(_LABELS)[:_FACTS]]

    # Shuffled, because in the same order the copy could go by position alone.
    return ",".join(facts) + ".\n", ",".join(world.shuffled(facts) if shuffled else facts) + "."


def transliteration_exercise(key: str) -> tuple[str, str]:
    """Return six names, figures and words of the news, and the same in Chinese. A pure function of the key."""
    world = World(random=Random(f"transliterating/{key}"), split="train", index=0)  # noqa: S311  reproducible
    # No given names: the news names people by title and surname.
    table = SURNAMES | TOWNS | COMPANIES
    words = CAUSES_IN_CHINESE | TOPICS_IN_CHINESE | MEASURES
    makers: tuple[Callable[[], str], ...] = (world.town, world.company, world.surname)

    items: list[tuple[str, str]] = [(name, table[name]) for name in (world.pick(makers)() for _ in range(2))]
    # Two figures, one word of the news and one weekday, among the names.
    items += [_figure(world) for _ in range(2)]
    items += [world.pick(list(words.items())), world.pick(list(zip(DAYS, _WEEKDAYS, strict=True)))]

    items = world.shuffled(items)
    english, chinese = (", ".join(item[0] for item in items), "，".join(item[1] for item in items))
    return f"English: {english}.\nChinese:", f"{chinese}。"


def _figure(world: World) -> tuple[str, str]:
    """Return a figure as English and as Chinese write it."""
    n = world.figure(11, 989)
    # Two digits only: from 100 million on, Chinese counts in 亿 and not in 万.
    if len(n) == 2 and world.chance(0.5):
        return f"{n} million", f"{n}00万"
    return n, n
