"""Real models that `edt fetch` has brought to the user's own cache folder, for tests with the marker `real_model`."""

from contextlib import suppress
from dataclasses import replace

import torch

from edt.cache_folder import cache_folder
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.generation.request import TaskRequest
from edt.generation.task_prompts import TaskPrompts
from edt.models.fetching.fetched import FetchRecord, home
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.records import Prompt
from edt.strategies import Fixed
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines

USER_CACHE = cache_folder()
"""As it was when pytest started: the tests themselves have a cache folder of their own."""


def why_not_here(name, cache=None):
    """Return why a test that needs the model is skipped, with how to get it; None where the model is here."""
    folder = (cache or USER_CACHE) / "models" / name / "model"
    if FetchRecord.read(folder) is not None:
        return None
    terms = " accept_license=true" if name == "gemma3_270m" else ""
    return f"needs the real model {name}, which is not in {folder}; fetch it with: edt fetch {name}{terms}"


def link(name):
    """Let `model=NAME` find the user's copy in the cache folder of the tests."""
    if not home(name).exists():
        home(name).parent.mkdir(parents=True, exist_ok=True)
        # Another test's process may have made it meanwhile.
        with suppress(FileExistsError):
            home(name).symlink_to(USER_CACHE / "models" / name)


def load(name, *, chat=False, dtype="float32"):
    """Return the model with prompts as plain texts or as user turns."""
    link(name)
    return LanguageModel.load(ModelSpec(path=f"edt:{name}", dtype=dtype, device="cpu", chat_template=chat))


def in_chat(model, chat):
    """Return the same model with or without its chat template; the weights are not loaded again."""
    return replace(model, spec=replace(model.spec, chat_template=chat))


def text_prompts(model, texts):
    """Return a prompt of each text; none of them has a source."""
    ids = [tuple(model.tokenize(text)) for text in texts]
    return [
        Prompt(
            task="texts", split="test", example_id=f"text-{number}", cluster_id=f"text-{number}",
            token_ids=token_ids, unconditional_ids=token_ids, truncated_tokens=0,
        )
        for number, token_ids in enumerate(ids)
    ]  # fmt: skip


def task_prompts(model, task, number, *, tokens=24):
    """Return the first prompts of a task, each with and without its source, as a run makes them."""
    reading = TaskPrompts.of(model, TaskRequest(task=task, splits=("all",)), Sampling(max_new_tokens=tokens))
    return [reading.prompt(example) for example in task.load("all").examples[:number]]


def passages(root, **settings):
    """The repository's own texts with questions."""
    template = Template(head="Text: ", source="{passage}", tail="\n\nQuestion: {question}\nAnswer:")
    return JsonLines(
        path=str(root / "examples" / "data" / "passages.jsonl"), reference="answer", template=template, **settings
    )


def decoded(model, prompts, strategies, *, spec=None, samples=1, tokens=16):
    """Return the engine and its generations, in the order of the request."""
    # Not compiled: it takes longer than these few steps, and other tests compare both.
    engine = (spec or BatchedSpec(compile=False)).build(model)
    limits = Limits(max_new_tokens=tokens, stop=())
    request = DecodeRequest.all_rows(prompts, strategies, sampling=Sampling(samples=samples), limits=limits)
    return engine, request, list(engine.generate(request))


def generate(model, prompts, tokens, *, together):
    """Return the greedy continuations of transformers: each prompt alone, or all in one batch, padded on the left."""
    groups = [prompts] if together else [[prompt] for prompt in prompts]
    outputs = []
    for group in groups:
        ids, mask = model.pad([prompt.token_ids for prompt in group])
        with torch.inference_mode():
            output = model.model.generate(
                ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, pad_token_id=model.pad_id
            )
        outputs += [row[ids.shape[1] :].tolist() for row in output]
    return [_until_end(row, model.eos_ids) for row in outputs]


def _until_end(row, ends):
    """Return a continuation up to its end token, without the padding after it."""
    last = next((number for number, token in enumerate(row) if token in ends), len(row))
    return row[: last + 1]


def check_greedy(model, prompts, *, tokens=16):
    """Check that greedy tokens, with shared prompts, are those of transformers' generate, token for token."""
    engine, request, found = decoded(model, prompts, [Fixed(t0=0)], tokens=tokens)
    assert engine._prefill_class(request, None).__name__ == "SharedPrefill"
    assert len({len(prompt.token_ids) for prompt in prompts}) > 1
    own = [list(generation.token_ids) for generation in found]
    assert own == generate(model, prompts, tokens, together=False)
    assert own == generate(model, prompts, tokens, together=True)
    return found


def check_up_to_ties(monkeypatch, model, prompts, strategies, *, samples=1, tokens=12):
    """Check that the batched engine gives the reference engine's tokens, but where the two best scores all but tie.

    In float32 logits move by about 1e-5 with the shape of a batch, and scores, logits / T + noise, by that over T.
    """
    from edt.decoding import reference
    from edt.decoding.engine_specs import ReferenceSpec

    gaps, scores_of = [], reference._scores_alone

    def noting(logits_1V, signals, table, row, step):
        score_1V, temperature_1 = scores_of(logits_1V, signals, table, row, step)
        if step == 0:
            gaps.append([])
        best = score_1V.topk(2).values[0]
        # As a difference of logits: a cold row's scores are far apart, and move as much.
        gaps[-1].append(float(best[0] - best[1]) * min(1.0, max(float(temperature_1), TEMPERATURE_FLOOR)))
        return score_1V, temperature_1

    monkeypatch.setattr(reference, "_scores_alone", noting)
    _, _, alone = decoded(model, prompts, strategies, spec=ReferenceSpec(), samples=samples, tokens=tokens)
    engine, request, together = decoded(model, prompts, strategies, samples=samples, tokens=tokens)
    assert engine._prefill_class(request, None).__name__ == "SharedPrefill"

    by_row = {(g.example_id, g.strategy_id, g.sample): g.token_ids for g in together}
    pairs = [(g.token_ids, by_row[g.example_id, g.strategy_id, g.sample]) for g in alone]
    assert len(pairs) == len(gaps) == len(prompts) * len(strategies) * samples
    differing = [number for number, (own, other) in enumerate(pairs) if own != other]
    # A tie is rare: many of them would be an error that looks like one.
    assert len(differing) <= 0.1 * len(pairs)
    for number in differing:
        step = next(s for s, (own, other) in enumerate(zip(*pairs[number], strict=False)) if own != other)
        assert gaps[number][step] < 1e-3
    return alone
