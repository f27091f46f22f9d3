"""Words of a command line that are hard to read: through everything, from `main` on, as a shell would pass them."""

from edt.cli.command_names import COMMANDS

VALUES = [
    "", "null", "~", "~/nonesuch", "nonesuch/ü", "a=b", "a b", "a:b", "a,b", "[", "]", "[a", "a]", "{", "}", "{a", "{a:", "(", ")",
    "f(", "choice(", "choice()", "range(1)", "glob(", "sort(", "'", '"', "'a", '"a', "\\", "a\\", "$", "${", "${}", "${a", "${a}",
    "${..a}", "${oc.env:NONESUCH}", "${oc.env}", "${oc.nonesuch:1}", "${sampling}", "#", "a#b", "%", "@", "&", "*", "!", "|", "?",
    "???", "\t", "\n", "a\nb", "\x1b[31m", "ü", "文", "🙂", "\u202e", "\ufeff", "a\0b", "caf\udce9", "1" * 5000, "1e400", "-", "--",
    "-1", "+1", "0x10", "0b1", "1_000", "nan", "inf", "true", "yes", "2024-01-01", "!!python/object:os.system", "x" * 50_000,
    "[" * 400 + "]" * 400, "{a:" * 200 + "1" + "}" * 200, "[" * 3000, "a." * 300 + "a", "../../..", "/", ".",
]  # fmt: skip
"""What stands behind the `=` of an override, or alone as a word."""

KEYS = (
    "sampling.seed",
    "strategy.t0",
    "paths.runs",
    "task.path",
    "model.path",
    "task",
    "runs",
    "out",
    "prompt",
    "hydra.verbose",
)
"""Keys of every kind: a number, a list, a path, a group, a text, one of Hydra's."""

FORMS = (
    "{key}={value}",
    "+{key}={value}",
    "++{key}={value}",
    "~{key}={value}",
    "{value}",
    "{value}=1",
    "{key}.{value}=1",
    "--{value}",
)
"""How a word is built of a key and a value."""

OPTIONS = [
    ["--multirun"], ["--cfg", "job"], ["--cfg", "job", "--resolve"], ["--cfg", "nonesuch"], ["--cfg"], ["--config-dir", "nonesuch"],
    ["--config-dir"], ["--config-dir", "rows.jsonl"], ["-m", "-m"], ["--resolve"], ["--"],
]  # fmt: skip
"""Options that stand with a word."""


def words():
    """Every command with every word, and with the options."""
    # The first forms build one word of several keys.
    every = list(dict.fromkeys(form.format(key=key, value=value) for key in KEYS for form in FORMS for value in VALUES))
    # `--help` prints, and is no fault.
    alone = [[command, word] for command in COMMANDS for word in every if word not in ("--help", "-h")]
    return alone + [[command, *options, word] for command in COMMANDS for options in OPTIONS for word in every]
