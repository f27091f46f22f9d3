"""The other model of KL-guided temperature in dual mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edt.errors import ConfigError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies.base import Strategy
from edt.strategies.kld import KLD


@dataclass(frozen=True)
class SecondModels:
    """The second models that strategies name, each loaded once."""

    model: LanguageModel
    loaded: dict[str | None, LanguageModel] = field(default_factory=dict)

    def for_strategies(self, guided: Sequence[Strategy]) -> LanguageModel | None:
        """Return the other model of dual mode; None in shared mode or when no strategy is guided.

        Raises ConfigError when the strategies disagree about it: one batch has one second model.
        """
        wanted = {(strategy.mode, strategy.model) for strategy in guided if isinstance(strategy, KLD)}
        if len(wanted) > 1:
            raise ConfigError(
                f"the kld settings of one run must agree on mode and model, but name {sorted(map(str, wanted))}; "
                "run them one after the other: the same run folder takes both."
            )
        if not wanted:
            return None

        # Exactly one is left.
        mode, path = next(iter(wanted))
        if mode == "shared":
            return None
        if path not in self.loaded:
            self.loaded[path] = self._load(path)
        return self.loaded[path]

    def _load(self, path: str | None) -> LanguageModel:
        # Without a path, the weights of the first model a second time: what dual mode costs by itself.
        if path is None:
            return LanguageModel.load(self.model.spec)

        # Its own files, but the first model's dtype and device: the divergence compares like with like.
        spec: ModelSpec = replace(self.model.spec, path=path, revision=None, gguf_file=None, adapter=None)
        second = LanguageModel.load(spec)
        # The same size is not enough: other tokens under the same ids would make the divergence meaningless.
        if second.tokenizer.get_vocab() != self.model.tokenizer.get_vocab():
            raise ModelError(
                f"the second model of kld, '{path}', has another tokenizer than '{self.model.spec.path}'; the "
                "divergence compares distributions over the same tokens. Use a model with the same tokenizer."
            )
        # Models pad their vocabulary differently even over the same tokenizer.
        if second.vocabulary != self.model.vocabulary:
            raise ModelError(
                f"the second model of kld, '{path}', gives {second.vocabulary} logits and '{self.model.spec.path}' "
                f"{self.model.vocabulary}; the divergence compares them one by one. Use a model of the same width."
            )
        return second
