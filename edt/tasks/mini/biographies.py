"""Lives of people of the small world: a section of four sentences, and questions about each with their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edt.tasks.mini.generated_task import TextSpec
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
    """A person with the words that stand for them."""

    person: str
    pronoun: str
    possessive: str
    child: str

    @property
    def surname(self) -> str:
        """The second name."""
        return self.person.split(" ")[1]

    def slots(self, **values: str) -> dict[str, str]:
        """The person's words and further values."""
        return {"she": self.pronoun, "her": self.possessive, "child": self.child, "surname": self.surname, **values}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A sentence of the section, a question about it, and the answers that are right."""

    sentence: TextSpec
    question: str
    answer: TextSpec


def new_person(world: World) -> Person:
    """Somebody whose facts are still to be drawn."""
    if world.chance(0.5):
        return Person(person=world.person(tuple(FEMALE)), pronoun="she", possessive="her", child="daughter")
    return Person(person=world.person(tuple(MALE)), pronoun="he", possessive="his", child="son")


WHO = "[{she}|{surname}]"


def birth(world: World, life: Person) -> Fact:
    """Where and when."""
    town = world.fact(life.person, "born_in_town", world.town)
    year = world.fact(life.person, "born_in_year", lambda: world.figure(1850, 1979))
    trade = world.fact(life.person, "parent_is", lambda: world.pick(TRADES))
    slots = life.slots(town=town, year=year, trade=trade, person=life.person)
    sentence = "{person} was born in {town} in {year}, the {child} of a {trade}."
    parent = "[|, the {child} of a {trade}| as the {child} of a {trade}| into the home of a {trade}]"
    born = "[was born|came into the world|first saw the light of day|entered the world]"
    place = "[in|in the town of|at] {town}"
    answer = (
        f"[{WHO} {born} {place} [in|in the year|back in] {{year}}{parent}"
        f"|{WHO} {born} [in|in the year|back in] {{year}} {place}{parent}"
        f"|[The birth of {{surname}}|{{her}} birth] [was|took place] {place} [in|in the year|back in] {{year}}"
        f"|[In|In the year|Back in] {{year}}, {WHO} {born} {place}{parent}]."
    )
    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Where and when was {life.pronoun} born?",
        answer=TextSpec(notation=answer, slots=slots, required=[[town], [year]]),
    )


def study(world: World, life: Person) -> Fact:
    """What and where, until which year."""
    town = world.fact(life.person, "studied_in", world.town)
    subject = world.fact(life.person, "studied", lambda: world.pick(SUBJECTS))
    year = world.fact(life.person, "graduated_in", lambda: world.figure(1870, 1999))
    slots = life.slots(town=town, subject=subject, year=year)
    sentence = "{she} [studied|read] {subject} in {town} until {year}."
    studied = "[studied|read|took a degree in|chose|did]"
    answer = (
        f"[{WHO} {studied} {{subject}} [in|at the college of|at a school in|over in] {{town}} "
        "[until|up to|till] {year}"
        f"|[{{her}}|The] [subject|field|choice] was {{subject}}, [in|at the college of] {{town}}, "
        "[until|up to|till] {year}"
        f"|[Until|Up to] {{year}}, {WHO} {studied} {{subject}} [in|at the college of|at a school in|over in] {{town}}]."
    )
    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"What did {life.pronoun} study, and where?",
        answer=TextSpec(notation=answer, slots=slots, required=[[subject], [town], [year]]),
    )


def work(world: World, life: Person) -> Fact:
    """As what, for whom and for how long."""
    company = world.fact(life.person, "worked_for", world.company)
    job = world.fact(life.person, "worked_as", lambda: world.pick(JOBS))
    years = world.fact(life.person, "worked_years", lambda: world.figure(11, 49))
    slots = life.slots(company=company, job=job, years=years)
    sentence = "{she} was [a|the] {job} at {company} for {years} years."
    worked = "[worked|was employed|served|earned {her} living]"
    span = "[for|for a total of|over|for some] {years} years"
    at = "[at|with|for|in the service of]"
    answer = (
        f"[{WHO} {worked} [as a|as the] {{job}} {at} {{company}} {span}"
        f"|{WHO} {worked} {at} {{company}} {span}, [as a|as the] {{job}}"
        f"|{WHO} spent {{years}} years {at} {{company}}[,|] [as|working as|employed as] [a|the] {{job}}"
        f"|[For|Over] {{years}} years, {WHO} was [a|the] {{job}} {at} {{company}}]."
    )
    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Where did {life.pronoun} work?",
        answer=TextSpec(notation=answer, slots=slots, required=[[job], [company], [f"{years} years"]]),
    )


def prize(world: World, life: Person) -> Fact:
    """Which prize, when and for what."""
    town = world.fact(life.person, "prize_of", world.town)
    year = world.fact(life.person, "prize_year", lambda: world.figure(1900, 2019))
    topic = world.fact(life.person, "prize_for", lambda: world.pick(TOPICS))
    slots = life.slots(town=town, year=year, topic=topic)
    sentence = "In {year} {she} won the {town} Prize for a book on {topic}."
    won = "[won|received|was given|was awarded|took home]"
    book = "[for|thanks to|with] [a|{her}] [book|work|study|volume] [on|about|dealing with] {topic}"
    when = "[in|in the year|back in] {year}"
    answer = (
        f"[[Yes, |]{WHO} {won} the {{town}} Prize {when} {book}"
        f"|[Yes, in|In] {{year}} {WHO} {won} the {{town}} Prize {book}"
        "|[Yes, |]the {town} Prize [went|was given] to {surname} [in {year}|back in {year}] "
        f"{book}]."
    )
    return Fact(
        sentence=TextSpec(notation=sentence, slots=slots, required=[]),
        question=f"Did {life.pronoun} win a prize?",
        answer=TextSpec(notation=answer, slots=slots, required=[[f"{town} Prize"], [year], [topic]]),
    )


FACT_KINDS: tuple[Callable[[World, Person], Fact], ...] = (birth, study, work, prize)
