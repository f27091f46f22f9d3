"""EDT in vLLM: against both contracts of a logits processor, those of vLLM itself where it is installed.

Without vLLM the contracts are restated here, as they stand in vLLM 0.33.0 (`vllm/v1/sample/logits_processor/interface.py`,
unchanged since 0.11.1, and `vllm/v1/worker/gpu/sample/logits_processor/interface.py`), with the way in which its input
batch reports changes (`vllm/v1/worker/gpu_input_batch.py`). The oracle is one request alone and the formula by hand.
"""

import enum
import json
import math
import pkgutil
import random
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch

from edt.adapters import vllm_processor
from edt.adapters.vllm_processor import EDTProcessor, InstalledEDTProcessor
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
OTHER_FAMILIES = [
    {"family": "inverted_edt", "t0": 1.1, "theta": 0.4},
    {"family": "dynatemp", "t_min": 0.4, "t_max": 1.4},
    {"family": "dynatemp", "t_min": 0.4, "t_max": 1.4, "exponent": 2.0},
    {"family": "switch", "t_high": 1.3, "t_low": 0.5, "h": 2.0},
    {"family": "schedule", "t_high": 1.4, "t_low": 0.3, "decay": 4.0},
]
PLAIN = SimpleNamespace(speculative_config=None)


def params(edt=None, temperature=1.0, **more):
    return SimpleNamespace(temperature=temperature, extra_args=None if edt is None else {"edt": edt}, **more)


def temperature_by_hand(logits, settings, step=0):
    """T0 · N^(θ/H) and the other families' rules, in plain Python."""
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    p = [w / sum(weights) for w in weights]
    h = -sum(x * math.log(x) for x in p if x > 0)
    match settings.get("family", "edt"):
        case "edt":
            return settings["t0"] * settings.get("n", 0.8) ** (settings["theta"] / h)
        case "inverted_edt":
            return settings["t0"] * settings.get("n", 0.8) ** (settings["theta"] * h)
        case "dynatemp":
            low, high = settings["t_min"], settings["t_max"]
            return low + (high - low) * (h / math.log(len(logits))) ** settings.get("exponent", 1.0)
        case "switch":
            return settings["t_high"] if h >= settings["h"] else settings["t_low"]
        case "schedule":
            return max(1 + settings["t_high"] - math.exp(step / settings["decay"]), settings["t_low"])


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
        t = temperature_by_hand(before.double().tolist(), self.settings, len(self.output))
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
        if random_numbers.random() < 0.3:
            edt["n"] = 0.5
        if random_numbers.random() < 0.5:
            edt = random_numbers.choice(OTHER_FAMILIES).copy()
        if edt.get("family") != "schedule" and random_numbers.random() < 0.5:
            edt["granularity"] = random_numbers.choice(["token", "instance"])
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
        (params({"t0": 1.0, "tetha": 1.0}), r"no setting 'tetha' \(did you mean 'theta'\?\); .* has: t0, theta"),
        (params({"t0": 1.0}), "lacks theta; the family edt needs t0 and theta"),
        (params({"t0": 1e39, "theta": 0}), r"edt\(t0=1e\+39,theta=0\), whose temperature is infinite"),
        (params({"t0": 1.0, "theta": 1.0, "top_p": 0.9}), "'top_p', which is vLLM's own; give it next to"),
        (params({"t0": 1.0, "theta": 1.0, "order": "truncate_first"}), "no setting 'order'"),
        (params({"t0": 1.0, "theta": 1.0, 7: 1}), "no setting 7; the family edt has"),
        (params({"family": "swich", "t_high": 1.0}), r"'swich' \(did you mean 'switch'\?\).*there are: edt, inverted"),
        (params({"family": "switch", "t_high": 1, "t_low": 0.5}), "lacks h; the family switch needs t_high and t_low"),
        (params({"family": "dynatemp", "t_min": 2, "t_max": 1}), "t_max is 1.0; it must be"),
        (params({"family": "fixed", "t0": 0.7}), "give temperature=… without"),
        (params({"family": "kld", "t0": 0.7, "sigma": 1}), "reads what vLLM's sampler does not have.*edt run"),
        (params({"family": ["edt"]}), r"the family \['edt'\], which cannot run"),
        (params('{"t0": 1, "theta": 1, "t0": 2}'), "has 't0' twice; give it once"),
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


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "edt",
    [
        "[" * 990 + "]" * 990,
        '{"t0":' * 990 + "1" + "}" * 990,
        '{"t0": ' + "[" * 990 + "]" * 990 + ', "theta": 0.5}',
        "[" * 200_000,
        '{"t0": "' + "x" * 100_000 + '"}',
        "x" * 100_000,
        '{"' + "x" * 100_000 + '": 1}',
        '{"family": "' + "x" * 100_000 + '"}',
        '{"t0": 1, "theta": 0.5, "granularity": "' + "x" * 100_000 + '"}',
        '{"t0": ' + "1" * 4000 + ', "theta": 0.5}',
        '{"t0": ' + "1" * 100_000 + ', "theta": 0.5}',
        nested(2000),
        {"t0": nested(2000), "theta": 0.5},
        {"t0": 1.0, "theta": 0.5, "granularity": nested(2000)},
        {"family": nested(2000)},
        {"t0": 1.0, "theta": 0.5, ("x",) * 100_000: 1},
    ],
    ids=range(16),
)
def test_no_request_is_too_deep_or_too_long_to_be_refused_in_a_sentence(edt):
    with pytest.raises(ValueError, match="edt") as raised:
        EDTProcessor.validate_params(params(edt))
    assert len(str(raised.value)) < 400


EDT_TEXT = '{"t0": 0.8, "theta": 0.5}'


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"edt": EDT_TEXT, "granularty": "instance"}, r"'granularty' next to 'edt'.*give 'granularity' within 'edt'"),
        ({"edt": EDT_TEXT, "n": 0.9}, "'n' next to 'edt'"),
        ({"edt": EDT_TEXT, "T0": 0.9}, "'T0' next to 'edt'"),
        ({"edt": EDT_TEXT, "famly": "switch"}, "give 'family' within"),
        ({"EDT": EDT_TEXT}, r"'EDT', which nothing reads \(did you mean 'edt'\?\)"),
        ({"EDT": 0.8}, "'EDT', which nothing reads"),
        ({"edtt": EDT_TEXT}, "'edtt', which nothing reads"),
        ({"etd": {"t0": 0.8, "theta": 0.5}}, "'etd', which nothing reads"),
        ({"edt": EDT_TEXT, "edt_": '{"granularity": "instance"}'}, "'edt_', which nothing reads"),
    ],
)
def test_a_misspelled_key_next_to_edt_or_in_its_place_is_refused(extra, words):
    with pytest.raises(ValueError, match=words):
        EDTProcessor.validate_params(SimpleNamespace(temperature=1.0, extra_args=extra))


@pytest.mark.parametrize("edt", [{}, {"edt": EDT_TEXT}])
@pytest.mark.parametrize(
    "other",
    # vLLM's own keys, those of models it comes with, and names that another processor may have.
    [
        "kv_transfer_params ec_transfer_params kv_cache_report_mode session_id ngram_size window_size",
        "whitelist_token_ids edit seed text id user target_token thinking_budget",
    ],
)
def test_keys_of_other_processors_are_left_alone(edt, other):
    extra = edt | dict.fromkeys(other.split(), "[1]")
    EDTProcessor.validate_params(SimpleNamespace(temperature=1.0, extra_args=extra))


def v1_processor(rows, cls=EDTProcessor, config=PLAIN):
    """A processor whose batch has these requests, at their first step."""
    processor = cls(config, torch.device("cpu"), False)
    processor.update_state(BatchUpdate(len(rows), [], [(i, one, [1], []) for i, one in enumerate(rows)], []))
    return processor


def test_the_blocks_of_rows_do_not_change_a_bit(monkeypatch):
    rows = [params() if i % 5 == 2 else params({"t0": 1.0 + i / 10, "theta": 0.5}) for i in range(23)]
    logits = torch.randn(23, VOCABULARY, generator=torch.Generator().manual_seed(3)) * 3
    whole = v1_processor(rows).apply(logits.clone())
    for elements in (1, 4 * VOCABULARY):
        monkeypatch.setattr(vllm_processor, "CPU_BLOCK", elements)
        torch.testing.assert_close(v1_processor(rows).apply(logits.clone()), whole, rtol=0, atol=0)


def test_logits_in_half_precision_are_scaled_in_float32_and_others_stay():
    edt = {"t0": 0.9, "theta": 0.7}
    logits = (torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(4)) * 3).bfloat16()
    before = logits.clone()
    after = v1_processor([params(edt), params(), params(edt)]).apply(logits)
    assert after.dtype == torch.bfloat16
    assert torch.equal(after[1], before[1])
    t = temperature_by_hand(before[2].double().tolist(), edt)
    wanted = (before[2].double() - before[2].double().max()) / t
    torch.testing.assert_close(after[2].double(), wanted, rtol=2**-8, atol=0)


def test_a_batch_without_our_requests_is_returned_as_it_came():
    logits = torch.randn(2, VOCABULARY)
    before = logits.clone()
    after = v1_processor([params(), params()]).apply(logits)
    assert after is logits
    assert torch.equal(after, before)


def config(named=None, speculative=None):
    return SimpleNamespace(
        speculative_config=speculative, model_config=SimpleNamespace(logits_processors=named, other=1)
    )


class Derived(EDTProcessor):
    """A processor of someone who builds on ours."""


@pytest.mark.parametrize(
    ("vllm_config", "works"),
    [
        (config(), True),
        (config(["another.package:Processor"]), True),
        (config([int]), True),
        (config(["edt.adapters.vllm_processor:EDTProcessor"]), False),
        (config(["edt.adapters:EDTProcessor"]), False),
        (config([EDTProcessor]), False),
        (config([int, Derived]), False),
        (config(speculative=object()), False),
    ],
)
def test_the_installed_processor_works_unless_another_does_or_drafts_are_verified(vllm_config, works):
    rows = [params({"t0": 1.5, "theta": 0.5}), params()]
    logits = torch.randn(2, VOCABULARY)
    after = v1_processor(rows, InstalledEDTProcessor, vllm_config).apply(logits.clone())
    assert torch.equal(after[0], logits[0]) != works
    assert torch.equal(after[1], logits[1])
    lengths = SimpleNamespace(prompt_len=SimpleNamespace(np=np.ones(2)))
    assert InstalledEDTProcessor(vllm_config, lengths).add_request(0, rows[0]) == works


def test_vllm_finds_the_installed_processor_by_its_entry_point():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["vllm.logits_processors"]
    assert [pkgutil.resolve_name(point) for point in points.values()] == [InstalledEDTProcessor]


class InputProcessor:
    """As vLLM's, which checks a request before its engine sees it and has the configuration."""

    def __init__(self, vllm_config):
        self.vllm_config = vllm_config

    def check(self, request):
        # vLLM's own function stands between.
        (lambda: EDTProcessor.validate_params(request))()


def test_a_request_to_a_server_with_speculative_decoding_is_refused():
    """The V1 runner loads no installed processor then, and would decode the request without EDT."""
    edt = params({"t0": 0.8, "theta": 0.5})
    InputProcessor(config()).check(edt)
    InputProcessor(config(speculative=object())).check(params())
    with pytest.raises(ValueError, match=r"speculative decoding.*or leave extra_args\['edt'\] out"):
        InputProcessor(config(speculative=object())).check(edt)


def test_speculative_decoding_is_refused_when_the_engine_is_built():
    with pytest.raises(ConfigError, match=r"speculative decoding.*start vLLM without speculative_config"):
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
