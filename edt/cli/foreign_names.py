"""Name our key for one that other programs for language models use, such as `temperature` or `max_tokens`."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["own_name"]

_OWN_NAMES = {
    "temperature": "t0",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    **dict.fromkeys(("n", "num_samples", "n_samples", "num_return_sequences"), "sampling.samples"),
    **dict.fromkeys(("max_tokens", "max_length", "max_gen_toks", "num_predict"), "sampling.max_new_tokens"),
    "max_new_tokens": "sampling.max_new_tokens",
    **dict.fromkeys(("model.name", "name_or_path", "model_name", "model_name_or_path", "pretrained"), "model.path"),
    **dict.fromkeys(("seed", "random_seed"), "sampling.seed"),
    **dict.fromkeys(("lr", "learning_rate"), "training.learning_rate"),
    **dict.fromkeys(("r", "lora_r", "lora_rank"), "training.rank"),
    "lora_alpha": "training.alpha",
    "lora_dropout": "training.dropout",
    "lora_target_modules": "training.target_modules",
    **dict.fromkeys(("num_train_epochs", "num_epochs", "n_epochs"), "training.epochs"),
    **dict.fromkeys(("batch_size", "train_batch_size"), "training.batch"),
    **dict.fromkeys(("micro_batch_size", "per_device_train_batch_size"), "training.device_batch"),
    **dict.fromkeys(("lr_scheduler", "lr_scheduler_type"), "training.schedule"),
    "warmup_ratio": "training.warmup",
    "early_stopping_patience": "training.patience",
    **dict.fromkeys(("limit", "max_samples", "num_examples", "n_examples"), "task.limit"),
    **dict.fromkeys(("shots", "fewshot", "num_fewshot", "num_shots"), "task.shots"),
}
"""Names of other programs, below any parent but where one is given, with our key or a parameter of a strategy."""

_KEEP_MEANING = ("strategy", "space", "baseline", "families", "metrics", "tracking", "engine", "search", "eda_scale")
"""Groups whose own names mean something else: `strategy.n` is EDT's base, `search.seed` that of the search."""


def own_name(key: str, groups: Collection[str]) -> str | None:
    """Return our name for a key that no configuration has: a key, or a parameter of a strategy (without a dot).

    groups: the names at the top of the configuration. None where nothing is known of the key.
    """
    parent, _, name = key.rpartition(".")
    if parent.partition(".")[0] in _KEEP_MEANING:
        return None
    own = _OWN_NAMES.get(key) or _OWN_NAMES.get(name)
    # Who trains means the seed of the training: that of the samples moves nothing there.
    if own == "sampling.seed" and "training" in groups:
        own = "training.seed"
    # A command without the group has no such key either.
    return own if own is not None and (own.partition(".")[0] if "." in own else "strategy") in groups else None
