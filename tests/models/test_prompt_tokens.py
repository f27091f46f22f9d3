"""Prompts as tokens: special tokens in data are text, and a chat template gives the same prompts on every day."""

import dataclasses
import shutil
from datetime import date, datetime

import pytest

from edt.errors import ConfigError, ModelError
from edt.models.language_model import LanguageModel
from edt.models.prompt_tokens import PromptTokenizer, _with_date, data_reader
from edt.models.spec import ModelSpec

CHAT = "{% for m in messages %}<bos>{{ m['role'] }}: {{ m['content'] }}<eos>{% endfor %}<bos>assistant:"
CLOCK = "Today is {{ strftime_now('%d %b %Y, %-d/%m %H:%M %A 100%%') }}.\n" + CHAT
THINKING = CHAT + "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"


@pytest.fixture
def load(tiny_folder, tmp_path):
    """Loads the random Llama, with a chat template where one is given."""

    def make(template=None, **settings):
        folder = shutil.copytree(tiny_folder, tmp_path / f"model-{len(list(tmp_path.iterdir()))}")
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
            settings.setdefault("chat_template", True)
        return LanguageModel.load(ModelSpec(path=str(folder), device="cpu", **settings))

    return make


def reader(tokenizer, **spec):
    return PromptTokenizer(
        tokenizer=tokenizer,
        spec=ModelSpec(path="some", **spec),
        special=dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)),
        keeps_end=False,
        embeddings=10**6,
    )


def test_names_of_special_tokens_in_data_are_text(tiny):
    prompts, letters = tiny.prompts, len("<eos>")
    assert prompts.text_ids("a<eos>b<eos>c").count(2) == 2
    as_text = prompts.text_ids("a<eos>b<eos>c", as_text=True)
    assert 2 not in as_text
    assert len(as_text) == 3 + 2 * letters
    assert tiny.tokenizer.decode(as_text) == "a<eos>b<eos>c"
    # What comes after it is read as before.
    assert prompts.text_ids("a<eos>").count(2) == 1 or tiny.tokenizer("a<eos>")["input_ids"][-1] == 2


@pytest.mark.parametrize("text", ["", "Plain words.", "< eos >", "第一句。\n\n  x", "<eos"])
def test_data_without_them_keep_their_tokens(tiny, text):
    assert tiny.prompts.text_ids(text, as_text=True) == tiny.tokenizer(text)["input_ids"]
    assert data_reader(tiny.prompts)(text) == tiny.tokenizer(text)["input_ids"]


def test_a_slow_tokenizer_too():
    from transformers import ByT5Tokenizer

    prompts = reader(ByT5Tokenizer())
    assert prompts.text_ids("a</s>b").count(1) == 1
    as_text = prompts.text_ids("a</s>b", as_text=True)
    assert as_text == [byte + 3 for byte in b"a</s>b"]
    assert prompts.text_ids("ab", as_text=True) == [byte + 3 for byte in b"ab"]


def test_a_vocabulary_that_holds_the_name_as_a_piece_is_said():
    """Unigram vocabularies hold `</s>` among their pieces, so that text and token are one."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -1.0) for letter in "abc</s>")]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.Unigram(pieces, unk_id=0)), eos_token="</s>", unk_token="<unk>"
    )
    prompts = reader(fast)
    assert prompts.text_ids("a</s>b", as_text=True).count(1) == 1
    note = prompts.note(["a</s>b", "ab"], as_text=True, in_chat=False)
    assert note.startswith(
        "1 of 2 prompts contain text that is spelled like a special token ('</s>'); it is read as the"
    )


def test_a_special_token_of_the_wording_is_meant(tiny):
    read = data_reader(tiny.prompts, "<bos>Summarize: ")
    assert read("<bos>Summarize: x").count(1) == 1
    assert 2 not in read("Summarize: x<eos>")


def test_in_a_chat_only_the_template_writes_special_tokens(load):
    model = load(CHAT)
    plain, marked = model.tokenize("ab c"), model.tokenize("ab<eos> <bos>c")
    assert marked.count(2) == plain.count(2) == 1
    assert marked.count(1) == plain.count(1) == 2
    assert model.tokenizer.decode(marked) == model.prompts.chat_text([{"role": "user", "content": "ab<eos> <bos>c"}])
    assert plain == model.tokenizer(CHAT_OF_AB, add_special_tokens=False)["input_ids"]
    note = model.prompts.note(["x<eos>", "y"], as_text=False, in_chat=True)
    assert note.endswith("('<eos>'); it is read as plain text.")


CHAT_OF_AB = "<bos>user: ab c<eos><bos>assistant:"


def test_tokens_of_the_template_that_are_only_added_are_text_too(load):
    """Qwen3's tokenizer adds <think> to its vocabulary, but does not call it special."""
    template = CHAT + "<think>"
    folder = load(template).folder
    model = LanguageModel.load(ModelSpec(path=str(folder), device="cpu", chat_template=True))
    model.tokenizer.add_tokens(["<think>", "word"])
    think, word = model.tokenizer.convert_tokens_to_ids(["<think>", "word"])
    prompts = PromptTokenizer(
        tokenizer=model.tokenizer, spec=model.spec, special=model.special_tokens, keeps_end=False, embeddings=999
    )
    ids = prompts.text_ids("a <think> b<eos> word")
    assert (ids.count(think), ids.count(2), ids.count(word)) == (1, 1, 1)
    assert prompts.text_ids("a word").count(word) == 1


def test_a_run_counts_them(ask, caplog, tmp_path):
    from dataclasses import replace

    from edt.generation.session import Session

    (tmp_path / "rows.eng").write_text("".join(f"Line {i} with <eos> and <bos>.\n" for i in range(6)))
    (tmp_path / "rows.zho").write_text("句\n" * 6)
    request = ask()
    task = replace(request.tasks[0], task=replace(request.tasks[0].task, path=str(tmp_path)))
    session = Session.open(replace(request, tasks=(task,)))
    prompts = session.prepared(0).prompts["test"]
    said = f"wmt19, test: {len(prompts)} of {len(prompts)} prompts contain text that is spelled like a special token"
    assert f"{said} ('<bos>', '<eos>'); it is read as plain text." in caplog.text
    assert not any({1, 2} & set(prompt.token_ids) for prompt in prompts.values())


@pytest.mark.parametrize("given", [None, {"enable_thinking": True}, {"enable_thinking": False}])
def test_the_template_gets_its_own_settings(load, given):
    model = load(THINKING, chat_template_kwargs=given)
    text = model.prompts.chat_text([{"role": "user", "content": "x"}])
    assert text.endswith("<think></think>") == (given == {"enable_thinking": False})
    assert model.identity.get("chat_template_kwargs") == given


@pytest.mark.parametrize(("template", "same"), [(CHAT, True), (None, False)])
def test_auto_is_what_the_tokenizer_has(load, caplog, template, same):
    """The identity holds what was decided, so that a command with true or false finds the same run."""
    caplog.set_level("INFO", logger="edt")
    auto, set_so = load(template, chat_template="auto"), load(template, chat_template=same)
    assert auto.in_chat is same
    assert auto.identity == set_so.identity
    assert auto.tokenize("x") == set_so.tokenize("x")
    assert f"model.chat_template=auto is {str(same).lower()} for {auto.spec.path}." in caplog.text


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_a_switch_of_the_template_that_there_is_not_is_an_error(given):
    with pytest.raises(ConfigError, match=rf"model\.chat_template is {given!r}; it must be true, false or auto"):
        ModelSpec(path="some", chat_template=given)


def test_a_setting_that_the_template_does_not_read_is_an_error(load):
    with pytest.raises(ModelError, match=r"chat_template_kwargs sets 'enable_thinkin', which .* does not read"):
        load(THINKING, chat_template_kwargs={"enable_thinkin": False})


@pytest.mark.parametrize("given", [{"tokenize": False}, {"chat_template": "x"}, ["a"], {1: 2}], ids=str)
def test_settings_that_are_not_the_templates(given):
    with pytest.raises(ConfigError, match=r"model\.chat_template_kwargs"):
        ModelSpec(path="some", chat_template_kwargs=given)


def test_a_template_that_reads_the_clock_gets_a_fixed_day(load, caplog):
    caplog.set_level("INFO")
    model = load(CLOCK)
    text = model.prompts.chat_text([{"role": "user", "content": "x<eos>"}])
    assert text.startswith("Today is 26 Jul 2024, 26/07 00:00 Friday 100%.\n<bos>user")
    assert "writes the date or time; it is given model.template_date=2024-07-26" in caplog.text
    assert model.identity["template_date"] == "2024-07-26"
    assert model.tokenize("x<eos>").count(2) == 1

    other = load(CLOCK, template_date="2026-03-01")
    assert "01 Mar 2026, 1/03 00:00 Sunday" in other.prompts.chat_text([{"role": "user", "content": "x"}])
    assert other.identity != model.identity
    assert "template_date" not in load(CHAT).identity
    assert "template_date" not in load().identity


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d %B %Y", "%A, %-d. %b", "%j %U %y %I %p|%H:%M:%S", "x", "", "%%Y"])
@pytest.mark.parametrize("start", ["", "\n", "  {% if true %}y{% endif %}", "  z", "{# note #}\n"])
def test_the_fixed_day_is_written_as_transformers_would(form, start):
    """The same template with the clock of transformers, at midnight of the day."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    template = f"{start}{{% macro inner() %}}[{{{{ strftime_now('{form}') }}}}]{{% endmacro %}}{{{{ inner() }}}} end"
    compiled = _compile_jinja_template(template + "{# of this test #}")
    day = datetime.combine(date(2025, 2, 3), datetime.min.time())
    compiled.environment.globals["strftime_now"] = day.strftime
    assert _compile_jinja_template(_with_date(template, "2025-02-03")).render() == compiled.render()


@pytest.mark.parametrize("value", ["yesterday", "2024-13-01", 20240726])
def test_a_day_that_is_none(value):
    with pytest.raises(ConfigError, match=r"model\.template_date is .* YYYY-MM-DD"):
        ModelSpec(path="some", template_date=value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('system first') }}",
        "{{ messages[0].content.upper(3) }}",
        "{% if %}",
        "{{ messages[3]['x'] + 1 }}",
    ],
)
def test_a_template_that_refuses_is_a_sentence_before_any_data_is_read(load, template):
    with pytest.raises(ModelError, match=r"the chat template of model .* cannot write .*Messages have the form"):
        load(template)


def test_no_template_is_an_error_of_loading(load):
    with pytest.raises(ModelError, match=r"has no chat template.*model\.chat_template=false"):
        load(chat_template=True)


def test_a_tokenizer_that_fails_is_a_sentence(tiny, monkeypatch):
    class Broken:
        def __call__(self, *_, **__):
            raise KeyError("piece")

    prompts = PromptTokenizer(tokenizer=Broken(), spec=tiny.spec, special={}, keeps_end=False, embeddings=9)
    with pytest.raises(ModelError, match=r"tokenizer of model .* cannot read a prompt: KeyError: 'piece'"):
        prompts.text_ids("x")


def test_a_token_without_an_embedding_is_named(tiny):
    tokenizer = tiny.tokenizer
    prompts = PromptTokenizer(tokenizer=tokenizer, spec=tiny.spec, special={}, keeps_end=False, embeddings=60)
    assert prompts.text_ids("!") == tokenizer("!")["input_ids"]
    with pytest.raises(ModelError, match=r"has the token \d+ \('z'\), but model .* has embeddings for 60 tokens"):
        prompts.text_ids("z")


def test_ids_beyond_the_tokenizer_have_no_text(tiny):
    """A padded vocabulary lets a model draw them; tokenizers in Python would fail on them."""
    from transformers import ByT5Tokenizer

    slow = dataclasses.replace(tiny, tokenizer=ByT5Tokenizer())
    assert slow.decode([[100, 999, 101], [5000], []]) == ["ab", "", ""]
    assert tiny.decode([[*tiny.tokenize("ab"), 5000]]) == ["ab"]
