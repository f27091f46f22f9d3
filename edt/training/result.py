"""The folder that a training leaves: adapter or model, card, curve, and the manifest, which says that it is whole."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edt.ids import file_digest
from edt.models.checkpoint import tokenizer_files
from edt.models.folder_check import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from edt.store.atomic import write_atomically, write_text
from edt.store.training import CHECKPOINTS, TrainingManifest
from edt.training.checkpoints import Checkpoint
from edt.training.trainer import DEV_LOSS, shown_values

__all__ = ["CARD", "CURVE", "finish", "merged_card"]

CARD, CURVE = "README.md", "curve.csv"
_COLUMNS = ("step", "epoch", "loss", "learning rate", "gradient norm", "dev loss", "quality")


def finish(
    folder: Path, manifest: TrainingManifest, checkpoint: Checkpoint, *, base: Path, quality: str
) -> TrainingManifest:
    """Copy the best weights into the folder, write card and curve, and record in the manifest that all is there.

    base: folder of the base model, whose tokenizer a fully trained model keeps. Repeating it changes nothing.
    """
    curve = _curve_rows(checkpoint.curve)
    result = _result(checkpoint, curve, quality)
    # Without the state of the optimizer, which is twice as large as the weights and of no use for decoding.
    if manifest.training["full"]:
        copied = [p for p in checkpoint.best.iterdir() if p.suffix == ".safetensors" or p.name.endswith("index.json")]
        copied += [checkpoint.best / name for name in ("config.json", "generation_config.json")]
        copied += tokenizer_files(base)
    else:
        copied = [checkpoint.best / name for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG)]
    # Not every model has a generation config.
    copied = [path for path in copied if path.is_file()]
    for source in copied:
        _copy(source, folder / source.name)
    if not manifest.training["full"]:
        # As the user names it: the folder of a cache is nobody else's.
        config = {**read_json(folder / ADAPTER_CONFIG), "base_model_name_or_path": manifest.base["path"]}
        # A set of peft's, whose order is another in each process.
        if isinstance(config.get("target_modules"), list):
            config["target_modules"] = sorted(config["target_modules"])
        write_text(folder / ADAPTER_CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n", setting="out")
    write_text(folder / CURVE, _csv(curve), setting="out")
    write_text(folder / CARD, card(manifest, result, curve), setting="out")

    # What was written and no more: files that a user adds later are none of the training.
    names = sorted({path.name for path in copied} | {CARD, CURVE})
    finished = replace(manifest, result=result, files={name: file_digest(folder / name) for name in names})
    # Last: what has a result is whole.
    finished.write(folder)
    shutil.rmtree(folder / CHECKPOINTS)
    return finished


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content:
        write_atomically(target, lambda file: shutil.copyfileobj(content, file), setting="out")


def _curve_rows(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return the curve, a row per step, from the log of the Trainer."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        values = shown_values(entry)
        if values:
            step = int(entry["step"])
            # The Trainer logs loss and evaluation of one step in two entries.
            rows.setdefault(step, {"step": step, "epoch": float(entry.get("epoch", 0.0))}).update(values)
    return [rows[step] for step in sorted(rows)]


def _csv(rows: Sequence[Mapping[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _result(checkpoint: Checkpoint, curve: Sequence[Mapping[str, float]], quality: str) -> dict[str, Any]:
    """Return the figures of the end; those of the base are of step 0."""
    by_step = {int(row["step"]): row for row in curve}
    before, best = by_step.get(0, {}), by_step.get(checkpoint.best_step, {})
    return {
        "steps": checkpoint.step,
        "best_step": checkpoint.best_step,
        "stopped_early": checkpoint.step < int(checkpoint.state["max_steps"]),
        DEV_LOSS: {"base": before.get("dev loss"), "trained": best.get("dev loss")},
        "quality": {"metric": quality, "base": before.get("quality"), "trained": best.get("quality")},
    }


def merged_card(manifest: TrainingManifest, adapter: Path) -> str:
    """Return the card of the model into which the adapter in a finished training's folder is merged."""
    with (adapter / CURVE).open(encoding="utf-8", newline="") as file:
        curve = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert manifest.result is not None
    return card(manifest, manifest.result, curve, merged=True)


def card(
    manifest: TrainingManifest,
    result: Mapping[str, Any],
    curve: Sequence[Mapping[str, float]],
    *,
    merged: bool = False,
) -> str:
    """Return the card of the result, in the form of the hub: what it is, from what, and how it was trained.

    merged: of the whole model that holds the adapter in its weights.
    """
    base, training = manifest.base, manifest.training
    whole = merged or training["full"]
    kind = "A model" if training["full"] else f"A LoRA adapter (rank {training['rank']})"
    made = f"{kind}, trained by `edt train`" + (" and merged into its base" if merged else "")
    head = ["---", f"base_model: {base['path']}", "library_name: " + ("transformers" if whole else "peft")]
    # The command that decodes with it: whoever finds a folder of weights needs that first.
    use = "model=hf model.path=FOLDER" if whole else f"model.path={base['path']} model.adapter=FOLDER"
    splits = ", ".join(f"{facts['examples']:,} of {split}" for split, facts in manifest.subset.items())
    facts = {
        "base model": f"{base['path']}" + (f", revision {base['revision']}" if base["revision"] else ""),
        "weights of the base": base["weights"],
        "task": manifest.task,
        "examples": splits,
        "ids of the examples": ", ".join(f"{split} {facts['ids']}" for split, facts in manifest.subset.items()),
        "prompt": manifest.identity["wording"],
        "training": ", ".join(f"{name} {value}" for name, value in training.items() if value is not None),
        "seed": training["seed"],
        "steps": f"{result['steps']:,}" + (", stopped early" if result["stopped_early"] else ""),
        "kept": f"the weights of step {result['best_step']:,}",
        "versions": ", ".join(f"{k} {v}" for k, v in manifest.environment["packages"].items() if v),
        "training id": manifest.training_id,
    }
    loss, quality = result[DEV_LOSS], result["quality"]
    figures = [("loss on dev, nats per token of the answers", loss["base"], loss["trained"])]
    figures.append(
        (f"{quality['metric']} of greedy decoding on a few dev examples", quality["base"], quality["trained"])
    )
    evaluated = [row for row in curve if "dev loss" in row]
    lines = [
        *head,
        "---",
        "",
        f"# {base['path']} on {manifest.task}",
        "",
        f"{made}. To decode with it: `edt run {use} task={manifest.task}`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
        "| | base | trained |",
        "|---|---|---|",
        *(f"| {name} | {_number(before)} | {_number(after)} |" for name, before, after in figures),
        "",
        "| step | loss on dev | quality |",
        "|---|---|---|",
        *(
            f"| {int(row['step']):,} | {_number(row['dev loss'])} | {_number(row.get('quality'))} |"
            for row in evaluated
        ),
        "",
        f"The whole curve is in {CURVE}. The wording of the prompts:",
        "",
        *(f"- {name}: `{value!r}`" for name, value in manifest.wording.items() if value),
        "",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
