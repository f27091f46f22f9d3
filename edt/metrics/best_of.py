"""The best of an example's samples: what the set is worth to a reader who picks, or to a perfect reranker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from edt.metrics.base import Floats, Metric, SampleSet, SampleValues, Statistics
from edt.metrics.signature import signature_text, size_text
from edt.metrics.subsets import curve_statistics, expected_maximum, mean_curve


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """Expected best quality of an example's K samples, mean over examples; `curve` is that of k = 1 … K of them.

    The quality of a sample is the task's quality metric on that sample alone (`SampleValues`): ROUGE-L, exact match or
    F1 as they are; of the corpus metrics BLEU and chrF sentence BLEU (effective order) and sentence chrF, since the
    best sample must be found for each example. At k = 1 it is the mean over samples; it never falls with k. Diversity
    counts as far as it finds a better output: noise cannot raise it as it lowers Self-BLEU.
    Missing where the quality metric has no value per sample.
    """

    name: ClassVar[str] = "best_of"
    label: ClassVar[str] = "best of K"
    higher_is_better: ClassVar[bool] = True
    within_groups: ClassVar[bool] = True

    quality: Metric

    @property
    def unscored(self) -> str:
        """Why the quality metric cannot score an example."""
        return getattr(self.quality, "unscored", "its quality is NaN")

    @property
    def undefined(self) -> str:
        """Why there is no value at all."""
        if isinstance(self.quality, SampleValues):
            return f"{self.quality.name} is not defined for these examples"
        return (
            f"the task's quality, {self.quality.name}, has no value for a single sample. A metric of your own has them "
            "with a method sample_values(samples) that returns an array [examples, samples]"
        )

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, K + 1]: the expected best of k = 1 … K samples, and 1; NaN for an example without quality."""
        # A metric of a whole set, as the number of distinct outputs, has no best sample.
        values_EK = self.quality.sample_values(samples) if isinstance(self.quality, SampleValues) else None
        return None if values_EK is None else curve_statistics(expected_maximum(values_EK))

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the value at k = K, the mean over examples."""
        # The last point of the curve, so that table and curve cannot differ.
        return self.curve(totals)[..., -1]

    def curve(self, totals: Statistics) -> Floats:
        """Return the mean over examples for k = 1 … K, [..., K + 1] -> [..., K]."""
        return mean_curve(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `bestOf|of:rougeL,stem:no,nrefs:1,best:max,rouge_score:0.1.2|sample:…|n:1000x8|edt:0.2.0`."""
        # The quality's own signature says what was scored. Its size is that of the whole, and stands in ours.
        alone = replace(samples, examples=samples.examples[:: samples.groups], texts=samples.texts[:: samples.groups])
        parts = [part for part in self.quality.signature(replace(alone, groups=1)).split("|") if part[:2] != "n:"]
        options = {"of": ",".join(parts)}
        if per_sample := getattr(self.quality, "per_sample", ""):
            options["sample"] = per_sample
        return signature_text("bestOf", {**options, "draws": "subsets"}, n=size_text(samples), library="edt")
