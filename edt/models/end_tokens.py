"""Which tokens end a text: all that a checkpoint's files name."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edt.errors import ModelError, shown_value

logger = logging.getLogger(__name__)


def end_tokens(folder: Path, generation_config: Any, tokenizer: Any, *, vocabulary: int) -> frozenset[int]:
    """Return the end tokens of the generation config, the config and the tokenizer together.

    Each of them may be incomplete: the generation config of a chat model often names the end of a document alone, and
    its tokenizer the end of a turn. A text that runs on behind one of them is another document or another turn. An info
    is logged where `transformers` alone, which reads the generation config, would end texts at fewer tokens.

    An id that the model's vocabulary does not have ends no text: it is warned about where there are others, since the
    config of a model that was trained from scratch often keeps its class's default. Raises ModelError where there are
    none, and for what is no token id.
    """
    named = {
        "generation config": _ids(getattr(generation_config, "eos_token_id", None), folder / "generation_config.json"),
        "config": _configured_ids(folder),
        "tokenizer": _ids(getattr(tokenizer, "eos_token_id", None), folder / "tokenizer_config.json"),
    }
    beyond = sorted({token for ids in named.values() for token in ids if token >= vocabulary})
    named = {source: frozenset(token for token in ids if token < vocabulary) for source, ids in named.items()}
    every = frozenset[int]().union(*named.values())
    if beyond:
        problem = (
            f"eos_token_id {shown_value(beyond)} in the files of '{folder}' is beyond the model's {vocabulary} tokens"
        )
        remedy = f"Give an id from 0 to {vocabulary - 1} in config.json and generation_config.json"
        if not every:
            raise ModelError(f"{problem}, and no other end token is named, so no text would end. {remedy}, or null.")
        logger.warning("%s; it ends no text, the others do. %s.", problem, remedy)
    first = next((ids for ids in named.values() if ids), frozenset())
    if every != first:
        texts = ", ".join(
            f"{source}: {' '.join(_shown(token, tokenizer) for token in sorted(ids)) or 'none'}"
            for source, ids in named.items()
        )
        logger.info("The files of the model name different end tokens (eos_token_id), and each ends a text: %s.", texts)
    return every


def _configured_ids(folder: Path) -> frozenset[int]:
    """Return the end tokens that config.json names, at its top or for its text model."""
    path = folder / "config.json"
    # From the file: a loaded config has its class's default where the file names none, and in this model's vocabulary
    # that may be an ordinary token.
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    text_config = config.get("text_config")
    nested = text_config.get("eos_token_id") if isinstance(text_config, Mapping) else None
    return _ids(config.get("eos_token_id"), path) | _ids(nested, path)


def _ids(value: Any, file: Path) -> frozenset[int]:
    """Return one id or several as a set. file: where they are from, for errors."""
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(token, int) for token in ids):
        raise ModelError(
            f"'{file}' has eos_token_id {shown_value(value)}; it must be the id of a token, a list of ids, or null. "
            "Correct it, or fetch the file again."
        )
    # −1 stands for no token in some checkpoints.
    return frozenset(token for token in ids if token >= 0)


def _shown(token: int, tokenizer: Any) -> str:
    return f"{token} {tokenizer.convert_ids_to_tokens(token)!r}"
