"""News events of the small world: five kinds, each with the wordings of an article and of its summary.

The committed models were trained on these texts; they must not change.
"""

from __future__ import annotations

from collections.abc import Callable

from edt.tasks.mini.generated_task import DAYS, TextSpec
from edt.tasks.mini.grammar import Slots
from edt.tasks.mini.world import World

THINGS = ("library", "bridge", "museum", "hospital", "school", "stadium", "theatre", "market", "station", "park",
          "tunnel", "clinic", "harbour", "college", "swimming pool", "town hall")  # fmt: skip
CAUSES = ("flood", "fire", "storm", "landslide", "blizzard", "gas leak", "tornado", "power failure")
ROLES = ("chief executive", "finance director", "sales director", "chief engineer", "head of research",
         "chief designer", "legal director", "head of training")  # fmt: skip
REASONS = ("weak orders", "high rents", "falling prices", "new machines", "rising costs", "poor sales")
WORKS = ("novel", "film", "song", "poem", "play", "painting", "vaccine", "sculpture", "symphony", "cookbook")

Story = tuple[TextSpec, TextSpec]
"""The article, and its summaries."""


def _opening(world: World) -> Story:
    """Return a story: a mayor opens a building that cost some millions."""
    town, day = world.town(), world.pick(DAYS)
    thing = world.pick(THINGS)
    place = f"{thing} in {town}"
    person = world.draw_object(place, "opened_by", world.person)
    cost = world.draw_values(place, "cost_million", lambda: world.figure(11, 989))
    # Distractors: the article states them, no summary needs them.
    other = world.draw_object(place, "neighbour", world.person)
    visitors = world.draw_object(place, "visitors", lambda: world.figure(110, 989))
    slots: Slots = {
        "town": town,
        "day": day,
        "thing": thing,
        "person": person,
        "cost": cost,
        "other": other,
        "n": visitors,
    }

    body = (
        "{town} has a [new|long-planned] {thing}. Mayor {person} [cut the ribbon|declared it open] on {day}. "
        "The [work|project] cost {cost} million dollars. {other}, a neighbour, expects {n} visitors a day."
    )

    # Parts that several wordings of the summary share.
    new = "[new|long-awaited|modern|brand-new|]"
    act = "[opened|inaugurated|unveiled|launched]"
    sum_ = "{cost} million [dollars|]"
    worth = "[ worth| costing| built for| that cost| that came to]"
    place = "[in|in the town of|for] {town}"
    summary = (
        f"[[Mayor |]{{person}} [has |]{act} [a|the] {new} {{thing}} {place}{worth} {sum_}"
        f"|[A|The] {new} {{thing}}{worth} {sum_} [has been|was|is] {act} {place} by [Mayor |]{{person}}"
        f"|{{town}} [now has|has|finally has] a {new} {{thing}}{worth} {sum_}[,| and] {act} by [Mayor |]{{person}}"
        f"|[At a cost of|For] {sum_}, {{town}} [has got|gets|now has] a {new} {{thing}}, {act} by [Mayor |]{{person}}]."
    )

    # With its unit, which every wording has: the figure alone could be anything.
    required = [[person], [thing], [town], [f"{value} million" for value in cost]]
    return TextSpec(notation=body, slots=slots, required=[]), TextSpec(notation=summary, slots=slots, required=required)


def _disaster(world: World) -> Story:
    """Return a story: a disaster forces some families to leave their homes."""
    town, day, cause = world.town(), world.pick(DAYS), world.pick(CAUSES)
    event = f"{cause} in {town}"
    person = world.draw_object(event, "rescue_chief", world.person)
    families = world.draw_values(event, "families", lambda: world.figure(11, 989))
    # Distractors: the article states them, no summary needs them.
    other = world.draw_object(event, "farmer", world.person)
    sheep = world.draw_object(event, "sheep", lambda: world.figure(11, 989))
    slots: Slots = {
        "town": town,
        "day": day,
        "cause": cause,
        "person": person,
        "surname": person.split(" ")[1],
        "n": families,
        "other": other,
        "m": sheep,
    }

    body = (
        "A {cause} [struck|hit] {town} on {day}. {n} families had to leave their homes. Rescue chief {person} "
        "[said help was coming|asked for help]. {other}, a farmer, lost {m} sheep."
    )

    # Parts that several wordings of the summary share.
    chief = "[rescue chief {person}|{person}|rescue chief {surname}]"
    said = "[said|says|reported|announced]"
    left = "[have left|have fled|had to leave|were forced out of|were driven from]"
    homes = "[their|their own] [homes|houses|dwellings]"
    after = "[after|because of|following|due to]"
    count = "[|some |about |a total of ]{n} [families|households]"
    summary = (
        f"[A {{cause}} in {{town}} [has|had] [forced|driven|pushed|chased] {count} [from|out of] {homes}"
        f"[, {chief} {said}|, according to {chief}|, says {chief}]"
        f"|{count} {left} {homes} {after} [a|the] {{cause}} in {{town}}[, {chief} {said}|, according to {chief}|]"
        f"|[Rescue chief |]{{person}} {said} [that |]{count} {left} {homes} {after} [a|the] {{cause}} in {{town}}"
        f"|{after} [a|the] {{cause}} in {{town}}, {count} {left} {homes}]."
    )

    # Not the rescue chief, whom some wordings leave out; the figure without its noun, which is families or households.
    required = [[cause], [town], families]
    return TextSpec(notation=body, slots=slots, required=[]), TextSpec(notation=summary, slots=slots, required=required)


def _appointment(world: World) -> Story:
    """Return a story: a company appoints a new officer of some age."""
    company, day, role = world.company(), world.pick(DAYS), world.pick(ROLES)
    post = f"{role} of {company}"
    person = world.draw_object(post, "held_by", world.person)
    age = world.draw_values(person, "age", lambda: world.figure(27, 69))
    # Distractors: the article states them, no summary needs them.
    other = world.draw_object(post, "held_before_by", world.person)
    staff = world.draw_object(company, "staff", lambda: world.figure(110, 989))
    slots: Slots = {
        "company": company,
        "day": day,
        "role": role,
        "person": person,
        "age": age,
        "other": other,
        "n": staff,
    }

    body = (
        "{company} has a new {role}. {person}, {age}, [starts|takes over] on {day}. {other} [left|held] the post "
        "[last month|before]. The [company|firm] has {n} staff."
    )

    aged = "[, {age},|, who is {age},|, aged {age},]"
    summary = (
        f"[{{company}} [has |][named|appointed|chosen|hired|picked] {{person}}{aged} "
        "[as|to be|as its|for the post of] [new |next |]{role}"
        f"|{{person}}{aged} [is|has become|will be|becomes] [the new|the|the next] {{role}} [of|at|with] "
        "[|the company |the firm ]{company}"
        f"|[The new|The next] {{role}} [of|at] [|the company ]{{company}} [is|will be] {{person}}, "
        "[who is {age}|aged {age}|{age} years old]]."
    )

    required = [[company], [role], [person], age]
    return TextSpec(notation=body, slots=slots, required=[]), TextSpec(notation=summary, slots=slots, required=required)


def _closure(world: World) -> Story:
    """Return a story: a company closes a plant, and some jobs are lost."""
    company, town = world.company(), world.town()
    plant = f"{company} plant in {town}"
    jobs = world.draw_values(plant, "jobs", lambda: world.figure(110, 989))
    # Distractors: the article states them, no summary needs them.
    person = world.draw_object(plant, "manager", world.person)
    years = world.draw_object(plant, "age", lambda: world.figure(11, 99))
    reason = world.draw_object(plant, "closes_over", lambda: world.pick(REASONS))
    slots: Slots = {"company": company, "town": town, "reason": reason, "n": jobs, "person": person, "m": years}

    body = (
        "{company} will [close|shut] its plant in {town}. {n} jobs will go. Manager {person} [named|blamed] {reason}. "
        "The [plant|site] is {m} years old."
    )

    # Parts that several wordings of the summary share.
    cut = "[cut|axe|shed|scrap|drop]"
    jobs_word = "[jobs|posts]"
    over = "[because of|due to|over|after|, citing|, blaming]"
    summary = (
        f"[{{company}} [will|is to|plans to|wants to] {cut} {{n}} {jobs_word} "
        f"[in|at its plant in] {{town}} {over} {{reason}}"
        f"|{{n}} {jobs_word} [will be lost|will go|are to go] [in|at the plant in] {{town}} "
        f"as {{company}} [closes|shuts] [its|a] plant {over} {{reason}}"
        f"|[Because of|Due to|After] {{reason}}, {{company}} [will|is to|plans to] {cut} {{n}} {jobs_word} "
        "[in|at its plant in] {town}]."
    )

    # The figure without its noun, which is jobs or posts.
    required = [[company], jobs, [town], [reason]]
    return TextSpec(notation=body, slots=slots, required=[]), TextSpec(notation=summary, slots=slots, required=required)


def _award(world: World) -> Story:
    """Return a story: someone from a town wins a prize of some thousands for a work."""
    person, work, day = world.person(), world.pick(WORKS), world.pick(DAYS)
    town = world.draw_object(person, "comes_from", world.town)
    amount = world.draw_values(person, f"won_thousands_with_{work}", lambda: world.figure(11, 989))
    # Distractors: the article states them, no summary needs them.
    other = world.draw_object(person, "won_ahead_of", world.person)
    pages = world.draw_object(person, "rivals", lambda: world.figure(11, 99))
    slots: Slots = {"person": person, "work": work, "town": town, "n": amount, "other": other, "m": pages, "day": day}

    body = (
        "A [first|top] prize [has gone|went] to a {work} on {day}. {person} from {town} [wins|gets] {n} thousand "
        "dollars. {other} came second. There were {m} rivals."
    )

    # Parts that several wordings of the summary share.
    won = "[won|received|been given|earned|collected|taken]"
    prize = "[a prize|a top prize|an award|the award|a first prize]"
    sum_ = "{n} thousand [dollars|]"
    whose = "[ from {town}| of {town}|, who comes from {town},|, a native of {town},]"
    summary = (
        f"[{{person}}{whose} has {won} {prize} [of|worth|amounting to] {sum_} [for|with|thanks to] [a|the] {{work}}"
        f"|[A|The] {{work}} [by|from] {{person}}{whose} has {won} [{prize} [of|worth] |]{sum_}"
        f"|[For|With|Thanks to] [a|the] {{work}}, {{person}}{whose} has {won} [{prize} [of|worth] |]{sum_}"
        f"|{prize} [of|worth] {sum_} [has gone|went|goes] to {{person}}{whose} for [a|the] {{work}}]."
    )

    required = [[person], [town], [f"{value} thousand" for value in amount], [work]]
    return TextSpec(notation=body, slots=slots, required=[]), TextSpec(notation=summary, slots=slots, required=required)


EVENTS: dict[str, Callable[[World], Story]] = {
    "opening": _opening,
    "disaster": _disaster,
    "appointment": _appointment,
    "closure": _closure,
    "award": _award,
}
"""Draws a story of each kind."""
