"""Load language models: weights, tokenizer, identity, and the second model of KL-guided temperature."""

from edt.models.language_model import LanguageModel, ModelSpec

__all__ = ["LanguageModel", "ModelSpec"]
