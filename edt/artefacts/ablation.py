"""stub"""

from dataclasses import dataclass

from edt.artefacts.base import Artefact
from edt.pipeline.reproduce import Outcome
from edt.report.page import Section
from edt.strategies import EDT


@dataclass(frozen=True, kw_only=True)
class Ablation(Artefact):
    title = "ablation"
    tasks: tuple[str, ...]
    t0: tuple[float, ...]
    theta: tuple[float, ...]

    def families(self):
        return ("fixed", "edt_token")

    def further(self, task):
        return [EDT(t0=a, theta=b) for a in self.t0 for b in self.theta] if task in self.tasks else []

    def write(self, study, folder, outcomes):
        return Outcome(section=Section(name="f", title="f"), evidence={})
