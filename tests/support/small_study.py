"""A study of seven families, small enough for a test: its command-line words, and the files it writes."""

from pathlib import Path

FAMILIES = """
fixed: {_target_: edt.strategies.Fixed, axes: {t0: {values: [0, 0.7, 1.2], extend_above: [1.8], hard_bounds: [0]}}}
kld_token: {_target_: edt.strategies.KLD, constants: {granularity: token}, axes: {t0: {values: [0.7, 1.2]}, sigma: {values: [2]}}}
kld_instance: {_target_: edt.strategies.KLD, constants: {granularity: instance}, axes: {t0: {values: [0.7, 1.2]}, sigma: {values: [2]}}}
edt_token: {_target_: edt.strategies.EDT, axes: {t0: {values: [0.7, 1.3]}, theta: {values: [0.1, 1]}}}
edt_instance: {_target_: edt.strategies.EDT, constants: {granularity: instance}, axes: {t0: {values: [0.7, 1.3]}, theta: {values: [0.5]}}}
dynatemp: {_target_: edt.strategies.Dynatemp, constants: {t_min: 0.05}, axes: {t_max: {values: [1, 2]}}}
random_t: {_target_: edt.strategies.random_t.around, axes: {center: {values: [0.7, 1.2]}, spread: {values: [0.5]}}}
"""
SMALL = [
    "families=few",
    "sampling.samples=4",
    "metrics.bootstrap.resamples=100",
    "refinements=1",
    "slices=0",
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
    "experiments.best_temperature.permutations=19",
    "experiments.confidence.background=4",
    "experiments.ablation.tasks=[mini_xlsum]",
    "experiments.ablation.t0=[0.7,1.3]",
    "experiments.ablation.theta=[0,1]",
    "browser.examples=2",
    "browser.samples=2",
]
EXPERIMENTS = {
    "main_table": ["table.md", "table.tex", "chosen.csv", "comparisons.csv", "grid.csv"],
    "best_temperature": ["table.md", "histogram.png", "histogram.svg", "instances.csv"],
    "confidence": ["table.md", "steps.png", "steps.svg", "steps.csv"],
    "ablation": ["table.md", "heat_maps_mini_xlsum.png", "curves_mini_xlsum.svg", "grid.csv"],
    "granularity": ["table.md", "table.tex"],
    "efficiency": ["table.md", "figures.json"],
    "case_study": ["table.md", "tokens.png", "case.html"],
    "frontier": ["table.md", "frontier.png", "points.csv"],
    "claims": ["table.md", "table.tex", "claims.csv"],
}


def few(folder: Path) -> str:
    """Write the families as a separate config group; return the word that adds its folder."""
    (folder / "families").mkdir(parents=True)
    (folder / "families" / "few.yaml").write_text(FAMILIES)
    return f"--config-dir={folder}"
