"""ROUGE-L as edt scores it, for `evaluate.load(path)`."""

import math

import datasets
import evaluate

from edt.metrics.rouge import RougeL as RougeMetric
from edt.metrics.rouge import rouge_l, usable_references

DESCRIPTION = """ROUGE-L F1 (Lin 2004) times 100 of each prediction against its best reference, tokenized as by
rouge_score."""
KWARGS = """
Args:
    predictions: list of texts.
    references: for each prediction one reference or a list of them.
    stem: whether to stem words (default: False).
    language: of the references (default: "en"); other languages than English have the words of their script.
    per_prediction: whether to return each prediction's score too (default: False).
Returns:
    rouge_l: the mean over predictions, 0 to 100; NaN for references of which the tokenizer keeps too little.
        scores: one per prediction, with per_prediction.
"""
CITATION = """@inproceedings{lin-2004-rouge, title={{ROUGE}: A Package for Automatic Evaluation of Summaries},
author={Lin, Chin-Yew}, booktitle={Text Summarization Branches Out}, year={2004}}"""

TEXT = datasets.Value("string")


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, KWARGS)
class RougeL(evaluate.Metric):  # type: ignore[misc]
    """ROUGE-L."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=KWARGS,
            features=[
                datasets.Features({"predictions": TEXT, "references": datasets.Sequence(TEXT)}),
                datasets.Features({"predictions": TEXT, "references": TEXT}),
            ],
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[str] | list[list[str]],
        stem: bool = False,
        language: str = "en",
        per_prediction: bool = False,
    ) -> dict[str, float | list[float]]:
        lists = [[entry] if isinstance(entry, str) else list(entry) for entry in references]
        tokenizer = RougeMetric(stem=stem).tokenizer_for(language)
        scores = []
        for text, entry in zip(predictions, lists, strict=True):
            usable = usable_references(tuple(entry), tokenizer)
            # NaN, not 0: nothing of such a reference is compared
            scores.append(rouge_l([text], usable, stem=stem, tokenizer=tokenizer)[0] if usable else float("nan"))
        known = [score for score in scores if not math.isnan(score)]
        result: dict[str, float | list[float]] = {"rouge_l": sum(known) / len(known) if known else float("nan")}
        return result | {"scores": scores} if per_prediction else result
