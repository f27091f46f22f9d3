"""Where the cases of a fuzzer run: a small run that is decoded and scored, data, and a model that is loaded once."""

import json
import shutil
from pathlib import Path

from tests.faults.config_fuzz import Planned

GOLDEN = Path(__file__).parents[1] / "golden" / "runs_0_1_0"


class Place:
    """A folder with runs and data; `stubbed` lets commands end where they would decode, upload or fetch."""

    def __init__(self, folder):
        self.folder = folder
        self.runs = folder / "runs"
        self.rows = folder / "rows.jsonl"
        (golden,) = GOLDEN.glob("mini-mini_xlsum-ae*")
        shutil.copytree(golden, self.runs / golden.name)
        rows = [{"source": f"Question {n}?", "reference": f"answer {n}"} for n in range(6)]
        self.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "home").mkdir()
        self._loaded = {}

    def words(self, command):
        """Overrides that keep a command small and inside the folder."""
        small = ["task.limit=2", "sampling.samples=4", "sampling.max_new_tokens=4"]
        paths = [
            f"paths.runs={self.folder / 'new'}",
            f"paths.results={self.folder / 'r'}",
            f"paths.traces={self.folder / 't'}",
        ]
        if command in ("score", "report", "export"):
            return [f"paths.runs={self.runs}"]
        if command == "fetch":
            return []
        if command == "data":
            return small
        return [*small, *paths, "model.device=cpu"]

    def stub(self, monkeypatch):
        """Let a command end where it would decode, upload or fetch, and load the same model only once."""
        from edt.generation.session import Session
        from edt.models.language_model import LanguageModel

        load = LanguageModel.load.__func__

        def load_once(cls, spec, *, weights=True):
            key = repr((spec, weights))
            if key not in self._loaded:
                model = load(cls, spec, weights=weights)
                if len(self._loaded) > 3:
                    return model
                self._loaded[key] = model
            return self._loaded[key]

        def planned(*_, **__):
            raise Planned

        monkeypatch.chdir(self.folder)
        monkeypatch.setenv("HOME", str(self.folder))
        monkeypatch.setattr(LanguageModel, "load", classmethod(load_once))
        monkeypatch.setattr(Session, "decode", planned)
        monkeypatch.setattr("edt.study.run.decode_tasks", planned)
        monkeypatch.setattr("edt.tracing.trace_prompt.decode_traced", planned)
        monkeypatch.setattr("edt.tracing.demo.decode_traced", planned)
        monkeypatch.setattr("edt.models.fetching.fetch._fetch", planned)
        monkeypatch.setattr("edt.data.write.write_text", planned)
        monkeypatch.setattr("edt.tracking.export.track_study", planned)
