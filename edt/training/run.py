"""`edt train`: from a task and a model to the folder of an adapter, from wherever an earlier command has stopped."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edt.decoding.sampling import Sampling
from edt.errors import ConfigError, DamagedFileError, DataError, MemoryExceededError, StoreError
from edt.extras import check_extra
from edt.generation.data_notes import data_notes
from edt.generation.environment import environment, environment_differences, installed_version
from edt.generation.request import TaskRequest
from edt.generation.splits import check_disjoint, shared_text_notes
from edt.generation.task_prompts import TaskPrompts
from edt.generation.wording import wording
from edt.ids import differing_keys, digest, file_digest
from edt.logs import LOG_NAME, announced, log_into, log_to_stderr
from edt.models.checkpoint import checkpoint_identity
from edt.models.guard import memory_exhausted
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Split
from edt.redact import json_without_secrets, without_secrets
from edt.store.atomic import remove_abandoned
from edt.store.layout import training_folder
from edt.store.lock import held
from edt.store.training import CHECKPOINTS, MANIFEST, TrainingManifest
from edt.tasks.base import ExampleSet
from edt.tracking.spec import NoTracking, Tracking
from edt.tracking.training_curve import training_curve
from edt.training.examples import TrainingExample, TrainingExamples
from edt.training.progress import training_progress
from edt.training.spec import TrainingSpec

__all__ = ["TrainRequest", "train"]

logger = logging.getLogger(__name__)

DRY_RUN = "dry_run=true: nothing was trained, and nothing was written."


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train, on what, and how.

    out: the folder of the result; None: one below `runs` by what is trained. config, command: for the manifest.
    """

    model: ModelSpec
    task: TaskRequest
    training: TrainingSpec
    sampling: Sampling
    tracking: Tracking
    runs: Path
    out: Path | None
    config: Mapping[str, Any]
    command: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        if set(self.task.splits) not in ({"train"}, {"train", "dev"}, {"all"}):
            raise ConfigError(
                f"task.split is '{' and '.join(self.task.splits)}' in edt train, which trains on train and watches "
                "dev; use [train,dev], or train alone. A single file is trained on with all."
            )
        for name, why in (
            ("adapter", "begins from a base; merge it first with edt train export, and give the merged folder"),
            ("long_tail", "trains the model itself; leave the tail out"),
        ):
            if getattr(self.model, name) is not None:
                raise ConfigError(f"model.{name} is set, but edt train {why}.")


@dataclass(frozen=True, kw_only=True)
class _Data:
    """The examples of each split, as read and in tokens."""

    sets: Mapping[Split, ExampleSet]
    encoded: Mapping[str, list[TrainingExample]]
    reading: TaskPrompts


def train(request: TrainRequest) -> Path | None:
    """Train, or continue it, and return the folder of the result; None after a dry run.

    Raises ConfigError, DataError, ModelError or StoreError before anything is trained.
    """
    check_extra("train", "edt train")
    if request.training.quantize is not None:
        check_extra("qlora", "training.quantize=4bit")
    # Before data and weights are read, which takes minutes: a device that is not here.
    device = request.model.resolved_device
    _check_device(request.model)
    devices = int(os.environ.get("WORLD_SIZE", 1))
    # Raises for a batch that cannot be split, which the Trainer would round.
    request.training.split_batch(devices)
    if request.out is not None:
        _check_other_files(request.out)

    sets = _load(request.task, request.training)
    with announced("loading the model %s", request.model.path):
        model = LanguageModel.load(_with_dtype(request, device.type), quantization=_quantization(request.training))
    data = _encode(model, request, sets)
    manifest = _manifest(model, request, data)
    folder = request.out or training_folder(request.runs, request.model.path, manifest.task, manifest.training_id)
    # Before anything is written: the folder may belong to another training.
    before = _before(folder, manifest)
    if request.dry_run:
        _say_plan(model, request, data, devices)
        if before is not None:
            logger.info("%s holds this training, %s.", folder, "finished" if before.result is not None else "begun")
        logger.info("%s", DRY_RUN)
        return None

    # Of several processes, the first one writes and speaks.
    is_first = _is_first()
    if not is_first:
        log_to_stderr(logging.WARNING)
    with held(folder, "the training", setting="out") if is_first else nullcontext():
        if is_first:
            log_into(folder)
            remove_abandoned(folder)
        # Again, now that no other process writes in it.
        before = _before(folder, manifest)
        if before is not None and before.result is not None:
            _check_files(folder, before)
            # Where a kill has left some of them.
            if is_first and (folder / CHECKPOINTS).exists():
                shutil.rmtree(folder / CHECKPOINTS)
            logger.info("%s is finished already; another out=FOLDER, or another training.seed, trains anew.", folder)
            return folder
        # The manifest of before stays: it says in which environment the training began.
        current = manifest if before is None else _continued(before, manifest)
        if is_first:
            current.write(folder)
        _train(model, request, data, current, folder, devices)
        return folder if is_first else None


def _is_first() -> bool:
    """Return whether this process is the first of those that `accelerate launch` has started, or the only one."""
    return int(os.environ.get("RANK", 0)) == 0


def _check_device(spec: ModelSpec) -> None:
    # The Trainer places the model itself, on the first GPU that the process sees.
    if spec.device.startswith("cuda:") and spec.device != "cuda:0":
        number = spec.device.partition(":")[2]
        raise ConfigError(
            f"model.device is '{spec.device}', and edt train uses the first GPU that it sees; run it as "
            f"CUDA_VISIBLE_DEVICES={number} edt train …, or on all of them by accelerate launch -m edt train …."
        )


def _with_dtype(request: TrainRequest, device: str) -> ModelSpec:
    """Return the model's options with the dtype to train in, where none was chosen."""
    spec = request.model
    if spec.dtype != "auto" or device != "cuda":
        return spec
    import torch

    # All weights are updated in float32: steps are smaller than what bfloat16 can hold. A frozen base can be halved.
    if request.training.full:
        return replace(spec, dtype="float32")
    return replace(spec, dtype="bfloat16" if torch.cuda.is_bf16_supported() else "float16")


def _quantization(training: TrainingSpec) -> Any | None:
    if training.quantize is None:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    # NF4 with double quantization, as in the QLoRA paper.
    half = torch.bfloat16 if not torch.cuda.is_available() or torch.cuda.is_bf16_supported() else torch.float16
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=half,
    )


def _load(task: TaskRequest, training: TrainingSpec) -> dict[Split, ExampleSet]:
    """Return the examples of the splits. Raises DataError where there is no train split."""
    sets: dict[Split, ExampleSet] = {}
    if "all" in task.splits:
        logger.warning(
            "task.split=all trains on every example of %s; what is decoded of them later is not new to the model.",
            task.task.name,
        )
    with announced("%s: reading the data", task.task.name):
        for split in task.splits:
            # Dev is watched at every evaluation, so a part of it has to do; train is read whole.
            own = replace(task.task, limit=training.dev_examples) if split == "dev" else task.task
            try:
                sets["train" if split == "all" else split] = own.load(split)
            except DataError as error:
                if split != "dev":
                    raise
                raise DataError(f"{error} edt train watches dev; task.split=train trains without it.") from error
    # An example of dev among those of train would make the loss on dev fall for nothing.
    check_disjoint(task.task.name, sets)
    for note in [*data_notes(task.task.name, sets), *shared_text_notes(task.task.name, sets)]:
        logger.info("%s", note)
    return sets


def _encode(model: LanguageModel, request: TrainRequest, sets: Mapping[Split, ExampleSet]) -> _Data:
    reading = TaskPrompts.of(model, request.task, request.sampling)
    encoder = TrainingExamples.of(model, reading)
    with announced("%s: tokenizing %d examples", request.task.task.name, sum(len(s.examples) for s in sets.values())):
        encoded = {str(split): [encoder.encode(example) for example in s.examples] for split, s in sets.items()}
    return _Data(sets=sets, encoded=encoded, reading=reading)


def _manifest(model: LanguageModel, request: TrainRequest, data: _Data) -> TrainingManifest:
    """Return the manifest of the training before it begins."""
    checkpoint = checkpoint_identity(model.folder, code=model.spec.trust_remote_code)
    # Decoding with another template than that of training is the usual mistake, so the wording is recorded.
    words = wording(model, request.task.task)
    training = {**asdict(request.training), "rate": request.training.rate}
    identity = {
        "kind": "training",
        "model": {**checkpoint, "dtype": str(model.model.dtype).removeprefix("torch."), "device": model.device.type},
        "examples": digest(
            {split: [[e.example_id, e.prompt_ids, e.answer_ids] for e in es] for split, es in data.encoded.items()}
        ),
        "wording": digest(words),
        "training": {name: training[name] for name in request.training.identity_fields},
    }
    return TrainingManifest(
        identity=identity,
        task=request.task.task.name,
        base={
            "path": without_secrets(request.model.path),
            "revision": None if request.model.revision is None else str(request.model.revision),
            **checkpoint,
        },
        wording=words,
        subset={
            split: {
                "examples": len(subset.examples),
                "available": subset.available,
                "ids": digest([example.example_id for example in subset.examples]),
                "origin": json_without_secrets(subset.origin),
            }
            for split, subset in data.sets.items()
        },
        training=training,
        config=json_without_secrets(request.config),
        environment=_environment(request.command),
    )


def _environment(command: str) -> dict[str, Any]:
    """Return what a training is made with: what decoding records, and the packages that train."""
    shared = environment(command)
    own = {name: installed_version(name) for name in ("peft", "accelerate", "bitsandbytes")}
    return {**shared, "packages": {**shared["packages"], **own}}


def _before(folder: Path, manifest: TrainingManifest) -> TrainingManifest | None:
    """Return the manifest that the folder holds already. Raises StoreError for that of another training."""
    before = TrainingManifest.read(folder)
    if before is None:
        _check_other_files(folder)
        return None
    if before.training_id != manifest.training_id:
        what = ", ".join(map(".".join, differing_keys(before.identity, manifest.identity)))
        raise StoreError(
            f"out is {folder}, which holds another training, of '{before.base['path']}' on {before.task}: it "
            f"differs in {what}. Give another folder, or none (out=null), or repeat the command that began it."
        )
    return before


def _check_other_files(folder: Path) -> None:
    """Raise StoreError where a folder without a training holds files."""
    # Results of other programs must not be mixed with these. Another process than the first may come before it has made
    # the folder.
    if (folder / MANIFEST).is_file() or not folder.is_dir():
        return
    others = [path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name != LOG_NAME]
    if others:
        raise StoreError(
            f"out is {folder}, which holds other files ({', '.join(sorted(others)[:3])}) and no {MANIFEST}; give a "
            "new folder, or none (out=null)."
        )


def _check_files(folder: Path, finished: TrainingManifest) -> None:
    """Raise DamagedFileError where a file of the result is not the one that was written."""
    # By content: a file of the right name may have been trained further.
    for name, sha256 in finished.files.items():
        path = folder / name
        if not path.is_file() or file_digest(path) != sha256:
            raise DamagedFileError(
                f"{path} is missing or was changed since the training ended; bring it back from a copy, or remove the "
                "folder and train anew."
            )


def _continued(before: TrainingManifest, now: TrainingManifest) -> TrainingManifest:
    """Return the manifest of before, with this environment where it differs from the last one in what moves digits."""
    # With the last continuation and not with the start: each change is reported once.
    changed = environment_differences((before.continued or (before.environment,))[-1], now.environment)
    if not changed:
        return before
    shown = ", ".join(f"{name} {was} → {is_now}" for name, (was, is_now) in changed.items())
    logger.warning(
        "%s was begun in another environment (%s); the last digits of the weights may differ.", now.task, shown
    )
    return replace(before, continued=(*before.continued, now.environment))


def _say_plan(model: LanguageModel, request: TrainRequest, data: _Data, devices: int) -> tuple[Any, Any]:
    """Log what will be trained; return the model with what is trained in it, and the schedule."""
    from edt.training.plan import estimated_seconds, masked_example, memory_of, plan_lines
    from edt.training.trainer import Schedule, adapted

    spec, train_examples = request.training, data.encoded["train"]
    schedule = Schedule.of(spec, len(train_examples), devices)
    # A forward pass of the base: the adapter adds little.
    evaluated = sum(e.length for e in data.encoded.get("dev", ())) * (1 + schedule.steps // schedule.every)
    seconds = estimated_seconds(model, spec, schedule, train_examples, evaluated)
    trained = adapted(model, spec)
    new_tokens = data.reading.limits.max_new_tokens
    for line in plan_lines(
        label=request.task.task.name,
        examples=data.encoded,
        trained=trained,
        spec=spec,
        schedule=schedule,
        memory=memory_of(model, trained, spec, schedule, train_examples),
        seconds=seconds,
        longer=sum(len(e.answer_ids) > new_tokens for e in train_examples),
        new_tokens=new_tokens,
    ):
        logger.info("%s", line)
    logger.info("%s", masked_example(model, train_examples[0]))
    return trained, schedule


def _train(
    model: LanguageModel, request: TrainRequest, data: _Data, manifest: TrainingManifest, folder: Path, devices: int
) -> None:
    """Train from the last whole checkpoint to the end, and write the result."""
    from edt.training.checkpoints import last_whole
    from edt.training.result import finish

    # A checkpoint that a kill has cut is passed over, and the one before it continues to the same weights.
    last = last_whole(folder / CHECKPOINTS)
    if last is None or not last.is_last:
        trained, schedule = _say_plan(model, request, data, devices)
        if last is not None:
            logger.info("%s: continuing after step %d of %d", manifest.task, last.step, schedule.steps)
        _run_trainer(model, trained, schedule, request, data, manifest, folder, None if last is None else last.folder)
        # The first process removes the checkpoints, so no other may look for them.
        last = last_whole(folder / CHECKPOINTS) if _is_first() else None
    if last is not None and _is_first():
        finished = finish(folder, manifest, last, base=model.folder, quality=request.task.quality_metric)
        assert finished.result is not None
        loss = finished.result["answer_loss"]
        if loss["trained"] is not None:
            logger.info(
                "%s: loss on dev %.4f before, %.4f at step %d, which is kept",
                manifest.task,
                loss["base"],
                loss["trained"],
                finished.result["best_step"],
            )


def _run_trainer(
    model: LanguageModel,
    trained: Any,
    schedule: Any,
    request: TrainRequest,
    data: _Data,
    manifest: TrainingManifest,
    folder: Path,
    last: Path | None,
) -> None:
    from edt.training.quality import GreedyQuality
    from edt.training.trainer import Watchers, build_trainer

    dev = data.sets.get("dev")
    watched: Sequence[Any] = () if dev is None else dev.examples[: request.training.quality_examples]
    quality = GreedyQuality(task=request.task, reading=data.reading, examples=watched) if watched else None
    config = {"task": manifest.task, "model": manifest.base["path"], **manifest.identity["training"]}
    curve = training_curve(
        request.tracking if _is_first() else NoTracking(),
        export_id=manifest.training_id,
        name=f"{manifest.base['path']} on {manifest.task}",
        config=config,
        folder=folder,
    )
    with curve as log, training_progress(manifest.task, schedule.steps) as steps:
        trainer = build_trainer(
            model,
            trained,
            request.training,
            schedule,
            data.encoded["train"],
            data.encoded.get("dev", []),
            folder=folder / CHECKPOINTS,
            quality=quality,
            begins=last is None,
            watchers=Watchers(steps=steps, log=log, label=manifest.task, quality=request.task.quality_metric),
        )
        try:
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
        except Exception as error:
            if not memory_exhausted(error):
                raise
            raise MemoryExceededError(
                "the training does not fit into memory; use a smaller training.device_batch, "
                "training.gradient_checkpointing=true, a smaller task.max_prompt_tokens or training.quantize=4bit. The "
                "same command with one of these continues."
            ) from error
