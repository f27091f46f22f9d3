"""What determines the weights of the embedded models: recipe, tokenizer, architecture, batches, loss, learning rate.

A module without a command; `train_mini` uses it, and it writes nothing. The committed weights record the hash of this
file. After a change, either train them again, or, if the change must not matter, `python -m scripts.train_mini
--verify` confirms that it does not and records the new hash.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from edt.tasks.mini.corpus import TrainingExample, exercises, plain_texts, task_examples
from edt.tasks.mini.generated_task import GeneratedTask
from edt.tasks.mini.world import CHINESE_PARTS, NAME_ENDS
from scripts.mini_wiring import wire_copying

_PAD, _BOS, _EOS = "<pad>", "<s>", "</s>"
_ENDING = rf"(?:{'|'.join(NAME_ENDS)})(?![\p{{L}}\p{{M}}])"
"""Pattern of the ending of a surname or town, at the end of a word."""
_PIECES = Regex(
    rf"{'|'.join(CHINESE_PARTS)}|\p{{Han}}| ?\d\d?|{_ENDING}"
    rf"| ?(?:(?!\p{{Han}})(?!(?<=\p{{Ll}}){_ENDING})[\p{{L}}\p{{M}}])+| ?[^\s\p{{L}}\p{{M}}\d]|\s"
)
"""Pattern of a piece of text, inside which the tokenizer merges.

A piece is a part of a Chinese name, another Chinese character, one or two digits, the ending of a name, a word or its
stem, or a mark. All but the endings and Chinese include the space before them. So figures are copied two digits at a
time, and names are copied and transliterated by stem and ending, of which there are few.
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All numbers that determine the weights."""

    seed: int = 0
    vocab_size: int = 2624
    tokenizer_rows: int = 1500
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 384
    context: int = 512
    rope_theta: float = 1e6
    initial_std: float = 0.02
    embedding_std: float = 0.1
    steps: int = 8000
    warmup: int = 100
    learning_rate: float = 2.5e-3
    final_share: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    clip: float = 1.0
    batch_tokens: int = 2048
    rows_per_chunk: tuple[int, ...] = (320, 480, 160, 640)
    """Rows of each of the four tasks (mini_quac: dialogues) that are shuffled together, in the order of the tasks."""
    exercise_chunks: int = 4
    """Number of first chunks that are exercises only."""
    exercises_per_chunk: int = 800
    exercises_later: int = 120
    """Indices per chunk of exercises, and in each later chunk; an index makes three exercises."""


Encoded = tuple[list[int], int]
"""Token ids with BOS and EOS, and the index at which the completion begins."""


def chunk_examples(recipe: Recipe, tasks: Sequence[GeneratedTask], chunk: int, *, base: bool) -> list[TrainingExample]:
    """Return the training examples of one chunk: the next rows of each task."""
    make = plain_texts if base else task_examples
    per_task = zip(tasks, recipe.rows_per_chunk, strict=True)
    if base:
        return [item for task, rows in per_task for item in make(task, range(chunk * rows, (chunk + 1) * rows))]

    # Exercises come first: copying is learnt before reading, and kept up by a few in each later chunk.
    start = chunk * recipe.exercises_per_chunk
    if chunk < recipe.exercise_chunks:
        return list(exercises(range(start, start + recipe.exercises_per_chunk)))
    examples = list(exercises(range(start, start + recipe.exercises_later)))
    return examples + [item for task, rows in per_task for item in make(task, range(chunk * rows, (chunk + 1) * rows))]


def train_tokenizer(recipe: Recipe, tasks: Sequence[GeneratedTask]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the texts of all training examples: any text round-trips. It adds BOS itself."""
    # Byte-level: no text has an unknown token.
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(_PIECES, behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    rows = range(recipe.tokenizer_rows)
    items = (item for task in tasks for make in (task_examples, plain_texts) for item in make(task, rows))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size, special_tokens=[_PAD, _BOS, _EOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((item.prompt + item.completion for item in items), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_BOS} $A", special_tokens=[(_BOS, tokenizer.token_to_id(_BOS))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=_BOS,
        eos_token=_EOS,
        pad_token=_PAD,
        padding_side="left",
        model_max_length=recipe.context,
        clean_up_tokenization_spaces=False,
    )


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the model before training, with its copying circuits; the weights are a function of the recipe's seed."""
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        initializer_range=recipe.initial_std,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        attention_bias=True,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    # Embeddings start larger than the other weights, because the wired circuits match tokens by them.
    model.model.embed_tokens.weight.data *= recipe.embedding_std / recipe.initial_std
    wire_copying(model, recipe.seed)
    return model


def new_optimizer(recipe: Recipe, model: LlamaForCausalLM) -> torch.optim.Optimizer:
    """Return AdamW; the learning rate is set at each step."""
    return torch.optim.AdamW(model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)


def encode_examples(batch: Sequence[TrainingExample], tokenizer: PreTrainedTokenizerFast) -> list[Encoded]:
    """Return the tokens of each example: the prompt as at inference, the completion, EOS."""
    backend, eos = tokenizer.backend_tokenizer, tokenizer.eos_token_id
    prompts = backend.encode_batch([lesson.prompt for lesson in batch])
    completions = backend.encode_batch([lesson.completion for lesson in batch], add_special_tokens=False)
    # Two calls, because a merge across the border would make tokens that no prompt at inference has.
    return [([*p.ids, *c.ids, eos], len(p.ids)) for p, c in zip(prompts, completions, strict=True)]


def make_batches(items: list[Encoded], recipe: Recipe, chunk: int) -> list[list[Encoded]]:
    """Return batches of similar lengths within the token budget, in the seed's order."""
    batches: list[list[Encoded]] = []
    current: list[Encoded] = []
    for item in sorted(items, key=lambda item: len(item[0])):
        if current and len(item[0]) * (len(current) + 1) > recipe.batch_tokens:
            batches.append(current)
            current = []
        current.append(item)
    batches.append(current)
    Random(f"{recipe.seed}/{chunk}").shuffle(batches)
    return batches


def tensors(batch: Sequence[Encoded], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and labels, padded on the right; labels are −100 outside the completion."""
    width = max(len(ids) for ids, _ in batch)
    input_ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in batch])
    rows = [[-100] * start + ids[start:] + [-100] * (width - len(ids)) for ids, start in batch]
    return input_ids, torch.tensor(rows)


def completion_loss(model: LlamaForCausalLM, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats per completion token; only those positions get logits."""
    hidden = model.model(input_ids=input_ids).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    mask = targets != -100
    return cross_entropy(model.lm_head(hidden[mask]), targets[mask])


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate at a step: a linear warm-up, then a cosine down to `final_share` of the peak."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return recipe.learning_rate * (recipe.final_share + (1 - recipe.final_share) * cosine)
