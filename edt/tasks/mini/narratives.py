"""Plain English texts for the base model: short narratives of the small world, and a few fixed explanations.

The committed model was trained on these texts; they must not change.
"""

from __future__ import annotations

from random import Random

from edt.tasks.mini.biographies import JOBS, TOPICS, TRADES
from edt.tasks.mini.events import REASONS, THINGS
from edt.tasks.mini.generated_task import DAYS
from edt.tasks.mini.grammar import draw, grammar
from edt.tasks.mini.questions import PRODUCTS
from edt.tasks.mini.world import GIVEN, TOWNS, World

__all__ = ["narrative"]

_EXPLANATIONS = (
    "A language model gives each possible next word a probability. To write, we draw one of them.",
    "At a low temperature the model picks the likeliest word nearly always. The text is safe, and often the same.",
    "At a high temperature rare words come up more often. The text is varied, and more often wrong.",
    "Entropy measures how unsure the model is. It is zero when one word has all the probability.",
    "Where a name must be copied, only one word is right. Where a story goes on, many words are right.",
    "A summary says in one sentence what an article says in many.",
    "A translation says in one language what a text says in another.",
    "A good answer repeats the facts of its source, and adds none of its own.",
)

_EXPLANATION_SHARE = 0.05
"""Share of texts that are one of the fixed explanations."""

_STORY = (
    "[On {day}|One {day}|Last {day}] {name} [went|walked|drove|took the train] to {town} [to buy {goods}|to see the "
    "{thing}|to visit a {trade}|to look for work]. [The weather was|It was] [cold|warm|wet|bright|windy], and "
    "[the streets were empty|the shops were closed|many people were out|nobody said much]. "
    "[Near the {thing}|At the market|In a small shop|By the river], {name} met {other}, [a {job}|a {trade}|an old "
    "friend]. [They talked about {topic}|They spoke of {reason}|They shared some bread|They looked at {goods}] "
    "[for an hour|until dark|for a while]. [Then|Later|In the end] {name} [went home|took the last bus|stayed the "
    "night|wrote a letter], [tired but happy|and slept well|and told nobody|with {m} coins left]."
)


def narrative(key: str) -> str:
    """Return a short text, a pure function of its key."""
    random = Random(f"narrative/{key}")  # noqa: S311  reproducible, no secret
    # No fact is drawn here, so a narrative says nothing that a split could own.
    world = World(random=random, split="train", index=0)
    if world.chance(_EXPLANATION_SHARE):
        return world.pick(_EXPLANATIONS)

    name, other = world.shuffled(tuple(GIVEN))[:2]
    slots = {"name": name, "other": other, "day": world.pick(DAYS), "town": world.pick(tuple(TOWNS))}
    slots |= {"goods": world.pick(PRODUCTS), "thing": world.pick(THINGS), "trade": world.pick(TRADES)}
    slots |= {"job": world.pick(JOBS), "topic": world.pick(TOPICS), "reason": world.pick(REASONS)}
    return draw(grammar(_STORY, {**slots, "m": world.figure(11, 99)}), random)
