"""EDT in vLLM: against both contracts of a logits processor, those of vLLM itself where it is installed.

Without vLLM the contracts are restated here, as they stand in vLLM 0.33.0 (`vllm/v1/sample/logits_processor/interface.py`,
unchanged since 0.11.1, and `vllm/v1/worker/gpu/sample/logits_processor/interface.py`), with the way in which its input
batch reports changes (`vllm/v1/worker/gpu_input_batch.py`). The oracle is one request alone and the formula by hand.
"""

import enum
import json
import math
import random
import subprocess
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from edt.adapters import vllm_processor
from edt.adapters.vllm_processor import EDTProcessor
from edt.errors import ConfigError

try:
    from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
except ModuleNotFoundError:

    class MoveDirectionality(enum.Enum):
        UNIDIRECTIONAL = enum.auto()
        SWAP = enum.auto()

    @dataclass(frozen=True)
    class BatchUpdate:
        batch_size: int
        removed: list
        added: list
        moved: list


VOCABULARY = 50
PLAIN = SimpleNamespace(speculative_config=None)


def params(edt=None, temperature=1.0, **more):
    return SimpleNamespace(temperature=temperature, extra_args=None if edt is None else {"edt": edt}, **more)


def temperature_by_hand(logits, settings):
    """T0 · N^(θ/H), in plain Python."""
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    p = [w / sum(weights) for w in weights]
    h = -sum(x * math.log(x) for x in p if x > 0)
    return settings["t0"] * settings.get("n", 0.8) ** (settings["theta"] / h)


@dataclass
class Request:
    """A request as the oracle sees it: alone."""

    params: SimpleNamespace
    prompt: list
    chunks: int
    """Steps until the prompt is read; each gives logits, of which only the last one's are the prompt's end."""
    output: list = field(default_factory=list)
    held: float | None = None

    @property
    def settings(self):
        given = (self.params.extra_args or {}).get("edt")
        return json.loads(given) if isinstance(given, str) else given

    def expect(self, before, after):
        if self.settings is None:
            assert torch.equal(after, before)  # bit for bit
            return
        t = temperature_by_hand(before.double().tolist(), self.settings)
        if self.settings.get("granularity") == "instance":
            if not self.output:
                self.held = t
            t = self.held
        torch.testing.assert_close(after.softmax(-1), (before.double() / t).softmax(-1).float(), rtol=2e-4, atol=1e-6)

    def stepped(self, token):
        """Read a chunk of the prompt, or take a token."""
        self.chunks = max(0, self.chunks - 1)
        if self.chunks == 0:
            self.output.append(token)


def new_request(random_numbers):
    edt = None
    if random_numbers.random() < 0.7:
        edt = {"t0": random_numbers.uniform(0.3, 2), "theta": random_numbers.choice([0.0, 0.3, 1.5])}
        if random_numbers.random() < 0.5:
            edt["granularity"] = random_numbers.choice(["token", "instance"])
        if random_numbers.random() < 0.3:
            edt["n"] = 0.5
        if random_numbers.random() < 0.3:
            edt = json.dumps(edt)
    how = {} if edt is not None else {"temperature": random_numbers.choice([0.0, 0.7, 1.0])}
    return Request(params(edt, **how), prompt=[1] * random_numbers.randint(1, 9), chunks=random_numbers.randint(1, 3))


class Batch:
    """The V1 runner's persistent batch: what leaves is a hole; holes are filled by what comes, then from the end."""

    def __init__(self):
        self.rows, self.waiting = [], []

    def leave(self, numbers):
        removed = sorted((i for i in range(len(self.rows)) if numbers.random() < 0.2), reverse=True)
        for i in removed:
            request, self.rows[i] = self.rows[i], None
            if numbers.random() < 0.5:  # preempted: it will come back and read its text again
                request.chunks = numbers.randint(1, 2)
                self.waiting.append(request)
        return removed

    def change(self, numbers):
        removed, added, moved = self.leave(numbers), [], []
        coming = [new_request(numbers) for _ in range(numbers.choice([0, 0, 1, 3]))]
        while self.waiting and numbers.random() < 0.5:
            coming.append(self.waiting.pop(numbers.randrange(len(self.waiting))))
        for request in coming:
            at = removed.pop() if removed else len(self.rows)
            self.rows[at : at + 1] = [request]
            added.append((at, request.params, request.prompt, request.output))
        while removed:
            while self.rows and self.rows[-1] is None:
                self.rows.pop()
            at = removed[-1]
            if at >= len(self.rows):
                break
            removed.pop()
            moved.append((len(self.rows) - 1, at, MoveDirectionality.UNIDIRECTIONAL))
            self.rows[at] = self.rows.pop()
        for _ in range(numbers.choice([0, 0, 1, 2])):  # attention backends reorder the batch
            if len(self.rows) > 1:
                a, b = numbers.sample(range(len(self.rows)), 2)
                self.rows[a], self.rows[b] = self.rows[b], self.rows[a]
                moved.append((a, b, MoveDirectionality.SWAP))
        if not (removed or added or moved):
            return None
        return BatchUpdate(batch_size=len(self.rows), removed=removed, added=added, moved=moved)


def random_logits(numbers, rows):
    generator = torch.Generator().manual_seed(numbers.randrange(2**31))
    logits = torch.randn(rows, VOCABULARY, generator=generator) * 3
    if numbers.random() < 0.3:
        logits[:, ::7] = -torch.inf  # masked by a grammar, or by allowed_token_ids
    return logits


@pytest.mark.parametrize("seed", range(25))
def test_v1_rows_come_go_and_move(seed):
    numbers = random.Random(seed)
    processor, batch = EDTProcessor(PLAIN, torch.device("cpu"), False), Batch()
    for _ in range(40):
        processor.update_state(batch.change(numbers))
        logits = random_logits(numbers, len(batch.rows))
        after = processor.apply(logits.clone())
        for row, request in enumerate(batch.rows):
            request.expect(logits[row], after[row])
            request.stepped(5)


@pytest.mark.parametrize("seed", range(25))
def test_v2_slots_are_recycled_and_rows_reordered(seed):
    numbers = random.Random(seed)
    lengths = SimpleNamespace(np=np.zeros(12, dtype=np.int32))
    states = SimpleNamespace(device=torch.device("cpu"), max_num_reqs=12, vocab_size=VOCABULARY, prompt_len=lengths)
    processor = EDTProcessor(PLAIN, states)
    slots, waiting = {}, []
    for _ in range(40):
        for slot in [slot for slot in slots if numbers.random() < 0.2]:
            request = slots.pop(slot)  # without a word to the processor: a slot is known to be free when it is taken
            if numbers.random() < 0.5:
                waiting.append(request)
        coming = [new_request(numbers) for _ in range(numbers.choice([0, 0, 1, 3]))]
        while waiting and numbers.random() < 0.5:
            coming.append(waiting.pop())
        for request in coming[: 12 - len(slots)]:
            slot = numbers.choice([slot for slot in range(12) if slot not in slots])
            slots[slot] = request
            lengths.np[slot] = len(request.prompt)
            assert processor.add_request(slot, request.params) == (request.settings is not None)
        order = numbers.sample(sorted(slots), len(slots))
        seen = []
        for slot in order:
            request = slots[slot]
            whole = len(request.prompt) + len(request.output)
            seen.append(whole if request.output or request.chunks == 1 else max(1, whole - request.chunks))
        layout = SimpleNamespace(
            idx_mapping_np=np.array(order, dtype=np.int32), seq_lens_upper_bound_np=np.array(seen, dtype=np.int32)
        )
        logits = random_logits(numbers, len(order))
        after = processor.apply(logits.clone(), layout)
        for row, slot in enumerate(order):
            slots[slot].expect(logits[row], after[row])
            slots[slot].stepped(5)


def test_only_so_many_requests_are_remembered(monkeypatch):
    monkeypatch.setattr(vllm_processor, "REMEMBERED", 3)
    processor = EDTProcessor(PLAIN, torch.device("cpu"), False)
    many = [params({"t0": 1.0, "theta": 0.5, "granularity": "instance"}) for _ in range(9)]
    for one in many:
        processor.update_state(BatchUpdate(1, [], [(0, one, [1], [])], []))
        processor.apply(torch.randn(1, VOCABULARY))
    assert [request.params for request in processor.remembered.values()] == many[-3:]


def test_it_runs_before_temperature_and_truncation_and_keeps_the_argmax():
    processor = EDTProcessor(PLAIN, torch.device("cpu"), False)
    assert processor.is_argmax_invariant() is False
    edt = {"t0": 1.0, "theta": 2.0}
    processor.update_state(BatchUpdate(3, [], [(i, params(edt), [1], []) for i in range(3)], []))
    logits = torch.tensor([[0.0, 50.0, -torch.inf, 3.0], [7.0, 7.0, 7.0, 7.0], [1.0, 0.5, 0.2, 0.1]])
    after = processor.apply(logits.clone())
    assert not after.isnan().any()
    assert after.argmax(-1).tolist() == logits.argmax(-1).tolist()
    assert after[0, 2] == -torch.inf


def test_drawn_tokens_follow_the_formula():
    """Chi-square of 4,000 draws, from one row of a batch whose other row asks for nothing."""
    edt = {"t0": 1.2, "theta": 0.4}
    processor = EDTProcessor(PLAIN, torch.device("cpu"), False)
    processor.update_state(BatchUpdate(2, [], [(0, params(), [1], []), (1, params(edt), [1], [])], []))
    logits = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(1)) * 2
    after = processor.apply(logits.clone())
    generator = torch.Generator().manual_seed(2)
    drawn = torch.multinomial(after[1].softmax(-1), 4000, replacement=True, generator=generator)
    t = temperature_by_hand(logits[1].tolist(), edt)
    expected = (logits[1].double() / t).softmax(-1) * 4000
    counts = torch.bincount(drawn, minlength=VOCABULARY).double()
    common = expected >= 5
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    wanted = [*expected[common].tolist(), float(expected[~common].sum())]
    assert scipy.stats.chisquare(observed, [w * 4000 / sum(wanted) for w in wanted]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (params({"t0": 0.0, "theta": 1.0}), "t0 is 0, which would be greedy"),
        (params({"t0": 1.0, "theta": -1.0}), r"theta is -1\.0; it must be"),
        (params({"t0": "high", "theta": 1.0}), "t0 is 'high'; it must be a number"),
        (params({"t0": 1.0, "theta": 1.0, "granularity": "sentence"}), "granularity is 'sentence'"),
        (params({"t0": 1.0, "tetha": 1.0}), r"no setting 'tetha' \(did you mean 'theta'\?\); it has: t0, theta"),
        (params({"t0": 1.0}), "lacks theta; give t0 and theta"),
        (params(0.8), r"is 0\.8; give a mapping"),
        (params("t0=1"), "is no JSON"),
        (params("[1]"), "give a mapping"),
        (params({"t0": 1.0, "theta": 1.0}, temperature=0.7), r"temperature is 0\.7 .* give temperature=1"),
        (params({"t0": 1.0, "theta": 1.0}, temperature=0.0), "or leave extra_args"),
        (params({"t0": 1.0, "theta": 1.0}, repetition_penalty=1.1), r"repetition_penalty is 1\.1 .* leave it at 1"),
        (params({"t0": 1.0, "theta": 1.0}, presence_penalty=0.5), "leave it at 0"),
    ],
)
def test_what_a_request_cannot_have_is_reported_to_its_sender(settings, words):
    with pytest.raises(ValueError, match=words):
        EDTProcessor.validate_params(settings)


@pytest.mark.parametrize(
    "settings",
    [
        params(),
        params(temperature=0.3, repetition_penalty=1.3),
        params({"t0": 1, "theta": 0}, repetition_penalty=1.0, presence_penalty=0.0),
        params('{"t0": 0.8, "theta": 0.5, "granularity": "instance", "n": 0.9}'),
        SimpleNamespace(temperature=0.7, extra_args={"other": 1}),
    ],
)
def test_what_a_request_can_have(settings):
    EDTProcessor.validate_params(settings)


def test_speculative_decoding_is_refused_when_the_engine_is_built():
    with pytest.raises(ConfigError, match=r"speculative decoding.*leave speculative_config out"):
        EDTProcessor(SimpleNamespace(speculative_config=object()), torch.device("cpu"), False)


def test_it_is_a_subclass_of_what_vllm_asks_for_where_vllm_has_it(tmp_path):
    """With stand-ins for vLLM's two modules; and a vLLM that has only the first."""
    code = (
        "from abc import ABC, abstractmethod\nclass LogitsProcessor(ABC):\n"
        "    @abstractmethod\n    def apply(self, logits): ...\n"
    )
    show = (
        "import importlib, sys; from edt.adapters.vllm_processor import EDTProcessor as E; import types\n"
        "names = sys.argv[1:]\n"
        "print([issubclass(E, importlib.import_module(name).LogitsProcessor) for name in names])\n"
        "E(types.SimpleNamespace(speculative_config=None), None)"
    )
    names = ["vllm.v1.sample.logits_processor", "vllm.v1.worker.gpu.sample.logits_processor"]
    for have in (names[:1], names):
        for name in have:
            folder = tmp_path.joinpath(*name.split("."))
            folder.mkdir(parents=True, exist_ok=True)
            for package in [folder, *list(folder.parents)[: len(name.split(".")) - 1]]:
                (package / "__init__.py").touch()
            (folder / "__init__.py").write_text(code)
        shown = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{show}", *have],
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.strip() == str([True] * len(have))
