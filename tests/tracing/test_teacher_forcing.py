"""Rank, probability and sampling probability, against transformers' own passes and hand calculation."""

import numpy as np
import pytest
import scipy.stats
import torch

from edt.decoding.engine_specs import BatchedSpec, ReferenceSpec
from edt.decoding.request import DecodeRequest
from edt.decoding.sampling import Limits, Sampling
from edt.errors import ConfigError, DataError
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import EDT, KLD, Dynatemp, Fixed, RandomT
from edt.tasks.prompts import text_prompt
from edt.tracing.distribution import ranks, sampling_probabilities, strategy_temperature
from edt.tracing.teacher_forcing import forced_logits, traced_output
from edt.tracing.token_text import INCOMPLETE, TokenTexts

STRATEGIES = [Fixed(t0=0), Fixed(t0=1.3, top_k=3), EDT(t0=1, theta=0.5, top_p=0.8), KLD(t0=1, sigma=2)]


def generations(model, prompt, spec=None):
    sampling, limits = Sampling(samples=2, trace=True), Limits(max_new_tokens=8, stop=())
    request = DecodeRequest.all_rows([prompt], STRATEGIES, sampling=sampling, limits=limits)
    return list((spec or BatchedSpec()).build(model).generate(request))


def traced(model, prompt, generation, top=5):
    strategy = next(s for s in STRATEGIES if s.strategy_id == generation.strategy_id)
    return traced_output(model, prompt, strategy, generation, top=top, token_texts=TokenTexts(model.tokenizer))


@pytest.mark.parametrize("spec", [BatchedSpec(), ReferenceSpec()], ids=["batched", "reference"])
def test_a_trace_is_what_transformers_says_of_each_prefix(tiny, spec):
    prompt = text_prompt("Once, a source. Then", tiny.tokenize, unconditional="Then")
    for generation in generations(tiny, prompt, spec):
        output = traced(tiny, prompt, generation)
        assert [token.token_id for token in output.tokens] == list(generation.token_ids)
        for step, token in enumerate(output.tokens):
            prefix = torch.tensor([[*prompt.token_ids, *generation.token_ids[:step]]])
            p = tiny.model(prefix).logits[0, -1].softmax(-1).numpy()
            order = np.argsort(-p)
            assert token.probability == pytest.approx(p[token.token_id], abs=1e-9)
            assert token.rank == order.tolist().index(token.token_id) + 1
            assert token.entropy == pytest.approx(scipy.stats.entropy(p), abs=1e-8)
            assert [a.probability for a in token.alternatives] == pytest.approx(p[order[:5]], abs=1e-9)
            assert token.sampling_prob > 0, "what was drawn could be drawn"
            if token.rank <= 5:
                assert token.alternatives[token.rank - 1].sampling_prob == token.sampling_prob


def test_truncation_and_greedy_show_in_the_sampling_prob(tiny):
    prompt = text_prompt("Once, a source. Then", tiny.tokenize, unconditional="Then")
    for generation in generations(tiny, prompt):
        for token in traced(tiny, prompt, generation, top=10**6).tokens:
            drawn = [entry.sampling_prob for entry in token.alternatives]
            assert sum(drawn) == pytest.approx(1)
            kept = sum(p > 0 for p in drawn)
            if generation.strategy_id == "fixed(t0=0)":
                assert (token.rank, token.sampling_prob, kept) == (1, 1.0, 1)
            if generation.strategy_id == "fixed(t0=1.3,top_k=3)":
                assert kept == 3
            if generation.family == "edt":
                heated = np.array([entry.probability for entry in token.alternatives]) ** (1 / token.temperature)
                heated /= heated.sum()
                assert heated[: kept - 1].sum() < 0.8 <= heated[:kept].sum() + 1e-12


def test_encoder_decoders_are_traced_with_the_logits_that_generate_has(tiny_folder, tmp_path):
    import transformers

    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=300, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).double().save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    model = LanguageModel.load(ModelSpec(path=str(tmp_path), dtype="float64", device="cpu"))
    prompt = text_prompt("Read this", model.tokenize)
    own = model.model.generate(
        torch.tensor([prompt.token_ids]),
        do_sample=False,
        max_new_tokens=6,
        output_logits=True,
        return_dict_in_generate=True,
    )
    token_ids = own.sequences[0, 1:].tolist()
    wanted = torch.stack([step[0] for step in own.logits])
    assert torch.allclose(forced_logits(model, prompt.token_ids, token_ids), wanted.double(), atol=1e-9)


def test_sampling_probabilities_by_hand():
    logits = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()

    def of(temperature, **settings):
        return sampling_probabilities(
            logits, torch.tensor([temperature], dtype=torch.float64), Fixed(t0=1, **settings)
        )[0].tolist()

    assert of(1.0) == pytest.approx([0.5, 0.3, 0.2])
    assert of(0.5) == pytest.approx([25 / 38, 9 / 38, 4 / 38])
    assert of(0.5, top_k=2) == pytest.approx([25 / 34, 9 / 34, 0])
    assert of(0.5, top_p=0.6) == pytest.approx([1, 0, 0])  # at T = 0.5 the first alone has 0.66
    assert of(0.5, top_p=0.6, order="truncate_first") == pytest.approx([25 / 34, 9 / 34, 0])
    assert of(0.0) == [1.0, 0.0, 0.0]


def test_ties_share_the_better_rank():
    logits = torch.tensor([[3.0, 1.0, 2.0, 2.0]] * 4)
    assert ranks(logits, torch.arange(4)).tolist() == [1, 4, 2, 2]


def test_the_temperature_of_a_distribution_on_its_own():
    p = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    entropy = scipy.stats.entropy(p[0])
    assert strategy_temperature(p.log(), Fixed(t0=0.6)).tolist() == [0.6]
    assert float(strategy_temperature(p.log(), EDT(t0=0.9, theta=0.3))) == pytest.approx(0.9 * 0.8 ** (0.3 / entropy))
    share = entropy / np.log(3)
    wanted = 0.2 + (1.2 - 0.2) * share
    assert float(strategy_temperature(p.log(), Dynatemp(t_min=0.2, t_max=1.2, exponent=1))) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "strategy",
    [
        KLD(t0=1, sigma=1),
        RandomT(q0=0, q25=0.1, q50=0.2, q75=0.3, q100=1),
        EDT(t0=1, theta=1, top_k=2, order="truncate_first", entropy_of="kept"),
    ],
    ids=["kl", "uniform", "kept"],
)
def test_a_rule_that_reads_more_than_one_distribution_is_refused(strategy):
    with pytest.raises(ConfigError, match="needs more than the model's distribution"):
        strategy_temperature(torch.zeros(1, 3), strategy)


@pytest.fixture(scope="module")
def mini():
    return LanguageModel.load(ModelSpec(path="edt:mini", device="cpu"))


@pytest.mark.parametrize("text", [" Anna went, to Belvik.\nThen", "戴维去了 Belvik。龘", "é \U0001f600!"])
def test_token_texts_are_the_text(mini, text):
    ids = mini.tokenizer(text, add_special_tokens=False)["input_ids"]
    token_texts = TokenTexts(mini.tokenizer).texts(ids)
    assert len(token_texts) == len(ids)
    assert "".join(text for text in token_texts if text != INCOMPLETE) == text
    assert INCOMPLETE in token_texts or "龘" not in text


def test_single_tokens_keep_their_space_and_special_tokens_have_names(mini):
    token_texts = TokenTexts(mini.tokenizer)
    (anna,) = mini.tokenizer(" Anna", add_special_tokens=False)["input_ids"]
    assert token_texts.text(anna) == " Anna"
    assert (
        token_texts.text(mini.tokenizer.eos_token_id) == token_texts.texts([mini.tokenizer.eos_token_id])[0] == "</s>"
    )
    assert token_texts.text(len(mini.tokenizer) + 3) == f"#{len(mini.tokenizer) + 3}"
    part = mini.tokenizer("龘", add_special_tokens=False)["input_ids"][0]
    assert token_texts.text(part) == mini.tokenizer.convert_ids_to_tokens(part)


def test_a_sentencepiece_token_keeps_its_space():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "▁a": 1, "▁the": 2, "the": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    assert fast.decode([2]) == "the", "alone, the tokenizer loses it"
    assert [TokenTexts(fast).text(2), TokenTexts(fast).text(3)] == [" the", "the"]
    assert TokenTexts(fast).texts([2, 3, 2]) == [" the", "the", " the"]


def test_a_text_prompt_is_keyed_by_its_content(tiny):
    first, again = (text_prompt("Hello", tiny.tokenize) for _ in range(2))
    other, guided = text_prompt("Hello!", tiny.tokenize), text_prompt("Hello", tiny.tokenize, unconditional="llo")
    assert first == again
    assert len({first.example_id, other.example_id, guided.example_id}) == 3
    assert first.unconditional_ids == first.token_ids
    assert guided.unconditional_ids == first.token_ids[2:]
    with pytest.raises(DataError, match="the prompt '' has no token"):
        text_prompt("", tiny.tokenize)
