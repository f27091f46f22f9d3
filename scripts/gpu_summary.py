"""Write what scripts/gpu_check.py measured as a page for people.

    python -m scripts.gpu_summary FOLDER

Reads FOLDER/gpu_check.json and FOLDER/study_TASK_scores.parquet, and writes FOLDER/summary.md: speed by rows, sweeps
against transformers, exactness, and of each family the setting with the best EDA on dev, next to the best fixed
temperature.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

_TRUNCATION = ("min_p", "top_p", "top_n_sigma", "top_k")


def families(scores: pd.DataFrame) -> list[str]:
    """Return a row of a Markdown table for each family: its best setting by EDA, and the difference to the baseline."""
    used = [name for name in _TRUNCATION if name in scores]
    with_truncation = scores.assign(
        family=scores["family"].str.cat(
            scores[used].notna().apply(lambda row: "".join(f" × {name}" for name in used if row[name]), axis=1)
        )
    )
    rows = []
    for family, group in with_truncation.groupby("family"):
        eda = group[group["metric"] == "eda"].set_index("strategy_id")
        best = eda.loc[eda["value"].idxmin()]
        others = group[group["strategy_id"] == best.name].set_index("metric")["value"]
        interval = f"[{best['difference_lo']:+.2f}, {best['difference_hi']:+.2f}]"
        # The baseline differs from itself by nothing.
        difference = "baseline" if best.name == best["baseline"] else f"{best['difference']:+.2f} {interval}"
        values = f"{best['value']:.2f} | {difference} | {others['rouge_l']:.2f} | {others['self_bleu']:.1f}"
        rows.append((best["value"], f"| {family} | {len(eda)} | `{best.name}` | {values} |"))
    return [row for _, row in sorted(rows)]


def study(folder: Path, task: str, figures: dict[str, Any]) -> list[str]:
    """Return the section of one task."""
    scores = pd.read_parquet(folder / f"study_{task}_scores.parquet")
    examples, samples = int(scores["n_examples"].max()), int(scores["n_samples"].max())
    settings = scores["strategy_id"].nunique()
    return [
        f"## {task}, dev: {settings} settings × {examples} examples × {samples} samples",
        "",
        f"Decoded in {figures['decode_seconds']:.0f} s, scored in {figures['score_seconds']:.0f} s, with start-up. The "
        "best setting of each family by EDA (lower is better), chosen and measured on the same half, so each value is "
        "optimistic, the more the more settings a family has; the difference is to the best fixed temperature, with "
        "a paired 95 % interval that is not adjusted for the choice.",
        "",
        "| family | settings | best | EDA | difference | ROUGE-L | Self-BLEU |",
        "|---|---|---|---|---|---|---|",
        *families(scores),
        "",
    ]


def speed(figures: dict[str, Any]) -> list[str]:
    """Return the sections on the device, on rows and on sweeps."""
    device, rows = figures["device"], figures["rows"]
    lines = [
        f"Device: {device['name']}, torch {device['torch']}, transformers {device['transformers']}; "
        f"bfloat16 products at {device.get('matmul_bf16_tflops')} TFLOP/s, "
        f"copies at {device.get('copy_gb_per_s')} GB/s.",
        "",
        f"## Rows decoded together ({rows['shape']}, {rows['dtype']}, {rows['settings']} settings × 8 samples)",
        "",
        "| engine.max_rows | tokens per second | share in the model | peak GiB |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        if isinstance(row, dict):
            values = f"{row['row_steps_per_s']:,} | {row['model_share']:.2f} | {row['peak_gib']}"
            lines.append(f"| {int(name):,} | {values} |")
    lines += [
        "",
        "## Sweeps of 36 settings × 8 samples against one `generate` per setting (bfloat16)",
        "",
        "| model | mean entropy, nats | rows ÷ forward rows | generate ÷ ours | sweep ÷ one setting | top-p ÷ plain |",
        "|---|---|---|---|---|---|",
    ]
    for name, title in (("sweep_real", "the real model, random prompts"), ("sweep", "random 1B")):
        one = figures.get(name, {})
        if "generate_over_ours" in one:
            ratios = ("mean_entropy", "rows_over_forward_rows", "generate_over_ours", "sweep_over_single")
            values = " | ".join(str(one[key]) for key in (*ratios, "top_p_over_plain"))
            lines.append(f"| {title} | {values} |")
    return [*lines, ""]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    figures = json.loads((folder / "gpu_check.json").read_text(encoding="utf-8"))
    lines = ["# What the GPU check measured", "", *speed(figures)]
    lines += [
        "## Exactness",
        "",
        "```",
        json.dumps({key: figures[key] for key in ("noise", "exactness")}, indent=1),
        "```",
        "",
    ]
    for task, one in figures.get("study", {}).items():
        if isinstance(one, dict):
            lines += study(folder, task, one)
    (folder / "summary.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
