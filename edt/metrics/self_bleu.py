"""Self-BLEU: how much the samples of a prompt repeat each other.

Shapes: G prompts, K samples, S = G·K sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from edt.metrics.base import Floats, SampleSet, Statistics, mean_statistics, mean_value
from edt.metrics.bleu_score import bleu_score, clipped_matches, closest_length, segment_statistics
from edt.metrics.bleu_tokenizer import BleuTokenizer, bleu_tokenizer
from edt.metrics.ngrams import Corpus, Ints, NgramCounts, largest_per_gram
from edt.metrics.signature import Options, signature_text, size_text


@dataclass(frozen=True, kw_only=True)
class SelfBleu:
    """Self-BLEU (Zhu et al. 2018): mean of `self_bleu` over samples, then over examples; lower is more diverse.

    Missing with fewer than 2 samples. It grows with the number of samples, so the signature's `n` must agree before two
    values are compared. Each distinct multiset of samples is scored once in the life of the object.
    """

    name: ClassVar[str] = "self_bleu"
    label: ClassVar[str] = "Self-BLEU"
    higher_is_better: ClassVar[bool] = False
    within_groups: ClassVar[bool] = True

    _scores: dict[tuple[str, tuple[str, ...]], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def statistics(self, samples: SampleSet) -> Statistics | None:
        """Return [E, 2] for the mean over examples; None with fewer than 2 samples."""
        # Not 0, which would make a single sample the most diverse: it has nothing that it could repeat.
        if samples.n_samples < 2:
            return None

        language = samples.target_language
        # The order of samples does not matter to the mean, so a multiset is scored once.
        keys = [(language, tuple(sorted(texts))) for texts in samples.texts]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._scores]
        if fresh:
            scores_G = self_bleu([texts for _, texts in fresh], bleu_tokenizer(language)).mean(axis=-1)
            self._scores.update(zip(fresh, scores_G.tolist(), strict=True))
        return mean_statistics([self._scores[key] for key in keys])

    def aggregate(self, totals: Statistics) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return `selfBLEU|refs:others|…|tok:13a|smooth:exp|empty:identical|n:1000x8|sacrebleu:2.6.0`."""
        tokenizer = bleu_tokenizer(samples.target_language).signature
        fixed: Options = {"case": "mixed", "eff": True, "tok": tokenizer, "smooth": "exp", "empty": "identical"}
        options = {"refs": "others", **fixed}
        return signature_text("selfBLEU", options, n=size_text(samples), library="sacrebleu")


def self_bleu(groups: Sequence[Sequence[str]], tokenizer: BleuTokenizer) -> Floats:
    """Return the score of each sample against the other samples of its group, [G, K]; all groups have the same K ≥ 2.

    `sacrebleu.sentence_bleu(sample, others)` with effective order and `exp` smoothing, except that two samples without
    a token count as identical: such a sample scores 100 next to another one, and 0 alone, where sacrebleu gives 0.
    """
    n_groups, n_samples = len(groups), len(groups[0])
    group_S = np.repeat(np.arange(n_groups), n_samples)
    corpus = Corpus.from_texts([text for texts in groups for text in texts], group_S, tokenizer.tokenize)

    correct = [_matches_with_others(counts, len(group_S)) for counts in corpus.ngram_counts()]
    length_GK = corpus.length_S.reshape(n_groups, n_samples)
    reference_length_S = closest_length(length_GK, _lengths_of_others(length_GK)).ravel()

    # Effective order: else answers of two words would score 0 and look diverse, even where all are the same.
    scores_S = bleu_score(segment_statistics(corpus, correct, reference_length_S), effective_order=True)

    # sacrebleu scores an empty sentence 0, which would make a strategy that writes nothing the most diverse of all.
    empty_GK = length_GK == 0
    has_twin_GK = empty_GK & (empty_GK.sum(axis=-1, keepdims=True) >= 2)
    return np.where(has_twin_GK, 100.0, scores_S.reshape(n_groups, n_samples))


def _matches_with_others(counts: NgramCounts, n_sentences: int) -> Ints:
    """Return the matches of each sentence, [S], clipped at the largest count in any *other* sentence of the group.

    That is the n-gram's largest count, or the second largest for the one sentence that holds the largest alone.
    """
    # Two maxima per n-gram serve all samples; merging K − 1 references for each sample would take K² steps.
    gram_C, count_C = counts.gram_C, counts.count_C
    largest_C = largest_per_gram(gram_C, count_C, counts.n_grams)[gram_C]
    at_top = count_C == largest_C
    holders_G = np.bincount(gram_C[at_top], minlength=counts.n_grams)
    second_G = largest_per_gram(gram_C[~at_top], count_C[~at_top], counts.n_grams)
    # Whoever holds the largest count alone must not be compared with itself.
    alone_at_top = at_top & (holders_G[gram_C] == 1)
    return clipped_matches(counts, np.where(alone_at_top, second_G[gram_C], largest_C), n_sentences)


def _lengths_of_others(length_GK: Ints) -> Floats:
    """Return for each sample the lengths of its group, [G, K, K], with the sample itself absent (inf)."""
    n_samples = length_GK.shape[-1]
    # Its own length would be the closest of all, and spare each sample its brevity penalty.
    return np.where(np.eye(n_samples, dtype=bool), np.inf, length_GK[:, None, :])
