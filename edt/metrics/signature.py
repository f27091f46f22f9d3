"""The signature of a metric: what a reader needs to recompute the number, as one line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

import edt
from edt.metrics.base import SampleSet

Options = Mapping[str, str | bool | float]


def signature_text(metric: str, options: Options, *, n: str, library: str) -> str:
    """Return `metric|key:value|…|n:<examples>x<samples>|library:version`, after sacrebleu's signatures (Post 2018).

    Booleans read yes and no, numbers keep every digit. library: the distribution whose code defines the metric.
    """
    pairs = [f"{key}:{_spell(value)}" for key, value in options.items()]
    return "|".join([metric, *pairs, f"n:{n}", f"{library}:{_version(library)}"])


def size_text(samples: SampleSet) -> str:
    """Return `<examples>x<samples>`, the `n` of a signature; `<examples>x<groups>x<samples>` where there are groups."""
    return counts_text(len(samples.examples) // samples.groups, samples.groups, samples.n_samples)


def counts_text(n_examples: int, groups: int, n_samples: int) -> str:
    """Return the `n` of a signature from its parts. n_samples: those of a group."""
    return f"{n_examples}x{groups}x{n_samples}" if groups > 1 else f"{n_examples}x{n_samples}"


def reference_count(samples: SampleSet) -> str:
    """Return the number of references per example, or `var` where it varies (sacrebleu's word for it)."""
    counts = {len(example.references) for example in samples.examples}
    return str(counts.pop()) if len(counts) == 1 else "var"


# Cached: the version is read from the distribution's files, and a study has some ten thousand signatures.
@cache
def _version(library: str) -> str:
    # Not by the name of edt's distribution, which is another project's `edt` on the public index.
    return edt.__version__ if library == "edt" else version(library)


def _spell(value: str | bool | float) -> str:
    # yes and no, as sacrebleu writes `eff:no`.
    if isinstance(value, bool):
        return "yes" if value else "no"
    # repr, since it reads back as the same float.
    return value if isinstance(value, str) else repr(value)
