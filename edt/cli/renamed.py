"""Names of version 0.1 that have changed: the only table of them, and the sentence that an old one gets."""

from __future__ import annotations

import fnmatch

COMMANDS = {"reproduce": "study"}

OPTIONS = {
    "engine=torch": "engine=batched",
    "engine=generate": "engine=hf_generate",
    "strategy=telling": "strategy=compare_three",
    "strategy=fixed_axis": "strategy=fixed_sweep",
    "strategy=paper_all": "strategy=paper_grid",
    "families=study": "families=full",
    "families=small": "families=full",
    "families=smoke": "families=full",
}
"""Options of a configuration group."""

KEYS = {
    "protocol=study": "preset=full",
    "protocol=small": "preset=smoke",
    "protocol": "preset (full or smoke)",
    "experiment": "edt study experiment=…",
    "jobs": "num_workers",
    "metrics.processes": "metrics.num_workers",
    "tracking.outputs": "tracking.max_examples",
    "plain": "unconditional_prompt",
    "sampling.coupling=identity": "sampling.noise=shared",
    "sampling.coupling=independent": "sampling.noise=per_strategy",
    "sampling.coupling": "sampling.noise (shared or per_strategy)",
    "refinements": "search.trials, the settings of each family",
    "slices": "search.trials, the settings of each family",
    "growth": "search.trials, the settings of each family",
    "budget": "search.trials, the settings of each family",
    "families.edt_token": "families.edt",
    "families.kld_token": "families.kld",
    "families.*.make": "families.*._target_",
    "families.*.fixed": "families.*.PARAMETER=VALUE",
    "families.*.constants": "families.*.PARAMETER=VALUE",
    "families.*.axes": "families.*.PARAMETER={low:…,high:…}",
}
"""Keys, some of them with a value. `*` stands for one name, the same in both columns; the first match counts."""


def renamed_command(name: str) -> str | None:
    """Return the sentence for an old command, or None."""
    return f"'edt {name}' is now 'edt {COMMANDS[name]}'." if name in COMMANDS else None


def renamed_option(group: str, option: str) -> str | None:
    """Return the sentence for an old option of a configuration group, or None."""
    old = f"{group}={option}"
    return f"'{old}' is now '{OPTIONS[old]}'." if old in OPTIONS else None


def renamed_key(key: str, value: str | None = None) -> str | None:
    """Return the sentence for an old key, or None. A key below it (`families.edt.fixed.n`) counts as well.

    Only called for keys that the configuration does not have, so a name that exists elsewhere keeps its meaning.
    """
    parts = key.split(".")
    for old, new in KEYS.items():
        name, _, wanted = old.partition("=")
        length = name.count(".") + 1
        given = ".".join(parts[:length])
        if (wanted and wanted != value) or not fnmatch.fnmatchcase(given, name):
            continue
        # fnmatch lets * match a dot as well; both have as many names, so it cannot here.
        for star, part in zip(name.split("."), parts, strict=False):
            new = new.replace("*", part, 1) if star == "*" else new
        return f"'{given}{f'={value}' if wanted else ''}' is now '{new}'."
    return None
