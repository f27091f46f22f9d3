"""Turn prompts into token ids: what is data stays text, and what the chat template or its author writes is not.

A *special token* is one that the tokenizer reads from its name, such as `</s>` or `<|im_end|>`. In an article the same
characters are text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from edt.errors import ModelError
from edt.models.guard import library_errors
from edt.models.limits import at_most
from edt.models.spec import ModelSpec, has_chat_template

Messages = Sequence[Mapping[str, str]]

_CLOCK = re.compile(r"\bstrftime_now\b")
"""The function by which a chat template reads the clock."""
_DATE_PARTS = "aAbBcdDeFgGhHIjmMnpSuUVwWxXyYzZ"
"""The directives of strftime that a fixed date answers."""
_TEMPLATE_SECONDS = 20.0
"""The longest that a chat template may write one conversation, which takes it milliseconds."""
_TEMPLATE_BYTES = 2**30
"""The most memory that it may take for that."""
_SHOWN = 120
"""Characters of a conversation that a message shows."""


@dataclass(frozen=True, kw_only=True)
class PromptTokenizer:
    """Reads prompts with a model's tokenizer.

    special: the special tokens, id by name. keeps_end: an encoder reads the end of its text; a decoder, which is to
    continue it, must not. embeddings: token ids that the model can read.
    """

    tokenizer: Any
    spec: ModelSpec
    special: Mapping[str, int]
    keeps_end: bool
    embeddings: int

    @cached_property
    def in_chat(self) -> bool:
        """Whether a text is made a user turn of the chat template: as configured, or by what the tokenizer has."""
        return self.spec.resolved_chat_template(self.tokenizer)

    def text_ids(self, text: str, *, as_text: bool = False) -> list[int]:
        """Return the token ids of a prompt, with the special tokens that the tokenizer adds before a text.

        as_text: read the names of special tokens in it as text. With `model.chat_template` the prompt is a user turn,
        which always is text.
        """
        if self.in_chat:
            return self.message_ids([{"role": "user", "content": text}])
        how = {"split_special_tokens": True} if as_text and self.can_be_text(self.special_in(text)) else {}
        with library_errors(*self._cannot_read):
            ids: list[int] = self.tokenizer(text, verbose=False, **how)["input_ids"]
        # T5-style tokenizers add the end of the text.
        trailing_eos = len(ids) > 1 and ids[-1] == self.tokenizer.eos_token_id and not self.keeps_end
        return self._checked(ids[:-1] if trailing_eos else ids)

    def message_ids(self, messages: Messages) -> list[int]:
        """Return the token ids of a conversation; the names of special tokens in its messages are text."""
        # First, since it says best what is wrong with a template.
        text = self.chat_text(messages)
        names = self.special_in("\n".join(str(message.get("content", "")) for message in messages), in_chat=True)
        with library_errors(*self._cannot_read):
            if self.can_be_text(names, in_chat=True):
                ids: list[int] = self._render(messages, tokenize=True, return_dict=False, sanitize_control_tokens=True)
            else:
                # The template has written the special tokens already.
                ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return self._checked(ids)

    def chat_text(self, messages: Messages) -> str:
        """Return a conversation as the chat template writes it, up to where the answer begins.

        Raises ModelError when the tokenizer has no template, or when the template refuses the messages.
        """
        self.check_template()
        shown = repr([dict(message) for message in messages])
        failure = (
            f"the chat template of model '{self.spec.path}' cannot write "
            f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
        )
        remedy = (
            "Messages have the form {'role': 'user', 'content': '…'}; model.chat_template=false gives prompts as plain "
            "text."
        )
        with library_errors(failure, remedy):
            text: str = self._render(messages, tokenize=False)
        return text

    def answer_frame(self) -> tuple[str, str]:
        """Return what the chat template writes before and behind an answer; nothing where it writes it elsewhere."""
        question, answer = {"role": "user", "content": "Question"}, {"role": "assistant", "content": "Answer"}
        begun = self.chat_text([question])
        remedy = "Use model.chat_template=false, or a template that takes a turn of the role assistant."
        with library_errors(f"the chat template of model '{self.spec.path}' cannot write an answer", remedy):
            whole: str = self._render([question, answer], answered=True, tokenize=False)
        # Some templates begin an answer otherwise when it is to be generated.
        rest = whole[len(begun) :] if whole.startswith(begun) else ""
        before, found, behind = rest.partition("Answer")
        return (before, behind) if found else ("", "")

    def check_template(self) -> None:
        """Raise ModelError where there is no chat template, or where it does not read what is set for it."""
        if not has_chat_template(self.tokenizer):
            raise ModelError(
                f"model '{self.spec.path}' has no chat template, so it cannot read messages; give the prompt as a text "
                "(model.chat_template=false), or use a model that was trained on conversations."
            )
        for name in self.spec.chat_template_kwargs or {}:
            if not re.search(rf"\b{re.escape(name)}\b", self._template):
                raise ModelError(
                    f"model.chat_template_kwargs sets '{name}', which the chat template of model '{self.spec.path}' "
                    "does not read; remove it, or check its spelling."
                )

    @cached_property
    def reads_clock(self) -> bool:
        """Whether the chat template writes the date or the time; it is then given `model.template_date`."""
        return has_chat_template(self.tokenizer) and bool(_CLOCK.search(self._template))

    def identity(self) -> dict[str, Any]:
        """Return what is set for the chat template, as plain JSON; nothing where nothing is."""
        kwargs = (
            {"chat_template_kwargs": dict(self.spec.chat_template_kwargs)} if self.spec.chat_template_kwargs else {}
        )
        return {**kwargs, **({"template_date": self.spec.template_date} if self.reads_clock else {})}

    def special_in(self, text: str, *, in_chat: bool = False) -> tuple[str, ...]:
        """Return the names of special tokens in a text, each once. in_chat: also those that the template writes."""
        pattern = self._chat_names if in_chat else self._names
        return tuple(sorted(set(pattern.findall(text)))) if pattern is not None else ()

    def can_be_text(self, names: Sequence[str], *, in_chat: bool = False) -> bool:
        """Return whether there are such names and the tokenizer can read all of them as text."""
        return bool(names) and all(self._is_kept_apart(name, in_chat=in_chat) for name in names)

    def note(self, texts: Sequence[str], *, as_text: bool, in_chat: bool) -> str | None:
        """Return what a reader must know of the prompts that hold names of special tokens, None if there are none.

        as_text: as in `text_ids`. in_chat: the texts are messages of a conversation.
        """
        held = [names for text in texts if (names := self.special_in(text, in_chat=in_chat))]
        if not held:
            return None
        every = sorted(set().union(*held))
        shown = ", ".join(f"'{name}'" for name in every[:3]) + (", …" if len(every) > 3 else "")
        are_text = (as_text or in_chat) and self.can_be_text(every, in_chat=in_chat)
        how = "it is read as plain text" if are_text else "it is read as the token, which steers the model"
        return (
            f"{len(held)} of {len(texts)} prompts contain text that is spelled like a special token ({shown}); {how}."
        )

    @cached_property
    def _cannot_read(self) -> tuple[str, str]:
        return (
            f"the tokenizer of model '{self.spec.path}' cannot read a prompt",
            "Fetch its files again, or use the tokenizer that the model was trained with.",
        )

    def _checked(self, ids: list[int]) -> list[int]:
        """Return the ids. Raises ModelError for one without an embedding."""
        # A token that was added to the tokenizer alone: only a prompt that holds it cannot be read.
        largest = max(ids, default=0)
        if largest >= self.embeddings:
            token = self.tokenizer.convert_ids_to_tokens(largest)
            raise ModelError(
                f"a prompt has the token {largest} ({token!r}), but model '{self.spec.path}' has embeddings for "
                f"{self.embeddings} tokens; use the tokenizer that the model was trained with."
            )
        return ids

    def _render(self, messages: Messages, *, answered: bool = False, **how: Any) -> Any:
        template = {"chat_template": _with_date(self._template, self.spec.template_date)} if self.reads_clock else {}
        # transformers renders it in jinja's sandbox, which bounds what a template reaches, but not how long it runs
        # and how much it writes.
        with at_most(_TEMPLATE_SECONDS, _TEMPLATE_BYTES):
            return self.tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                add_generation_prompt=not answered,
                **template,
                **how,
                **(self.spec.chat_template_kwargs or {}),
            )

    @cached_property
    def _template(self) -> str:
        """The chat template's source: the default one where there are several."""
        template = self.tokenizer.chat_template
        if isinstance(template, Mapping):
            return str(template.get("default", next(iter(template.values()), "")))
        return str(template)

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        return _any_of(self.special)

    @cached_property
    def _chat_names(self) -> re.Pattern[str] | None:
        """The special tokens and those that the template writes, such as `<think>`, which some tokenizers only add."""
        written = [
            str(token)
            for token in self.tokenizer.added_tokens_decoder.values()
            if str(token) in self._template and not str(token).isspace()
        ]
        return _any_of([*self.special, *written])

    @cached_property
    def _kept_apart(self) -> dict[tuple[str, bool], bool]:
        return {}

    def _is_kept_apart(self, name: str, *, in_chat: bool) -> bool:
        """Return whether the tokenizer can read the name of a special token as text; tried once per name."""
        if (name, in_chat) not in self._kept_apart:
            with library_errors(*self._cannot_read):
                can = self._is_text_in_chat(name) if in_chat else self._is_text_alone(name)
            self._kept_apart[name, in_chat] = can
        return self._kept_apart[name, in_chat]

    def _is_text_alone(self, name: str) -> bool:
        ids = self.tokenizer(name, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        token = self.tokenizer.convert_tokens_to_ids(name)
        # Some vocabularies hold the name as a piece of text as well.
        return token == self.tokenizer.unk_token_id or token not in ids

    def _is_text_in_chat(self, name: str) -> bool:
        # Older versions would hand the option to the template, which ignores it.
        if "sanitize_control_tokens" not in inspect.signature(self.tokenizer.apply_chat_template).parameters:
            return False
        message = {"role": "user", "content": name}
        try:
            self._render([message], tokenize=True, return_dict=False, sanitize_control_tokens=True)
        # What transformers raises for a vocabulary that holds the name as a piece of text as well.
        except (ValueError, NotImplementedError):
            return False
        return True


def data_reader(prompts: PromptTokenizer, written: str = "") -> Callable[[str], list[int]]:
    """Return the function that reads a task's prompts: their special tokens are text, but for those in `written`.

    written: the wording that the user has chosen, where a special token is meant as one.
    """
    meant = set(prompts.special_in(written))
    return lambda text: prompts.text_ids(text, as_text=not meant.intersection(prompts.special_in(text)))


def _any_of(names: Sequence[str] | Mapping[str, int]) -> re.Pattern[str] | None:
    # The longest first: one name may begin another.
    ordered = sorted(filter(None, set(names)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _with_date(template: str, day: str) -> str:
    """Return the template with a `strftime_now` that formats a fixed day."""
    at = date.fromisoformat(day)
    table = {f"%{letter}": at.strftime(f"%{letter}") for letter in _DATE_PARTS}
    # Without leading zeros, as glibc writes them: no other system's strftime knows these.
    table |= {f"%-{letter}": str(int(table[f"%{letter}"])) for letter in "dmyHIMSj"}
    macro = (
        "{% macro strftime_now(format) %}{% set at = namespace(part='') %}{% for c in format %}"
        "{% if at.part or c == '%' %}{% set at.part = at.part ~ c %}"
        "{% if at.part == '%%' %}%{% set at.part = '' %}"
        "{% elif at.part in TABLE %}{{ TABLE[at.part] }}{% set at.part = '' %}{% endif %}"
        "{% else %}{{ c }}{% endif %}{% endfor %}{{ at.part }}{% endmacro %}\n"
    )
    # The line break belongs to the tag before it, so the template begins as it did.
    return macro.replace("TABLE", repr(table)) + template
