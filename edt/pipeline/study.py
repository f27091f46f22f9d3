"""A study: one run per task, from one command and one loaded model."""

from __future__ import annotations

from edt.decoding.model import LanguageModel
from edt.pipeline.generate import generate_task
from edt.pipeline.progress import Progress
from edt.pipeline.request import GenerationRequest
from edt.store.layout import RunFolder
from edt.store.manifest import Manifest


def generate_study(request: GenerationRequest) -> list[tuple[RunFolder, Manifest]]:
    """Decode what is missing of every task; the run folders with their manifests, in the request's order."""
    engine = request.engine.build(LanguageModel.load(request.model))
    progress = Progress()
    return [generate_task(request, task, engine, progress) for task in request.tasks]
