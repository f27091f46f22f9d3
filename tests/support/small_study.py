"""A study of seven families, small enough for a test: its command-line words, and the files it writes."""

from pathlib import Path

FAMILIES = """
fixed: {_target_: edt.strategies.Fixed, t0: {low: 0.3, high: 2}}
kld: {_target_: edt.strategies.KLD, t0: {low: 0.3, high: 2}, sigma: 2}
kld_instance: {_target_: edt.strategies.KLD, granularity: instance, t0: {low: 0.3, high: 2}, sigma: 2}
edt: {_target_: edt.strategies.EDT, t0: {low: 0.3, high: 2}, theta: {low: 0.1, high: 1, log: true}}
edt_instance: {_target_: edt.strategies.EDT, granularity: instance, t0: {low: 0.3, high: 2}, theta: 0.5}
dynatemp: {_target_: edt.strategies.Dynatemp, t_min: 0.05, t_max: [1, 1.5, 2]}
random_t: {_target_: edt.strategies.random_t.around, center: {low: 0.4, high: 1.2}, spread: 0.5}
"""
CURVES = """
range: [50, 80]
reserve: null
fixed: {t0: [0.3, 0.6, 0.9, 1.1, 1.3, 1.5]}
edt: {t0: [0.3, 0.6, 0.9, 1.2, 1.5, 1.8], theta: [0.5]}
"""
SMALL = [
    "families=few",
    "curves=few",
    "comparisons=[{family:edt,baseline:fixed,nested:true},{family:edt,baseline:kld}]",
    "sampling.samples=4",
    "metrics.bootstrap.resamples=100",
    "search.trials=4",
    "search.batch=2",
    "baseline.t0=[0,0.7,1.2]",
    "num_workers=1",
    "model.device=cpu",
]
QUICK = [
    "engine.compile=false",
    "experiments.efficiency.shape=null",
    "experiments.efficiency.rows=2",
    "experiments.efficiency.length=64",
    "experiments.efficiency.steps=12",
    "experiments.efficiency.repeats=1",
    "experiments.confidence.background=4",
    "browser.examples=2",
    "browser.samples=2",
]
EXPERIMENTS = {
    "main_table": ["table.md", "table.tex", "chosen.csv", "comparisons.csv", "grid.csv"],
    "matched_diversity": ["table.md", "table.tex", "means.csv", "curves.csv", "differences.png", "differences.svg"],
    "best_of_k": ["table.md", "table.tex", "curves.csv", "curves.png", "curves.svg"],
    "tuning_budget": ["table.md", "table.tex", "budget.csv", "budget.png", "budget.svg"],
    "theta": ["table.md", "table.tex", "theta.csv", "theta.png", "t0.csv", "t0.png", "t0.svg"],
    "eda_weight": ["table.md", "table.tex", "weights.csv", "weights.png", "weights.svg"],
    "best_temperature": ["table.md", "interaction.csv", "histogram.png", "histogram.svg", "instances.csv"],
    "confidence": ["table.md", "steps.png", "steps.svg", "steps.csv"],
    "granularity": ["table.md", "table.tex", "comparisons.csv"],
    "efficiency": ["table.md", "figures.json"],
    "case_study": ["table.md", "tokens.png", "case.html"],
    "claims": ["table.md", "table.tex", "claims.csv"],
}


def few(folder: Path) -> str:
    """Write families and curves as separate config groups; return the word that adds their folder."""
    for group, content in (("families", FAMILIES), ("curves", CURVES)):
        (folder / group).mkdir(parents=True)
        (folder / group / "few.yaml").write_text(content)
    return f"--config-dir={folder}"
