"""EDA, quality and diversity in one number, for `evaluate.load(path)`."""

import datasets
import evaluate

from edt.metrics.eda import eda

DESCRIPTION = """EDA (arXiv 2403.14541): the distance from the ultimate aim, quality at its best and Self-BLEU at 0, in
percent; lower is better. EDA = 100 * sqrt((max(0, 1 - q/q_star)^2 + (s/s_star)^2) / 2)."""
KWARGS = """
Args:
    quality: quality of each setting, 0 to 100.
    self_bleu: Self-BLEU of each setting, 0 to 100.
    q_star: the best quality of the fixed-temperature family, on a development split.
    s_star: the largest Self-BLEU of the fixed-temperature family, on a development split.
Returns:
    eda: one value per setting.
"""
CITATION = """@article{zhang2024edt, title={EDT: Improving Large Language Models' Generation by Entropy-based Dynamic
Temperature Sampling},
author={Zhang, Shimao and Bao, Yu and Huang, Shujian}, journal={arXiv:2403.14541}, year={2024}}"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, KWARGS)
class EDA(evaluate.Metric):  # type: ignore[misc]
    """EDA."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=KWARGS,
            features=datasets.Features({"quality": datasets.Value("float64"), "self_bleu": datasets.Value("float64")}),
        )

    def _compute(
        self, quality: list[float], self_bleu: list[float], q_star: float, s_star: float
    ) -> dict[str, list[float]]:
        return {"eda": eda(quality, self_bleu, q_star=q_star, s_star=s_star).tolist()}
