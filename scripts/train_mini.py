"""Train the embedded models: a small Llama for all four mini tasks, with a tokenizer trained on the same texts.

    python -m scripts.train_mini                 the model `mini`, into edt/assets/mini; half an hour on 2 cores
    python -m scripts.train_mini --base          the model `mini_base`, plain texts only, into edt/assets/mini_base;
                                                 3 minutes
    python -m scripts.train_mini --minutes 10    stops after 10 minutes; the same command continues from its checkpoint
    python -m scripts.train_mini --seed 1        other initial weights and another order, into build/models/mini-seed1
    python -m scripts.train_mini --skew 0.8 --open-slots 100 --unsettled-facts 3
                                                 on a variant of the tasks, into build/models/mini-skew0.8-…-seed0
    python -m scripts.train_mini --verify        repeats the first 100 steps (a minute), compares them with those of the
                                                 committed model, and records the hash of today's code if they agree

It writes weights, tokenizer and `training.json` (recipe, data, loss curve, scores) into the model's folder, and its
checkpoint into build/training. A model of another seed or variant never replaces the committed one. Data,
order and initial weights are functions of the recipe, so a run repeats up to floating-point rounding.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edt.cli.stop_signals import stop_status, stoppable
from edt.errors import ConfigError, DamagedFileError, StoreError
from edt.ids import file_digest
from edt.store.atomic import write_bytes
from edt.store.seal import SealError, check_seal, zip_bytes
from edt.strategies import Fixed
from edt.tasks.mini.corpus import exercises, fingerprint
from edt.tasks.mini.variants import Variant
from scripts import mini_recipe, mini_wiring
from scripts.mini_recipe import (
    Encoded,
    Recipe,
    chunk_examples,
    completion_loss,
    encode_examples,
    learning_rate,
    make_batches,
    new_model,
    new_optimizer,
    tensors,
    train_tokenizer,
)
from scripts.mini_scores import ROOT, mini_tasks, score_model

_SCORED_SAMPLES = 4
"""Samples per prompt of the final scores, the default of `edt run`."""

_VERIFIED_STEPS = 100
"""Steps that `--verify` repeats."""

_CURVE_STEPS, _CHECKPOINT_STEPS = 50, 100
"""Steps of a point of the loss curve, and between two checkpoints."""

_LOSS_TOLERANCE = 0.01
"""Largest relative difference of a loss that is still rounding: threads and machines sum in different orders."""

_DEFAULT = Variant()

_VARIANT_VOCABULARY = 3200
"""Size of the vocabulary of a variant with open slots, whose fillers would not all be one token in the default's."""

RECIPES = {"mini": Recipe(), "mini_base": Recipe(steps=600, exercise_chunks=0)}
"""Recipe of each committed model."""

_CODE = (Path(mini_recipe.__file__), Path(mini_wiring.__file__))
"""The files that determine the weights."""


@dataclass(kw_only=True)
class Training:
    """A training run, resumable from its checkpoint file."""

    recipe: Recipe
    base: bool
    folder: Path
    checkpoint: Path
    device: str = "cpu"
    variant: Variant = field(default_factory=Variant)

    def __post_init__(self) -> None:
        self.tasks = list(mini_tasks(self.variant).values())
        self.made_from = provenance(self.recipe, base=self.base, variant=self.variant)
        self.tokenizer = train_tokenizer(self.recipe, self.tasks)
        self.model = new_model(self.recipe, self.tokenizer).to(self.device)  # type: ignore[arg-type]
        self.optimizer = new_optimizer(self.recipe, self.model)
        self.step, self.chunk, self.position, self.seconds = 0, 0, 0, 0.0
        self.curve: list[tuple[int, float]] = []
        self.recent: list[float] = []
        """Losses since the last point of the curve."""
        if self.checkpoint.exists():
            self.restore()

    def restore(self) -> None:
        """Restore the state of the checkpoint.

        Raises StoreError if it is damaged, or belongs to another recipe, code or data.
        """
        content = self.checkpoint.read_bytes()
        try:
            problem = "" if check_seal(content, self._owner) else "is damaged (it lacks its seal)"
        except SealError as error:
            problem = str(error)
        if problem:
            raise DamagedFileError(f"{self.checkpoint} {problem}; remove it to start again.")
        state = torch.load(io.BytesIO(content), weights_only=True)
        if state["made_from"] != self.made_from:
            raise StoreError(f"{self.checkpoint} belongs to another recipe, code or data; remove it to start again.")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.chunk, self.position, self.seconds = state["at"]
        self.curve = [(step, loss) for step, loss in state["curve"]]
        self.recent = list(state["recent"])

    def save_checkpoint(self) -> None:
        """Save the whole state; a checkpoint is never half written."""
        state: dict[str, Any] = {"made_from": self.made_from, "curve": self.curve, "recent": self.recent}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"at": (self.step, self.chunk, self.position, self.seconds)}
        # First into memory: torch hides the error of a full disk, and damage is noticed by the digest.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        remedy = "continue with the same command"
        write_bytes(self.checkpoint, zip_bytes(buffer.getvalue(), self._owner), remedy=remedy)

    @property
    def _owner(self) -> str:
        return f"training/{self.checkpoint.name}"

    def stream(self) -> Iterator[list[Encoded]]:
        """Yield the batches from the current position."""
        while True:
            chunk = chunk_examples(self.recipe, self.tasks, self.chunk, base=self.base)
            if self.variant.changes and not self.base:
                # What the variant adds to sources and answers is read in exercises too, after those of the recipe.
                start = self.chunk * self.recipe.exercises_later
                chunk += exercises(range(start, start + self.recipe.exercises_later), self.variant)
            batches = make_batches(encode_examples(chunk, self.tokenizer), self.recipe, self.chunk)
            while self.position < len(batches):
                self.position += 1
                yield batches[self.position - 1]
            self.chunk, self.position = self.chunk + 1, 0

    def one_step(self, batch: Sequence[Encoded]) -> float:
        """Update the weights once; return the loss before the update."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        input_ids, labels = (tensor.to(self.device) for tensor in tensors(batch, self.tokenizer.pad_token_id))
        loss = completion_loss(self.model, input_ids, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss.item()

    def run(self, minutes: float, *, last_step: int | None = None) -> None:
        """Train until the last step (the recipe's by default) or the time limit, whichever comes first."""
        last_step = self.recipe.steps if last_step is None else last_step
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        began, before = time.monotonic(), self.seconds
        with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), refresh_per_second=1) as progress:
            bar = progress.add_task("loss", total=last_step, completed=self.step)
            batches = self.stream()
            while self.step < last_step and time.monotonic() - began < 60 * minutes:
                self.recent.append(self.one_step(next(batches)))
                self.seconds = before + time.monotonic() - began
                if self.step % _CURVE_STEPS == 0:
                    self.curve.append((self.step, round(sum(self.recent) / len(self.recent), 4)))
                    progress.update(bar, completed=self.step, description=f"loss {self.curve[-1][1]:.3f}")
                    self.recent = []
                if self.step % _CHECKPOINT_STEPS == 0:
                    print(f"step {self.step} loss {self.curve[-1][1]:.4f} seconds {self.seconds:.0f}", flush=True)
                    self.save_checkpoint()
        self.save_checkpoint()

    def save(self) -> None:
        """Save weights, tokenizer and training.json, by which a test checks that they belong to this script."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model.generation_config.do_sample = False
        self.model.save_pretrained(self.folder)
        self.tokenizer.save_pretrained(self.folder)
        record = dict(self.made_from)
        record |= {"steps_done": self.step, "seconds": round(self.seconds), "loss_curve": self.curve}
        record |= {"parameters": sum(parameter.numel() for parameter in self.model.parameters())}
        record |= {"weights_sha256": file_digest(self.folder / "model.safetensors")}
        record |= {"scores": {} if self.base else _final_scores(self.folder, self.variant)}
        (self.folder / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def provenance(recipe: Recipe, *, base: bool, variant: Variant = _DEFAULT) -> dict[str, Any]:
    """Return what the weights follow from: the recipe, its code, and the data with the wording of the prompts."""
    return {
        "made_by": "scripts/train_mini.py" + (" --base" if base else ""),
        "code_sha256": {f"scripts/{path.name}": file_digest(path) for path in _CODE},
        "recipe": _recorded(recipe),
        "data": fingerprint(mini_tasks(variant)),
        # Only where there is one: the committed models recorded none.
        **({"variant": variant.changes} if variant.changes else {}),
    }


def _final_scores(folder: Path, variant: Variant) -> dict[str, Any]:
    """Return the scores of greedy and of T = 1 on the test splits, next to those of the grammar itself."""
    strategies = {"greedy": Fixed(t0=0.0), "T=1": Fixed(t0=1.0)}
    table = score_model(folder, strategies, split="test", limit=None, samples=_SCORED_SAMPLES, variant=variant)
    return {"split": "test", "samples": _SCORED_SAMPLES, "tasks": table}


def _recorded(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as plain JSON, in which tuples are lists."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return content


def trained_recipe(recipe: Recipe, variant: Variant, *, seed: int, steps: int | None = None) -> Recipe:
    """Return the recipe of a committed model with another seed, variant or length."""
    size = max(recipe.vocab_size, _VARIANT_VOCABULARY) if variant.open_slots else recipe.vocab_size
    return replace(recipe, seed=seed, vocab_size=size, steps=recipe.steps if steps is None else steps)


def model_name(name: str, variant: Variant, *, seed: int) -> str:
    """Return the folder's name of a model: `name` for the default recipe, else with what differs and the seed."""
    if not variant.changes and seed == 0:
        return name
    changes = [f"{key}{value:g}" for key, value in variant.changes.items()]
    return "-".join([name, *changes, f"seed{seed}"])


def verify(name: str, folder: Path) -> None:
    """Check that today's code still makes the committed model, and record the hash of the code in its training.json.

    The tokenizer must be the same file, and the loss curve the same up to rounding. For changes of wording only: after
    a change of the recipe or the data the model must be trained again. Raises SystemExit when something differs.
    """
    record_file = folder / "training.json"
    record = json.loads(record_file.read_text())
    expected = provenance(RECIPES[name], base=name == "mini_base")
    changed = [key for key in ("recipe", "data") if record[key] != expected[key]]
    if changed:
        raise SystemExit(f"{folder} was trained with another {' and '.join(changed)}; train it again.")

    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "checkpoint.pt"
        training = Training(recipe=RECIPES[name], base=name == "mini_base", folder=folder, checkpoint=checkpoint)
        training.tokenizer.save_pretrained(scratch)
        if (Path(scratch) / "tokenizer.json").read_text() != (folder / "tokenizer.json").read_text():
            raise SystemExit(f"the tokenizer differs from {folder / 'tokenizer.json'}; train the model again.")
        training.run(math.inf, last_step=_VERIFIED_STEPS)

    for (step, loss), (_, recorded_loss) in zip(training.curve, record["loss_curve"], strict=False):
        if not math.isclose(loss, recorded_loss, rel_tol=_LOSS_TOLERANCE):
            raise SystemExit(f"at step {step} the loss is {loss}, but {recorded_loss} was recorded; train it again.")
    record["code_sha256"] = expected["code_sha256"]
    record_file.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{name}: tokenizer and loss of the first {_VERIFIED_STEPS} steps agree; {record_file} has today's code.")


def main() -> None:
    """Read the arguments, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", action="store_true", help="train mini_base on plain texts")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes, to continue later")
    parser.add_argument("--steps", type=int, help="another length of the whole training, for experiments")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the batches")
    parser.add_argument("--skew", type=float, default=_DEFAULT.skew, help="as task.skew")
    parser.add_argument("--open-slots", type=int, default=0, help="as task.open_slots")
    parser.add_argument("--unsettled-facts", type=int, default=0, help="as task.unsettled_facts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--out", type=Path, help="folder for the model (default: edt/assets/NAME, or build/models/NAME)"
    )
    parser.add_argument("--verify", action="store_true", help="compare the code with the committed model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = "mini_base" if arguments.base else "mini"
    if arguments.verify:
        verify(name, arguments.out or ROOT / "edt" / "assets" / name)
        return

    try:
        variant = Variant(
            skew=arguments.skew, open_slots=arguments.open_slots, unsettled_facts=arguments.unsettled_facts
        )
    except ConfigError as error:
        parser.error(str(error))
    recipe = trained_recipe(RECIPES[name], variant, seed=arguments.seed, steps=arguments.steps)
    own_name = model_name(name, variant, seed=recipe.seed)
    # The committed folder is of the default recipe alone.
    committed = own_name == name
    folder = arguments.out or ROOT / (f"edt/assets/{name}" if committed else f"build/models/{own_name}")
    checkpoint = ROOT / "build" / "training" / f"{own_name}-{recipe.steps}.pt"
    try:
        with stoppable():
            training = Training(
                recipe=recipe,
                base=arguments.base,
                folder=folder,
                checkpoint=checkpoint,
                variant=variant,
                device=arguments.device,
            )
            training.run(arguments.minutes)
    except StoreError as error:
        print(f"train_mini: {error}")
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        print(f"\n{str(error) or 'stopped'}; the same command continues from {checkpoint}.")
        raise SystemExit(stop_status(error)) from error
    if training.step < recipe.steps and arguments.out is None:
        print(f"stopped at step {training.step} of {recipe.steps}; the same command continues, and saves at the end.")
        return
    training.save()
    if not committed:
        settings = " ".join(f"task.{key}={value}" for key, value in variant.changes.items())
        print(f"edt run model=hf model.path={folder} task=mini {settings}".rstrip())


if __name__ == "__main__":
    main()
