"""Measure scoring speed: Self-BLEU against `sacrebleu.sentence_bleu` per sample, ROUGE-L against `rouge_score`.

Ours and the library score the same texts in turn, each repeat from cold caches; the ratio is that of the medians. The
texts of a prompt are mutations of one sentence, practically all distinct: scoring equal texts once saves nothing here.
The last line is one JSON object. `--quick`: a tenth of the prompts, one repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import sacrebleu
from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from edt.metrics.bleu_tokenizer import bleu_tokenizer
from edt.metrics.rouge import rouge_l
from edt.metrics.self_bleu import self_bleu

WORDS_PER_TEXT = 30
MUTATED = 0.3
VOCABULARY = 5000
Texts = list[list[str]]
Scores = list[list[float]]


def random_texts(prompts: int, samples: int, seed: int = 0) -> Texts:
    """Return for each prompt copies of one sentence of Zipf-distributed words, with some words replaced."""
    rng = np.random.default_rng(seed)

    def words(*shape: int) -> np.ndarray:
        return np.minimum(rng.zipf(1.3, size=shape), VOCABULARY)

    base = words(prompts, 1, WORDS_PER_TEXT)
    mutated = rng.random((prompts, samples, WORDS_PER_TEXT)) < MUTATED
    numbers = np.where(mutated, words(prompts, samples, WORDS_PER_TEXT), base)
    return [[" ".join(f"word{n}" for n in text) + "." for text in group] for group in numbers]


def self_bleu_by_sentence_bleu(groups: Texts) -> Scores:
    """Score each sample against the others by the library's function for one sentence."""
    return [
        [sacrebleu.sentence_bleu(text, group[:i] + group[i + 1 :]).score for i, text in enumerate(group)]
        for group in groups
    ]


def self_bleu_by_one_bleu_object(groups: Texts) -> Scores:
    """Score the same with one `BLEU` object, whose tokenizer remembers what it has tokenized."""
    bleu = BLEU(effective_order=True)
    return [
        [bleu.sentence_score(text, group[:i] + group[i + 1 :]).score for i, text in enumerate(group)]
        for group in groups
    ]


def self_bleu_by_ours(groups: Texts) -> Scores:
    """Score the same by ours, with a new tokenizer that has tokenized nothing yet."""
    bleu_tokenizer.cache_clear()
    scores: Scores = self_bleu(groups, bleu_tokenizer("en")).tolist()
    return scores


def rouge_by_library(groups: Texts, references: Texts) -> Scores:
    """Return F1 × 100 by rouge_score, each text against the best of its references."""
    scorer = RougeScorer(["rougeL"])
    return [
        [100 * scorer.score_multi(refs, text)["rougeL"].fmeasure for text in group]
        for group, refs in zip(groups, references, strict=True)
    ]


def rouge_by_ours(groups: Texts, references: Texts) -> Scores:
    """Score the same by ours."""
    return [rouge_l(group, refs, stem=False) for group, refs in zip(groups, references, strict=True)]


def alternate(contenders: Sequence[Callable[[], Scores]], repeats: int) -> list[float]:
    """Return the median seconds of each, run in turn; all must give the same scores to 1e-8."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(repeats):
        results = []
        for contender, times in zip(contenders, seconds, strict=True):
            start = time.perf_counter()
            results.append(contender())
            times.append(time.perf_counter() - start)
        for result in results[1:]:
            np.testing.assert_allclose(result, results[0], rtol=0, atol=1e-8)
    return [statistics.median(times) for times in seconds]


def print_table(rows: Sequence[tuple[str, float, float]]) -> None:
    """Print one row for each (score: by, seconds, ratio)."""
    table = Table("score", "by", "seconds", "÷ ours")
    for name, seconds, ratio in rows:
        table.add_row(*name.split(": "), f"{seconds:.3f}", f"{ratio:.1f}")
    Console().print(table)


def arguments() -> argparse.Namespace:
    """Parse the command line; `--quick` sets the sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the prompts, one repeat")
    args = parser.parse_args()
    if args.quick:
        args.prompts, args.repeats = max(args.prompts // 10, 1), 1
    return args


def measure_self_bleu(groups: Texts, repeats: int) -> list[float]:
    """Return the seconds of the library's function, of one library object, and of ours."""
    contenders = (self_bleu_by_sentence_bleu, self_bleu_by_one_bleu_object, self_bleu_by_ours)
    alternate([partial(by, groups[:1]) for by in contenders], 1)
    return alternate([partial(by, groups) for by in contenders], repeats)


def measure_rouge(groups: Texts, references: Texts, repeats: int) -> list[float]:
    """Return the seconds of the library and of ours."""
    contenders = (rouge_by_library, rouge_by_ours)
    alternate([partial(by, groups[:1], references[:1]) for by in contenders], 1)
    return alternate([partial(by, groups, references) for by in contenders], repeats)


def main() -> None:
    """Run the benchmark and print it."""
    args = arguments()
    groups = random_texts(args.prompts, args.samples)
    references = random_texts(args.prompts, 1)

    naive, reused, ours = measure_self_bleu(groups, args.repeats)
    library, rouge = measure_rouge(groups, references, args.repeats)
    print_table(
        [
            ("Self-BLEU: sacrebleu.sentence_bleu per sample", naive, naive / ours),
            ("Self-BLEU: one sacrebleu BLEU object", reused, reused / ours),
            ("Self-BLEU: ours", ours, 1.0),
            ("ROUGE-L: rouge_score", library, library / rouge),
            ("ROUGE-L: ours", rouge, 1.0),
        ]
    )

    figures = {
        "self_bleu_sacrebleu_over_ours": round(naive / ours, 2),
        "self_bleu_one_object_over_ours": round(reused / ours, 2),
        "rouge_l_library_over_ours": round(library / rouge, 2),
        "self_bleu_seconds": round(ours, 4),
        "rouge_l_seconds": round(rouge, 4),
        "words": WORDS_PER_TEXT,
        **{key: getattr(args, key) for key in ("prompts", "samples", "repeats")},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
