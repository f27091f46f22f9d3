"""Biographies of people of the small world: four facts, each with its sentence, a question and the right answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edt.tasks.mini.generated_task import TextSpec
from edt.tasks.mini.grammar import Slots
from edt.tasks.mini.world import FEMALE, MALE, World

TRADES = ("baker", "miner", "tailor", "farmer", "sailor", "teacher", "printer", "weaver", "doctor", "carpenter",
          "painter", "fisherman")  # fmt: skip
SUBJECTS = ("law", "physics", "medicine", "history", "music", "chemistry", "botany", "geology", "algebra", "Latin",
            "philosophy", "astronomy", "drawing", "economics")  # fmt: skip
JOBS = ("mechanic", "reporter", "chemist", "lawyer", "pilot", "cook", "designer", "banker", "driver", "surveyor",
        "gardener", "librarian", "translator", "clerk")  # fmt: skip
TOPICS = ("glaciers", "orchids", "comets", "fossils", "rivers", "bees", "volcanoes", "dialects", "ferns", "storms",
          "coral", "wheat", "old maps", "bridges")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person: full name, and the words that refer to them."""

    name: str
    pronoun: str
    possessive: str
    child: str

    @property
    def surname(self) -> str:
        """The second part of the name."""
        return self.name.split(" ")[1]

    def slots(self, **values: str | tuple[str, ...]) -> Slots:
        """Return the words that refer to the person, and further values."""
        return {"she": self.pronoun, "her": self.possessive, "child": self.child, "surname": self.surname, **values}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A fact about a person: its sentence in the section, a question about it, and the right answers."""

    sentence: TextSpec
    question: str
    answer: TextSpec


def new_person(world: World) -> Person:
    """Return a new person, without any facts so far."""
    if world.chance(0.5):
        return Person(name=world.person(tuple(FEMALE)), pronoun="she", possessive="her", child="daughter")
    return Person(name=world.person(tuple(MALE)), pronoun="he", possessive="his", child="son")


_WHO = "[{she}|{surname}]"
"""The person as the subject of an answer. The pronoun must agree: "he" for a daughter is a wrong answer."""


def _birth(world: World, person: Person) -> Fact:
    """State where and when the person was born."""
    town = world.draw_object(person.name, "born_in_town", world.town)
    year = world.draw_values(person.name, "born_in_year", lambda: world.figure(1850, 1979))
    # Not in the question, but an answer may add it.
    trade = world.draw_object(person.name, "parent_is", lambda: world.pick(TRADES))
    slots = person.slots(town=town, year=year, trade=trade, person=person.name)

    sentence = "{person} was born in {town} in {year}, the {child} of a {trade}."

    # Parts that several wordings of the answer share.
    parent = "[|, the {child} of a {trade}| as the {child} of a {trade}| into the home of a {trade}]"
    born = "[was born|came into the world|first saw the light of day|entered the world]"
    place = "[in|in the town of|at] {town}"
    answer = (
        f"[{_WHO} {born} {place} [in|in the year|back in] {{year}}{parent}"
        f"|{_WHO} {born} [in|in the year|back in] {{year}} {place}{parent}"
        f"|[The birth of {{surname}}|{{her}} birth] [was|took place] {place} [in|in the year|back in] {{year}}"
        f"|[In|In the year|Back in] {{year}}, {_WHO} {born} {place}{parent}]."
    )

    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Where and when was {person.pronoun} born?",
        answer=TextSpec(notation=answer, slots=slots, required=[[town], year]),
    )


def _study(world: World, person: Person) -> Fact:
    """State what the person studied, where, and until which year."""
    town = world.draw_object(person.name, "studied_in", world.town)
    subject = world.draw_object(person.name, "studied", lambda: world.pick(SUBJECTS))
    year = world.draw_values(person.name, "graduated_in", lambda: world.figure(1870, 1999))
    slots = person.slots(town=town, subject=subject, year=year)

    sentence = "{she} [studied|read] {subject} in {town} until {year}."

    # Parts that several wordings of the answer share.
    studied = "[studied|read|took a degree in|chose|did]"
    answer = (
        f"[{_WHO} {studied} {{subject}} [in|at the college of|at a school in|over in] {{town}} "
        "[until|up to|till] {year}"
        f"|[{{her}}|The] [subject|field|choice] was {{subject}}, [in|at the college of] {{town}}, "
        "[until|up to|till] {year}"
        f"|[Until|Up to] {{year}}, {_WHO} {studied} {{subject}} "
        "[in|at the college of|at a school in|over in] {town}]."
    )

    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"What did {person.pronoun} study, and where?",
        # The question does not need the year, but every wording of the answer states it.
        answer=TextSpec(notation=answer, slots=slots, required=[[subject], [town], year]),
    )


def _work(world: World, person: Person) -> Fact:
    """State the person's job, company, and years there."""
    company = world.draw_object(person.name, "worked_for", world.company)
    job = world.draw_object(person.name, "worked_as", lambda: world.pick(JOBS))
    years = world.draw_values(person.name, "worked_years", lambda: world.figure(11, 49))
    slots = person.slots(company=company, job=job, years=years)

    sentence = "{she} was [a|the] {job} at {company} for {years} years."

    # Parts that several wordings of the answer share.
    worked = "[worked|was employed|served|earned {her} living]"
    span = "[for|for a total of|over|for some] {years} years"
    at = "[at|with|for|in the service of]"
    answer = (
        f"[{_WHO} {worked} [as a|as the] {{job}} {at} {{company}} {span}"
        f"|{_WHO} {worked} {at} {{company}} {span}, [as a|as the] {{job}}"
        f"|{_WHO} spent {{years}} years {at} {{company}}[,|] [as|working as|employed as] [a|the] {{job}}"
        f"|[For|Over] {{years}} years, {_WHO} was [a|the] {{job}} {at} {{company}}]."
    )

    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Where did {person.pronoun} work?",
        # Job and years too, because every wording of the answer states them.
        answer=TextSpec(
            notation=answer, slots=slots, required=[[job], [company], [f"{value} years" for value in years]]
        ),
    )


def _prize(world: World, person: Person) -> Fact:
    """State which prize the person won, when and for what."""
    town = world.draw_object(person.name, "prize_of", world.town)
    year = world.draw_values(person.name, "prize_year", lambda: world.figure(1900, 2019))
    topic = world.draw_object(person.name, "prize_for", lambda: world.pick(TOPICS))
    slots = person.slots(town=town, year=year, topic=topic)

    sentence = "In {year} {she} won the {town} Prize for a book on {topic}."

    # Parts that several wordings of the answer share.
    won = "[won|received|was given|was awarded|took home]"
    book = "[for|thanks to|with] [a|{her}] [book|work|study|volume] [on|about|dealing with] {topic}"
    when = "[in|in the year|back in] {year}"
    answer = (
        f"[[Yes, |]{_WHO} {won} the {{town}} Prize {when} {book}"
        f"|[Yes, in|In] {{year}} {_WHO} {won} the {{town}} Prize {book}"
        "|[Yes, |]the {town} Prize [went|was given] to {surname} [in {year}|back in {year}] "
        f"{book}]."
    )

    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Did {person.pronoun} win a prize?",
        # Not "yes", which some wordings leave out; the prize itself says it.
        answer=TextSpec(notation=answer, slots=slots, required=[[f"{town} Prize"], year, [topic]]),
    )


FACT_KINDS: dict[str, Callable[[World, Person], Fact]] = {
    "birth": _birth,
    "study": _study,
    "work": _work,
    "prize": _prize,
}
"""Draws a fact of each kind, in the order of the section's sentences."""
