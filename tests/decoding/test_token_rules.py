"""Tokens that a checkpoint forces or suppresses: every engine follows its generation config as transformers does."""

import json
import shutil

import pytest
import torch

from edt.adapters.generate_spec import HFGenerateSpec
from edt.decoding.engine_specs import ReferenceSpec
from edt.errors import ConfigError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import EDT, KLD, Fixed
from edt.tracing.teacher_forcing import forced_logits
from tests.support.engine_rows import generate, prompt, tokens_of

GREEDY = Fixed(t0=0)
TEXTS = ["The capital", "Once upon a", "x y z x y z"]
"""Of one length: what padding does is another test's subject."""


def with_settings(folder, tmp_path, **settings):
    copy = shutil.copytree(folder, tmp_path / f"model-{len(list(tmp_path.iterdir()))}")
    path = copy / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return LanguageModel.load(ModelSpec(path=str(copy), dtype="float64", device="cpu"))


@pytest.fixture(scope="module")
def bart_folder(tiny_folder, tmp_path_factory):
    """A random encoder-decoder over bytes; wide weights, so that its texts vary."""
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(3)
    sizes = {
        f"{part}_{name}": 2 for part in ("encoder", "decoder") for name in ("layers", "attention_heads", "ffn_dim")
    }
    config = BartConfig(vocab_size=259, d_model=16, **sizes, max_position_embeddings=64, init_std=1.0)
    config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 0
    folder = tmp_path_factory.mktemp("bart")
    BartForConditionalGeneration(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_folder / name, folder / name)
    (folder / "generation_config.json").write_text(
        json.dumps({"decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1})
    )
    return folder


def own_greedy(model, prompts, tokens):
    """What transformers' generate writes by the checkpoint's own settings."""
    texts = {}
    for p in prompts:
        ids = torch.tensor([p.token_ids])
        out = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens, num_beams=1
        )[0].tolist()
        new = out[1:] if model.is_encoder_decoder else out[len(p.token_ids) :]
        texts[p.example_id] = tuple(new[: new.index(2) + 1] if 2 in new else new)
    return texts


def favorites(model, prompts):
    """The tokens that greedy decoding writes without rules: first ones, and all."""
    rows = tokens_of(generate(model, prompts, [GREEDY], samples=1, tokens=6)).values()
    return sorted({row[0] for row in rows}), sorted({token for row in rows for token in row} - {2})


@pytest.mark.parametrize("kind", ["forced start", "suppressed", "not at the start", "bad words", "all"])
@pytest.mark.parametrize("architecture", ["llama", "bart"])
def test_greedy_equals_transformers_with_the_same_settings(architecture, kind, tiny_folder, bart_folder, tmp_path):
    folder = {"llama": tiny_folder, "bart": bart_folder}[architecture]
    plain = with_settings(folder, tmp_path)
    prompts = [prompt(plain, number, text) for number, text in enumerate(TEXTS)]
    first, written = favorites(plain, prompts)
    settings = {
        "forced start": {"forced_bos_token_id": 77},
        "suppressed": {"suppress_tokens": written},
        "not at the start": {"begin_suppress_tokens": first},
        "bad words": {"bad_words_ids": [[token] for token in written]},
        "all": {
            "forced_bos_token_id": 77,
            "suppress_tokens": sorted({*written[:2]} - {77}),
            "begin_suppress_tokens": [*range(100, 150)],
        },
    }[kind]
    model = with_settings(folder, tmp_path, **settings)

    wanted = own_greedy(model, prompts, 6)
    if not (architecture == "llama" and kind == "forced start"):  # generate does not force it after a longer prompt
        assert wanted != own_greedy(plain, prompts, 6)
    for spec in (None, ReferenceSpec(), HFGenerateSpec()):
        rows = generate(model, prompts, [GREEDY], spec=spec, samples=1, tokens=6)
        assert {key[0]: g.token_ids for key, g in rows.items()} == wanted


@pytest.mark.parametrize("architecture", ["llama", "bart"])
def test_engines_draw_the_same_and_only_what_is_allowed(architecture, tiny_folder, bart_folder, tmp_path):
    folder = {"llama": tiny_folder, "bart": bart_folder}[architecture]
    banned = [*range(3, 120)]
    model = with_settings(
        folder, tmp_path, suppress_tokens=banned, begin_suppress_tokens=[*range(120, 200)], forced_bos_token_id=222
    )
    prompts = [prompt(model, number, text) for number, text in enumerate(TEXTS)]
    strategies = [Fixed(t0=1.5, top_n_sigma=2.0), EDT(t0=1.3, theta=0.4, top_p=0.9)]
    # The prompt without its source is shorter, and would be padded in an encoder.
    strategies += [KLD(t0=1.2, sigma=1.5)] if architecture == "llama" else []
    rows = generate(model, prompts, strategies, samples=3, tokens=5)
    alone = generate(model, prompts, strategies, samples=3, tokens=5, spec=ReferenceSpec())
    assert tokens_of(rows) == tokens_of(alone)
    for key, row in rows.items():
        assert not set(row.token_ids) & set(banned)
        # A forced token is certain; what follows it is drawn.
        start = row.token_ids[1:2] if architecture == "bart" else row.token_ids[:1]
        assert not set(start) & set(range(120, 200))
        assert (row.token_ids[0] == 222) or architecture == "llama"
        assert row.h_mean == pytest.approx(alone[key].h_mean, abs=1e-9)


def test_a_trace_shows_what_was_drawn_from(bart_folder, tmp_path):
    model = with_settings(bart_folder, tmp_path, forced_bos_token_id=77, suppress_tokens=[5])
    logits_SV = forced_logits(model, model.tokenize("abc"), [77, 9, 9])
    assert logits_SV[0].softmax(-1)[77] == 1
    assert torch.isneginf(logits_SV[1:, 5]).all()
    assert torch.isfinite(logits_SV[1:]).sum() == 2 * (model.vocabulary - 1)


def test_they_are_in_the_identity_only_where_there_are_any(tiny_folder, tmp_path):
    assert "token_rules" not in with_settings(tiny_folder, tmp_path).identity
    model = with_settings(tiny_folder, tmp_path, suppress_tokens=[7, 5, -1])
    assert model.identity["token_rules"] == {"suppress_tokens": [5, 7]}


def test_settings_of_sampling_are_the_strategys_and_said_once(tiny_folder, tmp_path, caplog):
    caplog.set_level("INFO")
    plain = with_settings(tiny_folder, tmp_path, temperature=1.0, top_k=50, top_p=1.0, repetition_penalty=1.0)
    assert "the strategy decides" not in caplog.text
    model = with_settings(tiny_folder, tmp_path, temperature=0.6, top_p=0.9, repetition_penalty=1.3, num_beams=4)
    assert caplog.text.count("sets temperature=0.6, top_p=0.9, repetition_penalty=1.3, num_beams=4; the strategy") == 1
    assert model.identity == plain.identity
    prompts = [prompt(model, 0, TEXTS[0])]
    assert tokens_of(generate(model, prompts, [GREEDY])) == tokens_of(generate(plain, prompts, [GREEDY]))


@pytest.mark.parametrize(
    "settings",
    [
        {"bad_words_ids": [[5, 6]]},
        {"sequence_bias": [[[5], 2.0]]},
        {"forced_bos_token_id": 900},
        {"forced_bos_token_id": [1, 2]},
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_refused_by_name(settings, bart_folder, tmp_path):
    (name,) = settings
    with pytest.raises(ModelError, match=rf"sets {name}=.*generation_config\.json, which edt cannot follow; remove"):
        with_settings(bart_folder, tmp_path, **settings)


def test_hf_generate_cannot_guide_by_kl_and_suppress(tiny_folder, tmp_path):
    model = with_settings(tiny_folder, tmp_path, suppress_tokens=[5])
    with pytest.raises(ConfigError, match=r"forces or suppresses tokens, which .*; use engine=batched"):
        generate(model, [prompt(model, 0, TEXTS[0])], [KLD(t0=1, sigma=1)], spec=HFGenerateSpec())


def test_a_decoder_without_a_start_is_named(bart_folder, tmp_path):
    model = with_settings(bart_folder, tmp_path, decoder_start_token_id=None)
    prompts = [prompt(model, 0, TEXTS[0])]
    assert tokens_of(generate(model, prompts, [GREEDY], tokens=3)) == tokens_of(
        generate(model, prompts, [GREEDY], tokens=3, spec=HFGenerateSpec())
    )
    model.model.generation_config.decoder_start_token_id = model.model.generation_config.bos_token_id = None
    with pytest.raises(ModelError, match="has no decoder_start_token_id"):
        generate(model, prompts, [GREEDY], tokens=3)
