"""Self-BLEU as edt scores it, for `evaluate.load(path)`."""

import datasets
import evaluate

from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.self_bleu import self_bleu

DESCRIPTION = """Self-BLEU (Zhu et al. 2018): how alike the samples of one prompt are. Lower is more diverse."""
KWARGS = """
Args:
    predictions: for each prompt the list of its samples; the same number for all prompts, 2 or more.
    language: code that sets sacrebleu's tokenizer (default: "en").
    per_prediction: whether to return each prompt's score too (default: False).
Returns:
    self_bleu: each sample against the others of its prompt, the mean, 0 to 100.
    scores: one per prompt, with per_prediction.
"""
CITATION = """@inproceedings{zhu2018texygen, title={Texygen: A Benchmarking Platform for Text Generation Models},
author={Zhu, Yaoming and others}, booktitle={SIGIR}, year={2018}}"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, KWARGS)
class SelfBleu(evaluate.Metric):  # type: ignore[misc]
    """Self-BLEU."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=KWARGS,
            features=datasets.Features({"predictions": datasets.Sequence(datasets.Value("string"))}),
        )

    def _compute(
        self, predictions: list[list[str]], language: str = "en", per_prediction: bool = False
    ) -> dict[str, float | list[float]]:
        counts = {len(samples) for samples in predictions}
        if len(counts) != 1 or min(counts) < 2:
            raise ValueError(
                f"the prompts have {sorted(counts)} samples; Self-BLEU needs the same number for all, 2 or more."
            )
        scores = self_bleu(predictions, bleu_tokenizer(language)).mean(axis=-1)
        result: dict[str, float | list[float]] = {"self_bleu": float(scores.mean())}
        return result | {"scores": scores.tolist()} if per_prediction else result
