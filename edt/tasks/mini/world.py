"""The small world of the mini tasks: people, towns, companies, figures, and the split that owns each fact.

Names are combinations (40 given names × 120 surnames, 60 towns, 240 companies), so a model cannot know them and must
copy them. Randomness comes from `random.Random(text)` and only through `.random()`, whose sequence for a string
seed is the same in every Python version since 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from edt.ids import seeded_rank
from edt.tasks.mini.variants import Variant

T = TypeVar("T")

FEMALE = {
    "Anna": "安娜", "Bella": "贝拉", "Clara": "克拉拉", "Diana": "黛安娜", "Emma": "埃玛", "Flora": "弗洛拉",
    "Greta": "格蕾塔", "Helen": "海伦", "Irene": "艾琳", "Julia": "朱莉娅", "Karen": "卡伦", "Laura": "劳拉",
    "Maria": "玛丽亚", "Nora": "诺拉", "Paula": "葆拉", "Rita": "丽塔", "Sonia": "索尼娅", "Tina": "蒂娜",
    "Vera": "薇拉", "Wanda": "万达",
}  # fmt: skip
MALE = {
    "Adam": "亚当", "Boris": "鲍里斯", "Carl": "卡尔", "David": "戴维", "Erik": "埃里克", "Felix": "费利克斯",
    "George": "乔治", "Henry": "亨利", "Ivan": "伊万", "James": "詹姆斯", "Kevin": "凯文", "Louis": "路易斯",
    "Martin": "马丁", "Oscar": "奥斯卡", "Peter": "彼得", "Robert": "罗伯特", "Simon": "西蒙", "Thomas": "托马斯",
    "Victor": "维克托", "Walter": "沃尔特",
}  # fmt: skip
GIVEN = FEMALE | MALE

# Tables: English -> Chinese. A stem and an ending make a name in both languages.
_SURNAME_STEMS = {
    "Hal": "哈尔", "Lin": "林", "Mar": "马尔", "Nor": "诺尔", "Ber": "伯", "Kal": "卡尔", "Sol": "索尔", "Ren": "伦",
    "Tor": "托尔", "Vin": "文", "Ash": "阿什", "Bran": "布兰", "Cas": "卡斯", "Dor": "多尔", "Fen": "芬", "Gar": "加尔",
    "Hol": "霍尔", "Jan": "扬", "Wes": "韦斯", "Mor": "莫尔",
}  # fmt: skip
_SURNAME_ENDS = {"man": "曼", "sen": "森", "ford": "福德", "well": "韦尔", "ton": "顿", "ley": "利"}
SURNAMES = {a + b: x + y for a, x in _SURNAME_STEMS.items() for b, y in _SURNAME_ENDS.items()}

_TOWN_STEMS = {
    "Al": "阿尔", "Bel": "贝尔", "Cor": "科尔", "Dun": "邓", "Es": "埃斯", "Fal": "法尔", "Gren": "格伦", "Har": "哈尔",
    "Kir": "基尔", "Lor": "洛尔", "Mel": "梅尔", "Nar": "纳尔",
}  # fmt: skip
_TOWN_ENDS = {"vik": "维克", "dale": "代尔", "port": "波特", "burg": "堡", "mere": "米尔"}
TOWNS = {a + b: x + y for a, x in _TOWN_STEMS.items() for b, y in _TOWN_ENDS.items()}

_COMPANY_NAMES = {
    "Apex": "顶点", "Atlas": "阿特拉斯", "Cobalt": "钴蓝", "Comet": "彗星", "Delta": "三角洲", "Ember": "余烬",
    "Falcon": "猎鹰", "Granite": "花岗", "Harbor": "海港", "Helix": "螺旋", "Lumen": "流明", "Nova": "新星",
    "Orion": "猎户", "Pioneer": "先锋", "Quartz": "石英", "Sierra": "山脊", "Terra": "大地", "Vega": "织女",
    "Willow": "柳树", "Zephyr": "西风",
}  # fmt: skip
_COMPANY_KINDS = {
    "Foods": "食品", "Motors": "汽车", "Energy": "能源", "Media": "传媒", "Steel": "钢铁", "Systems": "系统",
    "Textiles": "纺织", "Airlines": "航空", "Press": "出版", "Bank": "银行", "Pharma": "制药", "Toys": "玩具",
}  # fmt: skip
COMPANIES = {f"{a} {b}": f"{x}{y}" for a, x in _COMPANY_NAMES.items() for b, y in _COMPANY_KINDS.items()}

NAME_ENDS = (*_SURNAME_ENDS, *_TOWN_ENDS)
"""Endings of surnames and towns in English; the rest of the name is its stem."""
CHINESE_PARTS = tuple(
    sorted({
        part
        for table in (_SURNAME_STEMS, _SURNAME_ENDS, _TOWN_STEMS, _TOWN_ENDS, _COMPANY_NAMES, _COMPANY_KINDS)
        for part in table.values()
    }, key=lambda part: (-len(part), part))
)  # fmt: skip
"""Parts of the Chinese names of surnames, towns and companies, the longest first."""

RIVERS = ("Tave", "Isk", "Lune", "Orne", "Sarre", "Velm", "Drau", "Elbe", "Wye", "Tarn", "Nidd", "Yare", "Blau", "Moss",
          "Rhine", "Clyde", "Stour", "Teign", "Avon", "Eden")  # fmt: skip

_HELD_OUT = ("dev", "test")
"""Each of these owns a tenth of all facts; train owns the rest."""


class NoFactLeftError(Exception):
    """Raised when a subject has no object left whose fact belongs to the split; the row is then drawn again."""


def fact_split(subject: str, relation: str, obj: str) -> str:
    """Return the only split in which a (subject, relation, object) fact may be stated.

    It is the same for every seed, so no split of any seed states a fact that another split tests.
    """
    # \x1f separates the three: "a", "bc" and "ab", "c" are different facts.
    part = seeded_rank(0, f"{subject}\x1f{relation}\x1f{obj}") % 10
    return _HELD_OUT[part] if part < len(_HELD_OUT) else "train"


@dataclass(kw_only=True)
class World:
    """Draws names and facts for one row.

    facts: the (subject, relation, object) triples that were drawn; all belong to `split`.
    used: the names and figures of this row. None is drawn twice, so a copied name has one meaning.
    variant: of the task that the row belongs to.
    """

    random: Random
    split: str
    index: int
    facts: list[tuple[str, str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    variant: Variant = field(default_factory=Variant)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self.random.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.random.random() < probability

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in a random order."""
        # Not Random.shuffle: its sequence may change between Python versions.
        keyed = [(self.random.random(), item) for item in items]
        # By the number alone: items such as functions have no order.
        return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]

    def unused(self, make: Callable[[], str]) -> str:
        """Return a name or figure that this row has not used yet."""
        # A bound, because a row may use up a small table such as the rivers.
        for _ in range(1000):
            value = make()
            if value not in self.used:
                self.used.add(value)
                return value
        raise NoFactLeftError

    def person(self, given: Sequence[str] = tuple(GIVEN)) -> str:
        """Return a given name and a surname, both unused in this row."""
        return f"{self.unused(lambda: self.pick(given))} {self.surname()}"

    def surname(self) -> str:
        """Return a surname that this row has not used."""
        return self.unused(lambda: self.pick(tuple(SURNAMES)))

    def town(self) -> str:
        """Return a town that this row has not used."""
        return self.unused(lambda: self.pick(tuple(TOWNS)))

    def company(self) -> str:
        """Return a company whose first word this row has not used."""
        # By its first word, so that no row has two companies that differ only in the second.
        first = self.unused(lambda: self.pick(tuple(_COMPANY_NAMES)))
        return f"{first} {self.pick(tuple(_COMPANY_KINDS))}"

    def figure(self, low: int, high: int) -> str:
        """Return a whole number from low to high that this row has not used."""
        return self.unused(lambda: str(low + int(self.random.random() * (high - low + 1))))

    def draw_object(self, subject: str, relation: str, make: Callable[[], str]) -> str:
        """Return an object for (subject, relation) whose fact belongs to this split, and record the fact.

        Raises NoFactLeftError when none is found, so that the row is drawn again.
        """
        before = set(self.used)
        # A held-out split owns one fact in ten: where 200 draws fail, most likely none is left (0.9**200 < 1e-9).
        for _ in range(200):
            # A rejected object must not count as used.
            self.used = set(before)
            obj = make()
            if fact_split(subject, relation, obj) == self.split:
                self.facts.append((subject, relation, obj))
                return obj
        raise NoFactLeftError

    def draw_values(self, subject: str, relation: str, make: Callable[[], str]) -> tuple[str, ...]:
        """Return the right objects for (subject, relation): one, or several where the variant leaves the fact open.

        Raises NoFactLeftError as `draw_object` does.
        """
        return tuple(self.draw_object(subject, relation, make) for _ in range(max(1, self.variant.unsettled_facts)))
