"""KL-guided temperature through generate(custom_generate=…)."""

import pytest
import scipy.stats
import torch

from edt.adapters.kld_generate import KLDGenerate
from edt.errors import ConfigError

SAMPLING = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


def left_padded(rows):
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@pytest.fixture(scope="module")
def texts(tiny):
    return [tiny.tokenize("Once upon a time"), tiny.tokenize("The end")], [tiny.tokenize("time"), tiny.tokenize("d")]


def loop(texts, **how):
    ids, mask = left_padded(texts[1])
    return KLDGenerate(
        **{"t0": 1.2, "sigma": 2.0} | how, unconditional_input_ids=ids, unconditional_attention_mask=mask
    )


def by_hand(tiny, full, plain, t0, sigma):
    """softmax(logits / T) after these tokens, from two forward passes of our own."""
    logits = tiny.model(torch.tensor([full])).logits[0, -1]
    p = logits.softmax(-1).clamp(min=1e-7)
    q = tiny.model(torch.tensor([plain])).logits[0, -1].softmax(-1).clamp(min=1e-7)
    t = t0 * 2 ** (-float((p * (p / q).log()).sum().clamp(min=0)) / sigma)
    return (logits / t).softmax(-1)


def test_second_tokens_follow_the_formula(tiny, texts):
    """Chi-square of the second tokens after the commonest first one, of padded prompts in one batch."""
    ids, mask = left_padded(texts[0])
    torch.manual_seed(2)
    out = tiny.model.generate(
        ids,
        attention_mask=mask,
        custom_generate=loop(texts),
        **SAMPLING,
        num_return_sequences=3000,
        max_new_tokens=2,
    )
    for prompt in range(2):
        rows = out[3000 * prompt : 3000 * (prompt + 1), -2:]
        first = int(rows[:, 0].mode().values)
        second = rows[rows[:, 0] == first, 1]
        for tokens, drawn in ((rows[:, 0], []), (second, [first])):
            expected = by_hand(tiny, texts[0][prompt] + drawn, texts[1][prompt] + drawn, 1.2, 2.0) * len(tokens)
            counts = torch.bincount(tokens, minlength=len(expected)).double()
            common = expected >= 5
            observed = [*counts[common].tolist(), float(counts[~common].sum())]
            wanted = [*expected[common].tolist(), float(expected[~common].sum())]
            assert scipy.stats.chisquare(observed, [w * sum(observed) / sum(wanted) for w in wanted]).pvalue > 1e-4


def test_greedy_and_infinite_sigma_are_generates_own(tiny, texts):
    ids, mask = left_padded(texts[0])
    greedy = {"do_sample": False, "max_new_tokens": 12}
    own = tiny.model.generate(ids, attention_mask=mask, **greedy)
    assert torch.equal(tiny.model.generate(ids, attention_mask=mask, **greedy, custom_generate=loop(texts)), own)
    drawn = []
    for custom in ({}, {"custom_generate": loop(texts, t0=1.0, sigma=float("inf"))}):
        torch.manual_seed(4)
        drawn.append(tiny.model.generate(ids, attention_mask=mask, **SAMPLING, max_new_tokens=12, **custom))
    assert torch.equal(*drawn)


def test_truncation_of_generate_applies_after_the_temperature(tiny, texts):
    ids, mask = left_padded(texts[0])
    settings = SAMPLING | {"top_k": 1}
    out = tiny.model.generate(ids, attention_mask=mask, **settings, max_new_tokens=6, custom_generate=loop(texts))
    own = tiny.model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=6)
    assert torch.equal(out, own)


def test_wrong_numbers_of_prompts_and_values_are_errors(tiny, texts):
    ids, _ = left_padded(texts[0])
    with pytest.raises(ConfigError, match="2 prompts for a batch of 3 rows"):
        tiny.model.generate(ids[:1], **SAMPLING, num_return_sequences=3, max_new_tokens=2, custom_generate=loop(texts))
    with pytest.raises(ConfigError, match="sigma"):
        loop(texts, sigma=0.0)
