"""The settings of engine=hf_generate. Importing this module imports neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edt.decoding.engine_specs import ModelEngineSpec

if TYPE_CHECKING:
    from edt.adapters.generate_engine import HFGenerateEngine
    from edt.models.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True)
class HFGenerateSpec(ModelEngineSpec):
    """The model.generate of transformers, one call per chunk and strategy: a baseline, which draws other tokens."""

    def build(self, model: LanguageModel) -> HFGenerateEngine:
        """Return the engine over a loaded model."""
        from edt.adapters.generate_engine import HFGenerateEngine

        return HFGenerateEngine(model=model, spec=self)
