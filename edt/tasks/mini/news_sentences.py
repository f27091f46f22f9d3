"""News of one sentence in English, with the right Chinese translations: five kinds.

Names are transliterated by the fixed tables of `world`; figures are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edt.tasks.mini.generated_task import DAYS, TextSpec
from edt.tasks.mini.grammar import Slots
from edt.tasks.mini.world import COMPANIES, SURNAMES, TOWNS, World

DAY_ENDS = "一二三四五六日"
CAUSES = {
    "flood": "洪水", "fire": "火灾", "storm": "风暴", "landslide": "山体滑坡", "blizzard": "暴风雪",
    "gas leak": "燃气泄漏", "tornado": "龙卷风", "power failure": "停电",
}  # fmt: skip
TOPICS = {
    "trade": "贸易", "taxes": "税收", "tourism": "旅游", "schools": "教育", "housing": "住房", "farming": "农业",
    "fishing": "渔业", "transport": "交通", "pensions": "养老金", "health": "医疗",
}  # fmt: skip
TITLES = {"Mr": "先生", "Ms": "女士"}
MEASURES = {
    "sales": "销售额", "profits": "利润", "orders": "订单", "exports": "出口", "costs": "成本", "debts": "债务",
    "wages": "工资", "prices": "价格",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NewsSentence:
    """The English sentence, and its right translations."""

    english: TextSpec
    chinese: TextSpec


def _day(world: World) -> tuple[str, str]:
    """Return a weekday in English, and the two usual ways to write it in Chinese, as notation."""
    # An index instead of `pick`, because both languages need the same day.
    index = int(world.random.random() * len(DAYS))
    return DAYS[index], f"[周{DAY_ENDS[index]}|星期{DAY_ENDS[index]}]"


def _news_sentence(english: str, chinese: str, slots: Slots, required: Sequence[Sequence[str]]) -> NewsSentence:
    return NewsSentence(
        english=TextSpec(notation=english, slots=slots, required=[]),
        chinese=TextSpec(notation=chinese, slots=slots, required=required),
    )


_REPORT = "[|据报道，|据悉，|据当地媒体报道，|有消息称，|记者获悉，]"
"""Optional beginnings of a translation ("it is reported", "local media report", …)."""


def _investment(world: World) -> NewsSentence:
    """Report that a company invests some millions in a town."""
    company = world.company()
    town = world.draw_object(company, "invests_in", world.town)
    millions = world.draw_values(f"{company} in {town}", "invests_million", lambda: world.figure(11, 98))
    day, on = _day(world)
    # Ten thousand (万) is a unit in Chinese: 42 million is 4200 times ten thousand.
    # Two digits, so that the sum stays in this unit: 100 million is 1 亿.
    slots: Slots = {"company": company, "town": town, "n": millions, "day": day,
             "firm": COMPANIES[company], "place": TOWNS[town],
             "sum": tuple(f"{value}00万美元" for value in millions)}  # fmt: skip

    english = "{company} [said|announced] on {day} that it will invest {n} million dollars in a plant in {town}."

    # Chinese puts time, place and sum in several orders; the parts are shared by all of them.
    says, will = "[宣布|表示|称|透露|说]", "[将|计划|拟|打算|准备|决定]"
    plant, put = "[建厂|兴建工厂|建设工厂|开设工厂|建造一座工厂]", "[投资|投入|斥资|出资|注资]"
    does = f"[{put}{{sum}}在{{place}}{plant}|在{{place}}{put}{{sum}}{plant}|在{{place}}{plant}，{put}{{sum}}]"
    chinese = f"{_REPORT}[{{firm}}{on}{says}[，|]|{on}，{{firm}}{says}[，|]|{{firm}}]{will}{does}。"

    # The day is not required, because one wording leaves it out.
    return _news_sentence(english, chinese, slots, [[COMPANIES[company]], [TOWNS[town]], slots["sum"]])


def _election(world: World) -> NewsSentence:
    """Report that someone of some age is elected mayor."""
    town, title = world.town(), world.pick(tuple(TITLES))
    name = world.draw_object(town, "elects", lambda: f"{title} {world.surname()}")
    age = world.draw_values(name, "age", lambda: world.figure(27, 79))
    day, on = _day(world)
    surname = name.split(" ")[1]
    slots: Slots = {"town": town, "person": name, "age": age, "day": day,
             "name": SURNAMES[surname], "mr": TITLES[title], "place": TOWNS[town]}  # fmt: skip

    english = "{person}, {age}, was elected [mayor of {town} on {day}|on {day} as mayor of {town}]."

    # Parts that several translations share.
    named = "{name}[{mr}|]"
    aged = "{age}岁"
    who = f"[{aged}的{named}|现年{aged}的{named}|{named}（{aged}）|{named}，{aged}，|年龄{aged}的{named}]"
    elected = "[当选|获选|被选举|被选|选举]为"
    wins = elected + "[{place}|{place}的|{place}这座城市的|小城{place}的][市长|新市长|新任市长|新一任市长]"
    vote = f"{{place}}选举{on}揭晓，"
    chinese = f"{_REPORT}[{who}{on}{wins}|{on}，{who}{wins}|{who}在{on}的选举中{wins}|{vote}{who}{wins}]。"

    # The surname without its title, which a translation may leave out.
    return _news_sentence(
        english, chinese, slots, [[SURNAMES[surname]], [f"{value}岁" for value in age], [TOWNS[town]]]
    )


def _evacuation(world: World) -> NewsSentence:
    """Report that a disaster forces some families of a town to leave their homes."""
    town, cause = world.town(), world.pick(tuple(CAUSES))
    families = world.draw_values(f"{cause} in {town}", "families", lambda: world.figure(110, 989))
    day, on = _day(world)
    slots: Slots = {"town": town, "cause": cause, "n": families, "day": day, "place": TOWNS[town], "why": CAUSES[cause]}

    english = "A {cause} in {town} forced {n} families to leave their homes on {day}."

    # Parts that several translations share.
    made = "[迫使|导致|造成|使得|令][|当地|多达]{n}[户家庭|户居民|个家庭|户人家]"
    gone = "[撤离|离开|逃离|搬离|告别][家园|住所|住处|家中|自己的家]"
    struck = "[发生|遭遇|出现|突发|遭受]{why}"
    chinese = (
        f"{_REPORT}[{{place}}{on}{struck}，{made}{gone}|{on}，{{place}}{struck}，{made}{gone}"
        f"|{{place}}的{{why}}{on}{made}{gone}|{{place}}{struck}，{on}{made}{gone}]。"
    )

    return _news_sentence(english, chinese, slots, [[TOWNS[town]], [CAUSES[cause]], families])


def _results(world: World) -> NewsSentence:
    """Report that a measure of a company rises or falls by some percent."""
    company, measure, up = world.company(), world.pick(tuple(MEASURES)), world.chance(0.5)
    verb, last = "rose" if up else "fell", "year" if world.chance(0.5) else "month"
    # Direction and period are part of the relation: a rise and a fall by 12 percent are two facts.
    percent = world.draw_values(company, f"{measure} {verb} last {last} by percent", lambda: world.figure(11, 89))
    slots: Slots = {"company": company, "measure": measure, "verb": verb, "n": percent, "last": last,
             "firm": COMPANIES[company], "what": MEASURES[measure]}  # fmt: skip

    english = "[The {measure} of {company}|{company} said its {measure}] {verb} by {n} percent last {last}."

    # Parts that several translations share.
    when = "[去年|上一年|上年度|在过去一年]" if last == "year" else "[上月|上个月|上月份|在过去一个月]"
    verbs = ["增长", "上升", "上涨", "增加", "提高"] if up else ["下降", "下跌", "减少", "下滑", "降低"]
    moved = f"[{'|'.join(verbs)}][了|][|约|大约|近|差不多][{{n}}%|百分之{{n}}]"
    says = "[表示|称|宣布|透露|说]"
    chinese = (
        f"{_REPORT}[{{firm}}[的|]{{what}}{when}{moved}|{{firm}}{when}[的|]{{what}}{moved}"
        f"|{{firm}}{says}，[其|公司|该公司]{{what}}{when}{moved}|{when}，{{firm}}[的|]{{what}}{moved}]。"
    )

    # A verb of the wrong direction is a wrong fact, so the verbs are required too.
    required = [
        [COMPANIES[company]],
        [MEASURES[measure]],
        verbs,
        [form for value in percent for form in (f"{value}%", f"百分之{value}")],
    ]

    return _news_sentence(english, chinese, slots, required)


def _visit(world: World) -> NewsSentence:
    """Report that someone visits a town to discuss a topic."""
    title = world.pick(tuple(TITLES))
    name = f"{title} {world.surname()}"
    town = world.draw_object(name, "visits", world.town)
    topic = world.draw_object(f"{name} in {town}", "talks_about", lambda: world.pick(tuple(TOPICS)))
    day, on = _day(world)
    slots: Slots = {"person": name, "town": town, "topic": topic, "day": day, "mr": TITLES[title],
             "name": SURNAMES[name.split(" ")[1]], "place": TOWNS[town], "what": TOPICS[topic]}  # fmt: skip

    english = "{person} will [visit|travel to] {town} on {day} to discuss {topic}."

    # Parts that several translations share.
    will, go = "[将|将会|计划|打算|准备]", "[访问|前往|到访|去|赶赴]{place}"
    talk = "[讨论|商讨|谈论|商谈|磋商][{what}|有关{what}的][问题|议题|事宜|事务]"
    named = "{name}[{mr}|]"
    chinese = (
        f"{_REPORT}[{named}{will}{on}{go}，{talk}|{on}，{named}{will}{go}{talk}|{named}{will}在{on}{go}，与各方{talk}"
        f"|为{talk}，{named}{will}{on}{go}]。"
    )

    return _news_sentence(english, chinese, slots, [[SURNAMES[name.split(" ")[1]]], [TOWNS[town]], [TOPICS[topic]]])


NEWS_KINDS: dict[str, Callable[[World], NewsSentence]] = {
    "investment": _investment,
    "election": _election,
    "evacuation": _evacuation,
    "results": _results,
    "visit": _visit,
}
"""Draws a sentence of each kind."""
