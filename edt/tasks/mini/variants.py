"""The variants of the mini tasks: how skewed the wordings are, what is open, and what the source leaves unsettled.

The defaults are the benchmark that the embedded model was trained on, row by row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from edt.errors import ConfigError
from edt.ranges import check_whole
from edt.tasks.mini.grammar import ZIPF_EXPONENT

if TYPE_CHECKING:
    from edt.tasks.mini.generated_task import TextSpec

__all__ = ["ADJECTIVES", "MOST_FILLERS", "MOST_VALUES", "REPORTERS", "Variant", "with_open_slots"]

ADJECTIVES = (
    "able", "alert", "ample", "arid", "bald", "bitter", "blank", "bleak", "blunt", "bold", "brave", "brief",
    "brisk", "broad", "bulky", "busy", "calm", "candid", "careful", "casual", "cheap", "clean", "clever", "clumsy",
    "coarse", "costly", "crisp", "crude", "cruel", "curious", "daily", "damp", "daring", "dear", "decent", "dense",
    "dire", "direct", "distant", "double", "dreary", "dull", "eager", "early", "earnest", "easy", "elegant",
    "empty", "exact", "faint", "fair", "famous", "fancy", "fatal", "fierce", "final", "fit", "flat", "foreign",
    "formal", "fragile", "frank", "fresh", "frugal", "funny", "gentle", "genuine", "ghastly", "gloomy", "good",
    "grand", "grave", "great", "grim", "happy", "hard", "harsh", "hasty", "heavy", "honest", "huge", "humble",
    "idle", "ideal", "jolly", "joyful", "keen", "large", "lasting", "lavish", "lean", "lively", "lonely", "loud",
    "lovely", "lucky", "mild", "minor", "mixed", "modest", "moral", "narrow", "neat", "nervous", "noble", "normal",
    "odd", "ordinary", "pale", "patient", "plain", "polite", "precise", "private", "prompt", "proper", "proud",
    "public", "pure", "quick", "quiet", "rapid", "rare", "ready", "recent", "remote", "rich", "rigid", "rough",
    "rude", "sacred", "safe", "severe", "shallow", "sharp", "shrewd", "silent", "simple", "slender", "slight",
    "slow", "smooth", "sober", "solemn", "solid", "stable", "steady", "stern", "strange", "strict", "striking",
    "subtle", "sudden", "superb", "tame", "tedious", "tender", "tense", "thick", "thorough", "timely", "tiny",
    "tough", "tragic", "trivial", "urgent", "useful", "vague", "vast", "vivid", "wild", "wise", "witty", "worthy",
)  # fmt: skip
"""Fillers of the second open slot in English; none is a word of the tasks' grammars."""

REPORTERS = (
    "Abbott", "Archer", "Atkins", "Austin", "Bailey", "Barker", "Barnes", "Barrow", "Baxter", "Becker", "Bennett",
    "Benson", "Bishop", "Blythe", "Booth", "Bowers", "Bradley", "Briggs", "Bryant", "Buckley", "Burgess", "Burke",
    "Butler", "Byrne", "Cameron", "Carson", "Carver", "Chandler", "Chapman", "Church", "Clarke", "Clay", "Coleman",
    "Collins", "Conway", "Cooper", "Corbett", "Craig", "Crosby", "Cross", "Curtis", "Dalton", "Daniels", "Davies",
    "Dawson", "Decker", "Dixon", "Dodson", "Doyle", "Drake", "Duncan", "Easton", "Eaton", "Elliott", "Ellis",
    "Emery", "Evans", "Farrell", "Fisher", "Fleming", "Fletcher", "Floyd", "Foster", "Fowler", "Franklin", "Frost",
    "Fuller", "Gibson", "Gilbert", "Glover", "Goodwin", "Gordon", "Graham", "Grant", "Graves", "Greene", "Griffin",
    "Hammond", "Hansen", "Harding", "Harper", "Harris", "Hawkins", "Hayes", "Hewitt", "Higgins", "Hobbs", "Hooper",
    "Howard", "Hudson", "Hughes", "Hunter", "Hurst", "Ingram", "Irwin", "Jarvis", "Jenkins", "Jordan", "Joyce",
    "Keller", "Kemp", "Kendall", "Kerr", "Knight", "Lambert", "Lane", "Lawson", "Leach", "Lloyd", "Logan", "Lowe",
    "Lucas", "Lynch", "Mackay", "Manning", "Mason", "Massey", "Mercer", "Miles", "Mitchell", "Monroe", "Morgan",
    "Murphy", "Myers", "Nash", "Newell", "Nichols", "Oliver", "Osborne", "Owens", "Palmer", "Parker", "Payne",
    "Perkins", "Perry", "Phelps", "Porter", "Potter", "Powell", "Pratt", "Price", "Quinn", "Ramsey", "Randall",
    "Reed", "Reeves", "Rhodes", "Riley", "Roberts", "Rogers", "Rowe", "Russell", "Sanders", "Sawyer", "Shaw",
    "Sheldon", "Simmons", "Slater", "Spencer", "Stevens", "Stokes", "Stone", "Summers", "Sutton", "Tanner", "Tate",
    "Tucker", "Turner", "Tyler", "Vance", "Vaughn", "Wade", "Walsh", "Warner", "Watts", "Webb", "Whitaker",
    "Wilkins", "Wright",
)  # fmt: skip
"""Fillers of the first open slot in English: surnames that the tasks' world does not have."""

_HAN = (
    "伟芳敏静强磊军洋勇艳杰娟涛超秀霞平刚桂华玉萍红鹏辉玲斌宇浩健俊帆晨雨欣倩婷莹慧巧淑惠珠翠雅芝萃毅炎晶妍茜秋珊莎锦青婕馨瑗琰韵融艺咏卿聪澜"
    "纯毓悦昭冰爽琬茗羽希宁飘滢馥筠柔竹霭凝欢霄枫芸菲寒可姬舒影荔枝思功松善厚庆友裕河哲江亮政谦奇固轮翰朗宏言若鸣朋梁栋启翔旭弘义良仁贵全国胜"
    "学祥才武"
)
"""Characters of given names: the fillers of both open slots in Chinese; none is in the tasks' grammars."""

MOST_FILLERS = min(len(ADJECTIVES), len(REPORTERS), len(_HAN))
"""Largest `open_slots`: that many fillers exist for each slot in both languages."""
MOST_VALUES = 8
"""Largest `unsettled_facts`: with more values the held-out splits, which own a tenth of all facts, would run out."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How a generated task differs from the default benchmark; see the keys of `GeneratedTask`."""

    skew: float = ZIPF_EXPONENT
    open_slots: int = 0
    unsettled_facts: int = 0

    def __post_init__(self) -> None:
        skew_ok = isinstance(self.skew, int | float) and not isinstance(self.skew, bool) and math.isfinite(self.skew)
        if not skew_ok or not 0 <= self.skew <= 10:
            raise ConfigError(
                f"task.skew is {self.skew}; it is the exponent of Zipf's law by which wordings are drawn, 0 (all "
                f"equally likely) to 10, by default {ZIPF_EXPONENT:g}."
            )
        fillers = "the number of right fillers of each open slot (0: no open slot)"
        check_whole("task.open_slots", self.open_slots, fillers, least=0, most=MOST_FILLERS)
        values = "the number of right values of each fact that the source leaves open (0: it settles all facts)"
        check_whole("task.unsettled_facts", self.unsettled_facts, values, least=0, most=MOST_VALUES)
        # One filler or value is no choice.
        for name in ("open_slots", "unsettled_facts"):
            if getattr(self, name) == 1:
                raise ConfigError(f"task.{name} is 1; it must be 0 (none), or 2 or more, so that there is a choice.")

    @property
    def changes(self) -> dict[str, Any]:
        """What differs from the default benchmark, as plain JSON; empty for the default."""
        # Only what differs enters a run's identity: the default benchmark keeps its runs of before.
        defaults = {field.name: field.default for field in fields(self)}
        return {name: getattr(self, name) for name, default in defaults.items() if getattr(self, name) != default}


def with_open_slots(spec: TextSpec, variant: Variant, language: str) -> TextSpec:
    """Return the wordings of an answer with two open slots around it; as it is where the variant has none.

    A slot has `open_slots` fillers, all right and equally likely: a step of ln(open_slots) nats where each is one
    token. They are no facts: no source states them, and no fact is required of them.
    """
    if not variant.open_slots:
        return spec
    # Words that no grammar of the tasks holds: a filler must not stand for a fact in the check of facts.
    if language == "zh":
        han = _HAN[: variant.open_slots]
        before = f"[本报|晚报|日报][记者|通讯员][~{'|'.join(han)}][~{'|'.join(han)}][报道|发自现场]："
        return replace(spec, notation=before + spec.notation)

    # The surname comes first, before any fact is written, and the adjective last, after all of them.
    before = f"[~{'|'.join(REPORTERS[: variant.open_slots])}] [reports|writes|has this]: "
    after = f" [It is|That is] [~{'|'.join(ADJECTIVES[: variant.open_slots])}] news."
    return replace(spec, notation=before + spec.notation + after)
