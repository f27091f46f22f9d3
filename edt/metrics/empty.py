"""The share of outputs without any text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.signature import signature_text, size_text


@dataclass(frozen=True, kw_only=True)
class EmptyShare:
    """Percentage of samples that are empty or only white space, mean over examples; lower is better.

    Tables show it next to the quality scores, because an empty output is scored like any other and lowers them.
    """

    name: ClassVar[str] = "empty_share"
    label: ClassVar[str] = "empty %"
    higher_is_better: ClassVar[bool] = False
    interval_in_table: ClassVar[bool] = False
    is_share: ClassVar[bool] = True

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, 2] for the mean over examples."""
        return mean_statistics(
            # Stripped: a model that writes a newline and stops has written nothing, although its text is not "".
            [100.0 * float(np.mean([not text.strip() for text in texts])) for texts in samples.texts]
        )

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `emptyShare|empty:whitespace|n:1000x8|edt:0.1.0`."""
        return signature_text("emptyShare", {"empty": "whitespace"}, n=size_text(samples), library="edt")
