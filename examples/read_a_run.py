"""Read a run folder with pandas: outputs, scores, and a metric of one's own.

Without an argument it makes a small run first; give a folder of `edt run` to read that one.
"""

# %% A run: one model on one task, as `edt run` leaves it.
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import edt
from edt.cli import main
from edt.metrics.base import Floats, SampleSet, mean_statistics, mean_value

if len(sys.argv) > 1:
    runs = Path(sys.argv[1])
else:
    runs = Path(tempfile.mkdtemp()) / "runs"
    main(["run", "task=mini_xlsum", "task.limit=8", "strategy=fixed", "strategy.t0=[0,1]", f"paths.runs={runs}"])

# %% All outputs: a row for each, with its prompt, temperature, entropy and references.
samples = edt.read_samples(runs)
print(samples[["prompt_id", "strategy", "sample", "text", "t_mean", "h_mean"]].head().to_string())
print(samples.groupby("strategy")["h_mean"].describe().round(2))

# %% The scores that `edt run` printed, with intervals and signatures.
scores = edt.read_scores(runs)
print(scores[["strategy", "metric", "value", "lo", "hi"]].round(2).to_string(index=False))


# %% A metric of one's own needs statistics per example that add up, and a value from their sum.
class Words:
    """Mean number of words of an output."""

    name = "words"
    higher_is_better = False

    def statistics(self, samples: SampleSet) -> Floats:
        """Return [E, 2]: the mean over an example's samples, and 1."""
        return mean_statistics([fmean(len(text.split()) for text in texts) for texts in samples.texts])

    def aggregate(self, totals: Floats) -> Floats:
        """Return the mean over examples."""
        return mean_value(totals)

    def signature(self, samples: SampleSet) -> str:
        """Return all that is needed to compute the number again."""
        return "words|split:whitespace"


# %% Runs hold their references, so nothing else is needed to score again.
words = edt.score(samples, metrics=[Words()]).query("metric == 'words'")
print(words[["strategy", "value", "lo", "hi", "signature"]].round(2).to_string(index=False))
