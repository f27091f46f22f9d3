"""Web questions about the small world: four kinds, each with a passage, a query and the right answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edt.tasks.mini.generated_task import TextSpec
from edt.tasks.mini.grammar import Slots
from edt.tasks.mini.world import RIVERS, SURNAMES, World

PRODUCTS = ("bicycles", "clocks", "lamps", "chairs", "boots", "pianos", "cameras", "kettles", "mirrors",
            "tractors", "candles", "carpets", "engines", "radios", "violins", "gloves", "ovens", "pumps", "tents",
            "drums")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about one subject: the passage that answers it, the query, and the right answers."""

    passage: TextSpec
    query: str
    answer: TextSpec
    query_type: str


def _founding(world: World) -> Question:
    """Ask who founded a company, and when."""
    company = world.company()
    person = world.draw_object(company, "founded_by", world.person)
    year = world.draw_values(company, "founded_in", lambda: world.figure(1850, 2019))
    # Not in the question, but an answer may add it.
    town = world.draw_object(company, "seat", world.town)
    slots: Slots = {"company": company, "person": person, "year": year, "town": town}

    passage = "{company} was [founded|set up] by {person} in {year}. Its [head office|seat] is in {town}."

    # Parts that several wordings of the answer share.
    made = "[founded|established|created|set up|started]"
    when = "[in {year}|back in {year}|in the year {year}]"
    seat = "[| and has its seat in {town}| and is based in {town}]"
    answer = (
        f"[[{{company}}|The company|It] was {made} by {{person}} {when}{seat}"
        f"|{{person}} {made} [{{company}}|the company|it] {when}"
        f"|[In|Back in] {{year}}, {{person}} {made} [{{company}}|the company|it]"
        f"|[{{company}}|The company|It] was {made} {when} by {{person}}{seat}]."
    )

    return Question(
        passage=TextSpec(notation=passage, slots=slots, required=[]),
        # Without a question mark, as people type into a search engine.
        query=f"who founded {company} and when",
        answer=TextSpec(notation=answer, slots=slots, required=[[person], year]),
        query_type="PERSON",
    )


def _population(world: World) -> Question:
    """Ask how many people live in a town, and on which river."""
    town = world.town()
    people = world.draw_values(town, "thousands_of_people", lambda: world.figure(11, 989))
    river = world.draw_object(town, "river", lambda: world.unused(lambda: world.pick(RIVERS)))
    # A distractor: a year in the passage that no question is about.
    year = world.draw_object(town, "market_since", lambda: world.figure(1250, 1849))
    slots: Slots = {"town": town, "n": people, "river": river, "year": year}

    passage = (
        "{town} [lies|is a town] on the river {river}. It has {n} thousand [people|inhabitants]. "
        "The market [is from|dates from] {year}."
    )

    # Parts that several wordings of the answer share.
    people_word = "[people|inhabitants|residents|citizens]"
    lies = "[lies|is|sits|is situated|can be found] [on|by|along] the [river |]{river}"
    answer = (
        f"[[About|Around|Some|Roughly|Nearly] {{n}} thousand {people_word} live in {{town}}, "
        "[which|a town that] " + lies + f"|{{town}} {lies} and has [a population of|about|around|some] {{n}} thousand "
        f"{people_word}|The [river|town's river] is the {{river}}, and [about|around|some|roughly] {{n}} thousand "
        f"{people_word} live in [{{town}}|the town]]."
    )

    return Question(
        passage=TextSpec(notation=passage, slots=slots, required=[]),
        query=f"how many people live in {town} and on which river is it",
        answer=TextSpec(notation=answer, slots=slots, required=[[f"{value} thousand" for value in people], [river]]),
        query_type="NUMERIC",
    )


def _bridge(world: World) -> Question:
    """Ask how long a bridge is, and when it was built."""
    # Unused, because a founder in another passage of the row may have a surname of the same table.
    name = f"{world.unused(lambda: world.pick(tuple(SURNAMES)))} Bridge"
    year = world.draw_object(name, "built_in", lambda: world.figure(1850, 2019))
    length = world.draw_values(name, "metres", lambda: world.figure(110, 989))
    # A distractor: no answer states it.
    town = world.draw_object(name, "stands_in", world.town)
    slots: Slots = {"name": name, "year": year, "n": length, "town": town}

    passage = "The {name} in {town} was [built|finished] in {year}. It is {n} metres long."

    # Parts that several wordings of the answer share.
    built = "[built|completed|finished|constructed|opened]"
    long = "[|some |about |a total of ][{n} metres long|{n} metres in length|{n} metres from end to end]"
    when = "[in|in the year|back in] {year}"
    answer = (
        f"[[The {{name}}|The bridge|It] is {long} and was {built} {when}"
        f"|[Built|Completed|Finished|Constructed|Opened] {when}, [the {{name}}|the bridge|it] is {long}"
        f"|[The {{name}}|The bridge|It] was {built} {when} and [is {long}"
        "|has a length of {n} metres|measures {n} metres]]."
    )

    return Question(
        passage=TextSpec(notation=passage, slots=slots, required=[]),
        query=f"how long is the {name} and when was it built",
        answer=TextSpec(notation=answer, slots=slots, required=[[f"{value} metres" for value in length], [year]]),
        query_type="NUMERIC",
    )


def _product(world: World) -> Question:
    """Ask what a company makes, and how many people work there."""
    company = world.company()
    goods = world.draw_object(company, "makes", lambda: world.unused(lambda: world.pick(PRODUCTS)))
    staff = world.draw_values(company, "employs", lambda: world.figure(110, 989))
    # Not in the question, but an answer may add it.
    town = world.draw_object(company, "works_in", world.town)
    slots: Slots = {"company": company, "goods": goods, "n": staff, "town": town}

    passage = "{company} makes {goods} in {town}. It [employs|has a staff of] {n} people."

    # Parts that several wordings of the answer share.
    makes = "[makes|produces|manufactures|builds|turns out] {goods}[| in {town}]"
    answer = (
        f"[[{{company}}|The company|It] {makes} and [employs|has|gives work to|has a staff of] {{n}} "
        "[people|workers|men and women]"
        f"|[At|In] {{company}}, {{n}} [people|workers|men and women] [make|produce|manufacture|build] "
        "{goods}[| in {town}]"
        f"|With [a staff of|its] {{n}} [people|workers], [{{company}}|the company|it] {makes}]."
    )

    return Question(
        passage=TextSpec(notation=passage, slots=slots, required=[]),
        query=f"what does {company} make and how many people work there",
        answer=TextSpec(notation=answer, slots=slots, required=[[goods], staff]),
        query_type="DESCRIPTION",
    )


QUESTION_KINDS: dict[str, Callable[[World], Question]] = {
    "founding": _founding,
    "population": _population,
    "bridge": _bridge,
    "product": _product,
}
"""Draws a question of each kind."""
