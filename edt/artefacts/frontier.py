"""stub"""

from dataclasses import dataclass

from edt.artefacts.base import Artefact
from edt.pipeline.reproduce import Outcome
from edt.report.page import Section


@dataclass(frozen=True, kw_only=True)
class Frontier(Artefact):
    title = "front"

    def write(self, study, folder, outcomes):
        for n, t in study.tasks.items():
            print(n, t.about())
            for f, c in t.choices.items():
                print(n, f, c, t.value("test", c.strategy_id, "eda"), t.value("test", c.strategy_id, "factuality"))
                ts = [t.value("test", s.strategy_id, "temperature") for s in t.families[f].settings.values()]
                print(min(ts), max(ts))
            print(
                t.compare_fronts("edt_token", "fixed", 0.95),
                t.compare(t.choices["edt_token"].strategy_id, t.choices["fixed"].strategy_id, "eda", 0.95),
            )
        return Outcome(section=Section(name="f", title="f"), evidence={})
