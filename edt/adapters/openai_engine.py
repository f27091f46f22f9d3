"""The openai engine: a server with OpenAI's interface draws the rows, one request each, many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edt.adapters.answer_journal import AnswerJournal, RowKey
from edt.adapters.openai_client import FOR_ADDRESS, Client
from edt.adapters.openai_servers import KINDS, Answer, Server, VLLMServer
from edt.adapters.vllm_request import KEY
from edt.decoding.batching import Cost
from edt.decoding.engine import Engine, PlanLimits
from edt.decoding.ops.draw import TEMPERATURE_FLOOR
from edt.decoding.ops.noise import stream_key
from edt.decoding.request import DecodeRequest, Pair
from edt.decoding.sampling import EXTERNAL, Limits, Sampling
from edt.decoding.stops import cut_at_stop
from edt.errors import ConfigError, ServerError
from edt.extras import check_extra
from edt.models.served_model import ServedModel
from edt.models.spec import ModelSpec
from edt.records import FinishReason, Generation
from edt.strategies import Fixed
from edt.strategies.base import Strategy

if TYPE_CHECKING:
    from edt.adapters.openai_spec import OpenAISpec

logger = logging.getLogger(__name__)

_UNLIMITED = 2**62


@dataclass(frozen=True, kw_only=True)
class OpenAIEngine(Engine):
    """Asks a server for each row; the server draws with its own generator (`noise: external`).

    A row's seed is that of its example and sample, the same for all settings. The records hold the temperature of
    `fixed`, which is known, and no entropy: such a server says nothing of it. model: reads the prompts here.
    """

    name = "openai"
    signals = frozenset({"entropy"})

    model: ServedModel
    spec: OpenAISpec
    server: Server

    @classmethod
    def connect(cls, spec: OpenAISpec, model: ModelSpec) -> OpenAIEngine:
        """Return the engine after the server has said what it serves. Raises ConfigError, ModelError or ServerError."""
        check_extra("openai", "engine=openai")
        # Before the server is asked: a mistyped model needs no network to be found.
        served = ServedModel.load(model, weights=False)
        entry, server = asyncio.run(_found(spec))
        # vLLM says it; of other servers the limit is what the configuration says.
        context = entry.get("max_model_len")
        if isinstance(context, int):
            served = replace(served, most_context=context)
        processor = ", with our logits processor" if server.has_edt else ""
        logger.info("%s serves '%s' as %s%s.", spec.base_url, server.model, server.kind, processor)
        if server.own_defaults:
            logger.warning("%s", server.own_defaults)
        return cls(model=served, spec=spec, server=server)

    def identity(self) -> dict[str, Any]:
        """See Engine. The address is no part of it: the same model may be served elsewhere tomorrow."""
        # The kind too: servers differ in their samplers, and so in what a seed gives.
        served = {"server": self.server.kind, "served_model": self.server.model}
        return {"engine": self.name, "noise": "server", "model": {**self.model.identity, **served}}

    def noise(self, sampling: Sampling) -> str:
        """See Engine."""
        return EXTERNAL

    def check_strategies(self, strategies: Sequence[Strategy]) -> None:
        """See Engine."""
        for strategy in strategies:
            obstacle = self.server.obstacle(strategy)
            if obstacle:
                raise ConfigError(
                    f"strategy {strategy.strategy_id} cannot be decoded by a server of the kind "
                    f"'{self.server.kind}': {obstacle}. Leave it out, or use engine=batched."
                )

    def cost(self, strategies: Sequence[Strategy], tokens: int) -> Cost:
        """See Engine: the server holds them."""
        return Cost(per_token=0, per_row=0, shared_prompt=True)

    def plan_limits(self) -> PlanLimits:
        """See Engine."""
        return PlanLimits(budget=_UNLIMITED, max_rows=self.spec.max_rows)

    def generate(self, request: DecodeRequest) -> Iterator[Generation]:
        """See Engine. Rows that the request's journal holds are not requested.

        Raises ServerError where the server refuses a row or gives no usable answer to it.
        """
        self.check_strategies(request.strategies)
        # Example by example, so that the server finds the beginning of a prompt in its cache.
        pairs: list[Pair] = [(index, row) for index in range(len(request.prompts)) for row in request.rows]
        journal = AnswerJournal(request.journal)
        keys = {
            pair: (
                request.prompts[pair[0]].example_id,
                request.strategies[pair[1].strategy].strategy_id,
                pair[1].sample,
            )
            for pair in pairs
        }
        # A command that was stopped continues with the rows that it has no answer to.
        missing = [pair for pair in pairs if keys[pair] not in journal.answers]
        request.on_step(float(len(pairs) - len(missing)), 0)
        if missing:
            with journal.writing():
                asyncio.run(self._ask_all(request, deque(missing), keys, journal))
        for pair in pairs:
            yield self._record(request, pair, journal.answers[keys[pair]])

    async def _ask_all(
        self, request: DecodeRequest, waiting: deque[Pair], keys: Mapping[Pair, RowKey], journal: AnswerJournal
    ) -> None:
        """Ask for rows until none waits, and keep each answer as it comes."""
        async with Client(self.spec) as client:
            # Each takes the next row when it is free: a fixed share would wait for the one with the longest rows.
            async def ask_on() -> None:
                while waiting:
                    pair = waiting.popleft()
                    answer = await self._ask(client, request, pair)
                    journal.add(keys[pair], answer)
                    request.on_step(1.0, len(answer.token_ids or ()))

            tasks = [asyncio.create_task(ask_on()) for _ in range(self.spec.concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                # After an error, and after Ctrl-C: nobody waits for the other answers.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, client: Client, request: DecodeRequest, pair: Pair) -> Answer:
        """Return the server's answer to one row, cut where our rule of stops ends it."""
        limits = request.limits
        answer = await self._asked(client, request, pair, stop=limits.stop)
        if self._stopped_too_early(answer, limits):
            # The seed is the same, and so is what comes before the stop.
            answer = await self._asked(client, request, pair, stop=())
        return self._cut(answer, limits)

    def _stopped_too_early(self, answer: Answer, limits: Limits) -> bool:
        """Return whether a stop text ended an answer where it does not count for us: before a visible character."""
        if not limits.stop or limits.stops_before_text or answer.by_length:
            return False
        # Without ids the server has taken the stop out of the text.
        if answer.token_ids is None:
            return not answer.text.strip()
        return not self._ends_at(answer.token_ids, limits) and answer.token_ids[-1:] not in self._ends

    @cached_property
    def _ends(self) -> frozenset[tuple[int, ...]]:
        """What the ids of a text end in that an end token ended; a text of no tokens is one, too."""
        return frozenset({(), *((token,) for token in self.model.eos_ids)})

    async def _asked(self, client: Client, request: DecodeRequest, pair: Pair, *, stop: Sequence[str]) -> Answer:
        prompt, row = request.prompts[pair[0]], pair[1]
        strategy = request.strategies[row.strategy]
        high, low = stream_key(request.sampling.seed, prompt.task, prompt.example_id, row.sample)
        body = self.server.body(
            list(prompt.token_ids) if self.server.takes_tokens else self._text(prompt.token_ids),
            strategy,
            tokens=request.limits.max_new_tokens,
            stop=stop,
            # 63 bits: the seeds of servers have a sign.
            seed=(high << 32 | low) >> 1,
        )
        url = self.server.path(self.spec.base_url)

        async def ask() -> Answer:
            return self.server.read(await client.post(url, body))

        return await client.repeated(ask, f"for example '{prompt.example_id}', {strategy.strategy_id}")

    def _cut(self, answer: Answer, limits: Limits) -> Answer:
        """Return the answer up to where our rule of stops ends it, and with a text where there are token ids."""
        if answer.token_ids is None:
            return answer
        ids = list(answer.token_ids)
        text = self._decoded(ids)
        # No stop of ours in it: the whole answer, with the text that this tokenizer makes.
        if cut_at_stop(text, limits) == text:
            return replace(answer, text=text)
        # The shortest beginning that holds the stop, as if the row had ended there.
        last = next(n for n in range(1, len(ids) + 1) if self._ends_at(ids[:n], limits))
        return replace(answer, text=self._decoded(ids[:last]), token_ids=tuple(ids[:last]), by_length=False)

    def _ends_at(self, ids: Sequence[int], limits: Limits) -> bool:
        text = self._decoded(ids)
        return cut_at_stop(text, limits) != text

    def _decoded(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, without the token that ends it."""
        # As in a text that is decoded here: the end token is no part of it, also where it is spelled out.
        at_end = bool(ids) and ids[-1] in self.model.eos_ids
        return self.model.decode([list(ids[:-1] if at_end else ids)])[0]

    def _text(self, token_ids: Sequence[int]) -> str:
        """Return a prompt as text, without the token that a server puts before it by itself."""
        # The server tokenizes the text again and adds this token once more.
        begins = bool(token_ids) and token_ids[0] == self.model.tokenizer.bos_token_id
        return self.model.as_read(token_ids[1:] if begins else token_ids)

    def _record(self, request: DecodeRequest, pair: Pair, answer: Answer) -> Generation:
        prompt, strategy = request.prompts[pair[0]], request.strategies[pair[1].strategy]
        ids = answer.token_ids
        if ids is None:
            # The server says no ids: those that this tokenizer makes of its text.
            ids = tuple(self.model.tokenizer(answer.text, add_special_tokens=False, verbose=False)["input_ids"])
        # Once more, for servers that return no ids and may leave the stop in the text.
        text = cut_at_stop(answer.text, request.limits)
        # Only a fixed temperature is known without the distributions.
        t0 = strategy.t0 if isinstance(strategy, Fixed) else None
        return Generation(
            task=prompt.task,
            split=prompt.split,
            example_id=prompt.example_id,
            cluster_id=prompt.cluster_id,
            strategy_id=strategy.strategy_id,
            family=strategy.family,
            params=strategy.params(),
            granularity=strategy.granularity,
            sample=pair[1].sample,
            token_ids=ids,
            text=text.strip(),
            finish_reason=self._reason(answer, text, request.limits),
            t_mean=t0,
            t_min=t0,
            t_max=t0,
            h_mean=None,
            floored_steps=None if t0 is None else len(ids) if t0 <= TEMPERATURE_FLOOR else 0,
            prompt_tokens=len(prompt.token_ids),
            truncated_tokens=prompt.truncated_tokens,
        )

    def _reason(self, answer: Answer, text: str, limits: Limits) -> FinishReason:
        """Return what ended a row. A server that returns no token ids does not say a stop text from the end token."""
        if text != answer.text:
            return "stop"
        if answer.by_length:
            return "length"
        if answer.token_ids is None:
            return "stop" if limits.stop else "eos"
        # A stop that is a special token is no part of the text.
        last = answer.token_ids[-1:]
        named = {self.model.special_tokens.get(stop) for stop in limits.stop}
        return "stop" if last and last[0] in named - self.model.eos_ids else "eos"


async def _found(spec: OpenAISpec) -> tuple[dict[str, Any], Server]:
    """Return the server's entry of the model, and the kind of server."""
    async with Client(spec) as client:
        url = f"{spec.base_url.rstrip('/')}/models"
        entry = _listed(await client.repeated(lambda: client.get(url), "for its list of models", FOR_ADDRESS), spec)
        server = KINDS[spec.server if spec.server != "auto" else _kind(entry)](model=str(entry["id"]))
        if isinstance(server, VLLMServer):
            server = replace(server, has_edt=await _has_edt(client, server))
        return entry, server


def _listed(content: Any, spec: OpenAISpec) -> dict[str, Any]:
    """Return the entry of the model in a list. Raises ConfigError where it lists no such model, or several."""
    data = content.get("data") if isinstance(content, dict) else None
    entries = [entry for entry in data or [] if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    if not entries:
        raise ServerError(
            f"the server at {spec.base_url} lists no models; engine.base_url must be that of OpenAI's interface, which "
            "ends in /v1 for most servers."
        )
    names = [entry["id"] for entry in entries]
    # One model is the usual case, and needs no name.
    if spec.served_model is None:
        if len(entries) > 1:
            raise ConfigError(
                f"the server lists {len(entries)} models ({', '.join(names[:5])}); choose one by engine.served_model."
            )
        return entries[0]
    if spec.served_model not in names:
        raise ConfigError(
            f"engine.served_model is '{spec.served_model}', which the server does not list; it has: "
            f"{', '.join(names[:5])}{' …' if len(names) > 5 else ''}."
        )
    return entries[names.index(spec.served_model)]


def _kind(entry: dict[str, Any]) -> str:
    """Return the kind of a server, by whom it names as the owner of its models."""
    # vLLM and llama.cpp name themselves there.
    owner = str(entry.get("owned_by", ""))
    return owner if owner in KINDS else "openai"


async def _has_edt(client: Client, server: VLLMServer) -> bool:
    """Return whether the server runs our logits processor: it alone refuses a rule without its parameters."""
    # One token, of a request that only the processor refuses.
    body = {**server.body([0], Fixed(t0=1.0), tokens=1, stop=(), seed=0), "vllm_xargs": {KEY: "{}"}}
    url = server.path(client.spec.base_url)
    try:
        await client.repeated(lambda: client.post(url, body), "whether it runs our logits processor")
    except ServerError as error:
        # Any other refusal will come again, with the first row.
        return f"extra_args['{KEY}']" in str(error)
    return False
