"""SacreBLEU: corpus BLEU per sample index.

Shapes: E examples, K samples, S segments, R references per set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from edt.metrics.base import BLANK, Floats, SampleSet, Statistics, is_blank, required_references
from edt.metrics.bleu_score import WIDTH, bleu_score, clipped_matches, closest_length, segment_statistics
from edt.metrics.bleu_tokenizer import BleuTokenizer, bleu_tokenizer
from edt.metrics.ngrams import Corpus, Ints, NgramCounts, largest_per_gram
from edt.metrics.signature import Options, reference_count, signature_text, size_text

Segment = tuple[tuple[str, ...], str]
"""The references and the hypothesis that is compared with them."""


@dataclass(frozen=True, kw_only=True)
class SacreBleu:
    """Corpus BLEU over the examples for each sample index, averaged over the sample indices.

    Each is `sacrebleu.corpus_bleu` (Post 2018) with `exp` smoothing, mixed case, all references of an example, and the
    tokenizer that sacrebleu sets for the target language. The statistics of an example are K blocks of 10 (see
    `bleu_score`); each distinct (text, references) is counted once in the life of the object.
    """

    name: ClassVar[str] = "sacrebleu"
    label: ClassVar[str] = "SacreBLEU"
    higher_is_better: ClassVar[bool] = True
    unscored: ClassVar[str] = BLANK
    per_sample: ClassVar[str] = "sentence,eff:yes"

    # Neither in comparisons nor in the hash, where a dict would be an error: a memory is no option of the metric.
    _counted: dict[tuple[str, Segment], Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def statistics(self, samples: SampleSet) -> Statistics:
        """Return [E, K·10]; NaN for an example whose references are blank, where sacrebleu counts its output as wrong.

        Raises DataError for an example without a reference, ConfigError when the language's tokenizer is missing.
        """
        language = samples.target_language

        # Example by example, its samples in order: the reshape below makes K blocks per example of this order.
        pairs = zip(samples.examples, samples.texts, strict=True)
        segments = [(required_references(example), text) for example, texts in pairs for text in texts]

        # Most samples of cold settings are the same few texts, in this strategy and in the next.
        fresh = [segment for segment in dict.fromkeys(segments) if (language, segment) not in self._counted]
        if fresh:
            rows_S = bleu_statistics(fresh, bleu_tokenizer(language))
            self._counted.update(zip([(language, segment) for segment in fresh], rows_S, strict=True))

        rows = np.stack([self._counted[language, segment] for segment in segments])
        statistics = rows.reshape(len(samples.examples), samples.n_samples * WIDTH)
        statistics[[is_blank(example) for example in samples.examples]] = np.nan
        return statistics

    def aggregate(self, totals: Statistics) -> Floats:
        """Return corpus BLEU of each sample index, averaged."""
        # A corpus per sample index, then the mean: each is the BLEU of one output per example, as other work reports
        # it.
        return np.asarray(bleu_score(_per_sample(totals), effective_order=False).mean(axis=-1))

    def sample_values(self, samples: SampleSet) -> Floats:
        """Return sentence BLEU (`sacrebleu.sentence_bleu`, effective order) of each sample, [E, K]; NaN as above."""
        return self.sentence_scores(self.statistics(samples))

    def sentence_scores(self, statistics: Statistics) -> Floats:
        """Return sentence BLEU from the statistics of each sample, [E, K·10] -> [E, K]."""
        # Effective order, the default of `sentence_bleu`: else every output of fewer than 4 tokens would score 0.
        scores_EK = bleu_score(_per_sample(statistics), effective_order=True)
        # An example that cannot be scored has no match, which is not the same as a score of 0.
        return np.where(np.isnan(statistics).any(axis=-1, keepdims=True), np.nan, scores_EK)

    def signature(self, samples: SampleSet) -> str:
        """Return `BLEU|nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|over:samples|n:1000x8|sacrebleu:2.6.0`."""
        tokenizer = bleu_tokenizer(samples.target_language).signature
        fixed: Options = {"case": "mixed", "eff": False, "tok": tokenizer, "smooth": "exp", "over": "samples"}
        options = {"nrefs": reference_count(samples), **fixed}
        return signature_text("BLEU", options, n=size_text(samples), library="sacrebleu")


def bleu_statistics(segments: Sequence[Segment], tokenizer: BleuTokenizer) -> Floats:
    """Return the 10 sufficient statistics of each segment, [S, 10], as sacrebleu counts them.

    A match is clipped at the n-gram's largest count in any one reference; the reference length is the one closest to
    the hypothesis's, the shorter of two equally close.
    """
    # Numbered by content: all samples of an example share a set, and so do examples with equal references.
    sets = {references: number for number, references in enumerate(dict.fromkeys(refs for refs, _ in segments))}

    # Hypotheses first, then each reference set once; a group holds a set and the hypotheses that it belongs to.
    texts = [text for _, text in segments] + [text for references in sets for text in references]
    groups = [sets[refs] for refs, _ in segments] + [number for refs, number in sets.items() for _ in refs]
    corpus = Corpus.from_texts(texts, groups, tokenizer.tokenize)

    n = len(segments)
    correct = [_matches(counts, n, len(texts)) for counts in corpus.ngram_counts()]
    reference_length_S = closest_length(corpus.length_S, _lengths_by_set(corpus, n)[corpus.group_S])

    # The references have rows as well, in which each matches itself; only those of the hypotheses are wanted.
    return segment_statistics(corpus, correct, reference_length_S)[:n]


def _matches(counts: NgramCounts, n_hypotheses: int, n_sentences: int) -> Ints:
    """Return the matches of each sentence with the references of its group; the first `n_hypotheses` are hypotheses."""
    of_reference = counts.sentence_C >= n_hypotheses
    # The largest count in a single reference, not the sum over them: "the" once in each of two references is one match
    # (Papineni et al. 2002, section 2.1).
    limit_G = largest_per_gram(counts.gram_C[of_reference], counts.count_C[of_reference], counts.n_grams)
    return clipped_matches(counts, limit_G[counts.gram_C], n_sentences)


def _lengths_by_set(corpus: Corpus, n_hypotheses: int) -> Floats:
    """Return the reference lengths of each reference set, [sets, R], absent ones inf."""
    group_R, length_R = corpus.group_S[n_hypotheses:], corpus.length_S[n_hypotheses:]
    sizes = np.bincount(group_R)
    lengths = np.full((len(sizes), sizes.max()), np.inf)
    # A boolean mask is filled row by row, and references follow each other set by set: each length is put into its set.
    lengths[np.arange(lengths.shape[1]) < sizes[:, None]] = length_R
    return lengths


def _per_sample(statistics: Statistics) -> Floats:
    return statistics.reshape(*statistics.shape[:-1], -1, WIDTH)
