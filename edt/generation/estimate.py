"""What a request costs, before anything is decoded: rows, tokens, and memory of the plan."""

from __future__ import annotations

from dataclasses import dataclass

from edt.decoding.engine import Engine
from edt.decoding.request import DecodeRequest
from edt.errors import StoreError
from edt.generation.data_notes import count
from edt.generation.passes import chunk_prompts, decode_request, in_this_environment, plan_decoding
from edt.generation.prepare import Prepared
from edt.generation.request import GenerationRequest
from edt.store.run import Run

_PROMPT_END = 300
"""Characters of a prompt that are shown from its beginning and from its end."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The work for one task. `prompt_tokens` and `new_tokens` are of what is left to decode.

    prompt_tokens: each prompt read once per chunk, as the batched engine does.
    new_tokens: at most, if no row ends before the limit; shared prefixes are counted for each of their rows.
    peak_bytes: keys, values and logits of the largest chunk, in addition to the model's weights.
    available: examples of the task's splits before task.limit.
    scale_settings: settings among the rows that were added for EDA's scale.
    """

    task: str
    prompts: int
    rows_per_prompt: int
    rows_to_decode: int
    chunks: int
    prompt_tokens: int
    new_tokens: int
    peak_bytes: int
    available: int
    scale_settings: int = 0

    @property
    def rows(self) -> int:
        """All rows of the request."""
        return self.prompts * self.rows_per_prompt

    def text(self) -> str:
        """Return the estimate as one line."""
        size = f"{count(self.prompts, 'prompt')} × {count(self.rows_per_prompt, 'row')}"
        rows = f"{self.task}: {size} = {count(self.rows, 'row')}"
        limit = f" ({limit_note(self.prompts, self.available)})" if self.prompts < self.available else ""
        if not self.rows_to_decode:
            return f"{rows}, all of them on disk{limit}"
        on_disk = self.rows - self.rows_to_decode
        before = f", {on_disk:,} of them on disk; to decode: {self.rows_to_decode:,}" if on_disk else ""
        return (
            f"{rows}{before} in {count(self.chunks, 'chunk')}; "
            f"{self.prompt_tokens:,} prompt tokens, at most {self.new_tokens:,} new tokens"
            f"{self._memory_text()}{limit}{self._scale_text()}"
        )

    def _memory_text(self) -> str:
        """Return the memory for keys, values and logits; empty where another program holds them."""
        return f", about {_size(self.peak_bytes)} of memory for keys, values and logits" if self.peak_bytes else ""

    def _scale_text(self) -> str:
        """Return what the user did not request, and how to leave it out; empty where nothing was added."""
        if not self.scale_settings:
            return ""
        temperatures = count(self.scale_settings, "fixed temperature")
        return f"; among them {temperatures} for EDA's scale (eda_scale=null: without)"


def limit_note(examples: int, available: int) -> str:
    """Return how many examples of how many are taken, and the remedy where a limit leaves some out."""
    if examples == available:
        return f"all {available:,} examples"
    return f"{examples:,} of {available:,} examples; task.limit=null takes all"


def first_prompt(prepared: Prepared, engine: Engine) -> str:
    """Return the first prompt of a task as the model reads it, with its special tokens, in one shortened line."""
    prompt = next(prompt for prompts in prepared.prompts.values() for prompt in prompts.values())
    text = engine.model.as_read(prompt.token_ids)
    if len(text) > 2 * _PROMPT_END:
        text = f"{text[:_PROMPT_END]} […] {text[-_PROMPT_END:]}"
    # As a literal: line breaks, trailing spaces and control characters are visible, and reach no terminal.
    return f"{prompt.task}, the first prompt of {len(prompt.token_ids):,} tokens: {text!r}"


def estimate(request: GenerationRequest, prepared: Prepared, engine: Engine) -> Estimate:
    """Estimate the decoding of one task from its plan. Reads the run where there is one, and writes nothing."""
    # Planned as the decoding does, but never saved.
    run = Run.at(request.runs, prepared.manifest)
    # Read without its lock: an estimate writes nothing, and must not fail while another command decodes.
    try:
        run = run.reread() if run.manifest_path.is_file() or run.parts() else run
    except StoreError:
        # With repair=true the decoding makes the manifest again; until then nothing is known to be on disk.
        if not request.repair:
            raise
    # What strict=true refuses is said before anything is decoded, and of a dry run too.
    plan = in_this_environment(plan_decoding(run, request, prepared, engine), request, engine)

    rows = prompt_tokens = peak_bytes = 0
    for number, chunk in plan.todo:
        planned = plan.manifest.passes[number]
        prompts = chunk_prompts(prepared, planned, chunk)
        rows += len(prompts) * len(planned.rows)
        prompt_tokens += sum(len(prompt.token_ids) for prompt in prompts)
        chunk_request = decode_request(request, prepared, planned.rows, prompts)
        # The largest, not the sum: a chunk's memory is free before the next begins.
        peak_bytes = max(peak_bytes, _chunk_bytes(chunk_request, engine, planned.rows_per_batch))
    return Estimate(
        task=run.manifest.task,
        prompts=sum(len(prompts) for prompts in prepared.prompts.values()),
        rows_per_prompt=len(request.rows),
        rows_to_decode=rows,
        chunks=len(plan.todo),
        prompt_tokens=prompt_tokens,
        new_tokens=rows * prepared.limits.max_new_tokens,
        peak_bytes=peak_bytes,
        available=sum(prepared.manifest.splits[split]["available"] for split in prepared.prompts),
        scale_settings=request.scale_settings,
    )


def _chunk_bytes(request: DecodeRequest, engine: Engine, rows_per_batch: int) -> int:
    """Return what the rows of a chunk hold in memory, by the same account as the plan."""
    lengths = [len(prompt.token_ids) for prompt in request.prompts]
    new_tokens = request.limits.max_new_tokens
    cost = engine.cost(request.used_strategies, max(lengths) + new_tokens)
    # A single prompt may have more rows than fit: they are decoded in several batches.
    together = min(engine.rows_together(request.rows), rows_per_batch)
    return sum(cost.in_bytes(length, new_tokens, together) for length in lengths)


def _size(n_bytes: int) -> str:
    """Return a size in MB or GB."""
    # At least 1 MB: "0 MB" would read as if nothing had been estimated.
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(1, round(n_bytes / 1e6)):,} MB"
