"""What is in the loss, token by token: the prompt is that of decoding, and the answer alone is learned."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from edt.cli.build import task_requests
from edt.cli.composition import compose
from edt.decoding.engine_specs import BatchedSpec
from edt.decoding.sampling import Sampling
from edt.errors import DataError, ModelError
from edt.generation.prepare import prepare
from edt.generation.request import GenerationRequest, TaskRequest
from edt.generation.task_prompts import TaskPrompts
from edt.models.language_model import LanguageModel
from edt.models.spec import ModelSpec
from edt.strategies import Fixed
from edt.tasks.base import Template
from edt.tasks.jsonl import JsonLines
from edt.training.examples import IGNORED, Collator, LengthGroupedOrder, TrainingExamples

CHAT = (
    "{% for m in messages %}<bos>{{ m['role'] }}: {{ m['content'] | trim }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<bos>assistant: {% endif %}"
)
TASKS = ["mini_xlsum", "mini_msmarco", "mini_quac", "mini_wmt19"]


@pytest.fixture(scope="module")
def mini():
    return LanguageModel.load(ModelSpec(path="edt:mini_base", device="cpu"))


@pytest.fixture
def chat(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text(CHAT)
    return LanguageModel.load(ModelSpec(path=str(folder), device="cpu", chat_template=True))


def configured(name, *, shots=0):
    """A task with the prompt of its configuration, so small that shots and a question fit into the context of 512."""
    words = [f"task={name}", "task.limit=4", "task.train_size=12", f"task.shots={shots}", "task.max_new_tokens=24"]
    plain = OmegaConf.to_container(compose("data", words), resolve=True)
    return task_requests(plain["task"])[0].task


def encoder(model, task, **sampling):
    reading = TaskPrompts.of(model, TaskRequest(task=task, splits=("train",)), Sampling(**sampling))
    return TrainingExamples.of(model, reading)


def decoding_prompts(model, task, split, **sampling):
    """The tokens that `edt generate` reads."""
    request = GenerationRequest(
        model=model.spec,
        engine=BatchedSpec(),
        tasks=(TaskRequest(task=task, splits=(split,)),),
        strategies=(Fixed(t0=0.0),),
        sampling=Sampling(**sampling),
        runs="unused",
        config={},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edt.generation.prepare._as_begun", lambda request, manifest, limits: (manifest, limits))
        return prepare(request, request.tasks[0], BatchedSpec().build(model)).prompts[split]


def check_tokens(model, task, end_of_answer):
    """Compare each token of a task's examples, prompt and answer, with what decoding reads and the reference says."""
    prompts = decoding_prompts(model, task, "train")
    sources = task.load("train").examples
    examples = [encoder(model, task).encode(source) for source in sources]
    batch = replace(Collator.of(model), keeps_logits=False)(examples)

    for row, (example, source) in enumerate(zip(examples, sources, strict=True)):
        assert example.prompt_ids == prompts[source.example_id].token_ids
        ids, labels = batch["input_ids"][row].tolist(), batch["labels"][row].tolist()
        n, end = len(example.prompt_ids), example.length
        assert labels[:n] == [IGNORED] * n
        assert labels[n:end] == ids[n:end] == list(example.answer_ids)
        assert set(labels[end:]) <= {IGNORED}
        assert batch["attention_mask"][row].tolist() == [1] * end + [0] * (len(ids) - end)
        # What is learned is the reference, and the token that ends it.
        assert model.as_read(labels[n:end]) == end_of_answer.format(source.references[0])
    return examples


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("task", TASKS)
def test_each_token_of_the_prompt_is_that_of_decoding_and_each_of_the_answer_is_learned(mini, task, shots):
    # Behind the space that the prompt does not end in.
    examples = check_tokens(mini, configured(task, shots=shots), " {}</s>")
    starts = {mini.as_read(example.prompt_ids)[:20] for example in examples}
    assert not shots or len(starts) == 1


@pytest.mark.parametrize("shots", [0, 1])
@pytest.mark.parametrize("task", TASKS)
def test_in_a_chat_the_template_writes_around_the_answer(mini, task, shots, tmp_path):
    folder = shutil.copytree(mini.folder, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text(CHAT.replace("bos", "s").replace("<eos>", "</s>"))
    model = LanguageModel.load(ModelSpec(path=str(folder), device="cpu", chat_template=True))
    examples = check_tokens(model, configured(task, shots=shots), "{}</s>")
    for example in examples:
        shown = model.as_read(example.prompt_ids)
        assert shown.startswith("<s>user: ")
        assert shown.endswith("</s><s>assistant: ")


def test_the_tokens_of_a_text_by_hand(tiny):
    # The tokenizer of bytes has one token per character of ASCII: its place in the alphabet, behind three others.
    task = JsonLines(path="unused", template=Template(tail="A:"), max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("c",))
    encoded = encoder(tiny, task).encode(example)
    letters = tiny.tokenizer.get_vocab()
    assert [tiny.tokenizer.convert_ids_to_tokens(i) for i in encoded.prompt_ids] == ["a", "b", "A", ":"]
    assert list(encoded.answer_ids) == [letters["Ġ"], letters["c"], letters["<eos>"]]


def test_a_prompt_that_ends_in_white_space_gets_no_second_space(tiny):
    task = JsonLines(path="unused", template=Template(tail="\n"), max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("c",))
    assert tiny.decode([encoder(tiny, task).encode(example).answer_ids]) == ["c"]


def test_the_end_of_a_turn_is_the_one_of_the_template(chat, tmp_path):
    # Two end tokens: the template ends a turn with <bos>, the tokenizer a text with <eos>.
    folder = shutil.copytree(chat.folder, tmp_path / "turns")
    (folder / "chat_template.jinja").write_text(CHAT.replace("<eos>", "<bos>"))
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [1, 2]}))
    model = LanguageModel.load(ModelSpec(path=str(folder), device="cpu", chat_template=True))
    task = JsonLines(path="unused", max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("c",))
    assert encoder(model, task).encode(example).answer_ids[-1] == 1


def test_names_of_special_tokens_in_an_answer_are_text(tiny):
    task = JsonLines(path="unused", max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("a<eos>b",))
    answer = encoder(tiny, task).encode(example).answer_ids
    assert answer.count(2) == 1
    assert tiny.tokenizer.decode(answer[:-1]) == " a<eos>b"


def test_an_empty_answer_is_its_end_alone(tiny):
    task = JsonLines(path="unused", max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("",))
    assert encoder(tiny, task).encode(example).answer_ids == (2,)


def test_the_source_is_shortened_and_never_the_answer(tiny):
    task = JsonLines(path="unused", template=Template(tail="\nA:"), max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "word " * 100}, references=("r" * 60,))
    encoded = encoder(tiny, task).encode(example)
    # A space, 60 letters and the end.
    assert len(encoded.answer_ids) == 62
    assert tiny.context - 6 < encoded.length <= tiny.context
    assert tiny.as_read(encoded.prompt_ids).endswith("\nA:")
    assert encoded.cut == 500 + 3 - len(encoded.prompt_ids)


def test_an_answer_longer_than_the_context(tiny):
    task = JsonLines(path="unused", max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("r" * 300,))
    with pytest.raises(
        DataError, match=r"answer of example 'x' of task 'unused' has 302 tokens.*context of 256.*Remove"
    ):
        encoder(tiny, task).encode(example)


def test_a_model_without_an_end_token(tiny):
    model = LanguageModel(spec=tiny.spec, folder=tiny.folder, adapter=None, model=tiny.model, tokenizer=tiny.tokenizer)
    model.__dict__["eos_ids"] = frozenset()
    task = JsonLines(path="unused", max_new_tokens=8)
    example = task.make_example(split="train", example_id="x", fields={"source": "ab"}, references=("c",))
    with pytest.raises(ModelError, match="names no end token"):
        encoder(model, task).encode(example)


def test_real_tokenizer_continues_words_as_if_the_text_were_read_at_once(real_model):
    # SentencePiece puts a space before a text that stands alone; behind a prompt there must be one, not two.
    model = LanguageModel.load(ModelSpec(path=str(real_model), device="cpu"))
    task = JsonLines(path="unused", template=Template(tail="\nSummary:"), max_new_tokens=8)
    example = task.make_example(
        split="train", example_id="x", fields={"source": "Once upon a time"}, references=("Lily saw a big dog.",)
    )
    encoded = encoder(model, task).encode(example)
    whole = model.tokenizer("Once upon a time\nSummary: Lily saw a big dog.")["input_ids"]
    assert [*encoded.prompt_ids, *encoded.answer_ids] == [*whole, model.tokenizer.eos_token_id]


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone():
    lengths = [(7 * i) % 50 for i in range(200)]
    order = LengthGroupedOrder(lengths, 8, seed=3)
    torch.manual_seed(1)
    first = list(order)
    torch.manual_seed(2)
    assert list(order) == first
    assert sorted(first) == list(range(200))
    order.epoch = 1
    assert list(order) != first
    # Batches of like length: less padding than in a random order.
    spread = [
        max(lengths[i] for i in first[k : k + 8]) - min(lengths[i] for i in first[k : k + 8]) for k in range(0, 200, 8)
    ]
    assert sorted(spread)[len(spread) // 2] < 10


def gradients(model, batch):
    """Return the loss of a batch, and the gradient of each weight."""
    model.model.zero_grad()
    loss = model.model(**batch, use_cache=False).loss
    loss.backward()
    return loss, {name: p.grad for name, p in model.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("task", TASKS)
def test_leaving_the_logits_of_prompts_out_changes_neither_loss_nor_gradient(task):
    model = LanguageModel.load(ModelSpec(path="edt:mini_base", device="cpu", dtype="float64"))
    # Loading froze the weights, since decoding needs no gradients.
    model.model.requires_grad_(True)
    encode = encoder(model, configured(task))
    examples = [encode.encode(example) for example in configured(task).load("train").examples]
    collator = Collator.of(model)
    assert collator.keeps_logits
    short, full = collator(examples), replace(collator, keeps_logits=False)(examples)
    # From the last token of the shortest prompt on, which predicts the first token of its answer.
    kept = max(e.length for e in examples) - min(len(e.prompt_ids) for e in examples) + 1
    assert short["logits_to_keep"] == short["labels"].shape[1] == kept < full["labels"].shape[1]

    (loss, grads), (loss_full, grads_full) = gradients(model, short), gradients(model, full)
    # The loss of transformers rounds logits to float32.
    assert loss.item() == pytest.approx(loss_full.item(), rel=1e-6)
    assert grads.keys() == grads_full.keys()
    for name, gradient in grads.items():
        torch.testing.assert_close(gradient, grads_full[name], rtol=1e-4, atol=1e-6)
