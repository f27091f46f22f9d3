"""Wrong values, keys and words of a command line or a configuration file."""

import shlex

from tests.faults.table import fault

SECTION = "Configuration"

WORDS = {
    "a word that is no override": "strategy.t0=[0.1",
    "a key that does not exist": "strategy.thta=1 strategy=edt",
    "an option that does not exist": "strategy=etd",
    "text for a number": "sampling.samples=abc",
    "a fraction for a whole number": "sampling.seed=2.5",
    "NaN": "strategy.t0=nan",
    "a whole number of 401 digits": f"sampling.seed=1{'0' * 400}",
    "a text of 100,000 characters for a number": f"sampling.samples={'x' * 100_000}",
    "a number below its range": "strategy.t0=-1",
    "an unknown word of several": "sampling.noise=none",
    "more outputs than a command can keep": "sampling.samples=1000000000",
    "a device without numbers": "model.device=meta",
    "a name where a metric is meant": "metrics.extra=3",
    "a metric that is none": "+metrics.extra.mine=3",
    "a module that is not trusted": "strategy._target_=nope.Nope",
    "an unknown way to compile": "engine.compile=fast",
    "keys for a path": "+paths.runs.x=1",
    "a tag of Ollama for a model": "model.path=llama3:8b",
    "a model's name with a space": "'model.path=my model'",
    "a chat template that the model does not have": "model.chat_template=true",
    "no room for a prompt": "sampling.max_new_tokens=1000000000000",
}
"""Faults of `edt run`."""

STUDY = {
    "`edt study num_workers=abc`": "num_workers=abc",
    "`edt study browser.examples=abc`": "browser.examples=abc",
    "`edt study browser.examples=-1`": "browser.examples=-1",
    "`edt study experiment=efficiency experiments.efficiency.rows=0`": "experiment=efficiency experiments.efficiency.rows=0",
    "`edt study metrics.bootstrap.resamples=1000000000`": "metrics.bootstrap.resamples=1000000000",
    "`edt study families.fixed=null`": "families.fixed=null",
    "`edt study search.trials=-1`": "search.trials=-1",
}


def _short(words):
    return words if len(words) < 60 else f"{words[:28]}…"


for what, words in WORDS.items():

    @fault(SECTION, f"{what}: `{_short(words)}`")
    def _(place, words=words):
        return place.edt_run(*shlex.split(words))


for what, words in STUDY.items():

    @fault(SECTION, what)
    def _(place, words=words):
        return place.edt("study", "preset=smoke", f"paths.runs={place.folder}", *shlex.split(words))


@fault(SECTION, "a half of a surrogate pair in a prompt")
def _(place):
    return place.edt("trace", "prompt=caf\udce9")


@fault(SECTION, "a key of a file that is a number: `chat_template_kwargs: {1: true}`")
def _(place):
    (place.folder / "configs" / "model").mkdir(parents=True)
    (place.folder / "configs" / "model" / "mine.yaml").write_text(
        "defaults: [mini, _self_]\nchat_template_kwargs: {1: true}\n"
    )
    return place.edt_run("--config-dir", "configs", "model=mine")


@fault(SECTION, "a configuration file that is no YAML")
def _(place):
    (place.folder / "configs" / "strategy").mkdir(parents=True)
    (place.folder / "configs" / "strategy" / "mine.yaml").write_text("t0: [0.5\n")
    return place.edt_run("--config-dir", "configs", "strategy=mine")
