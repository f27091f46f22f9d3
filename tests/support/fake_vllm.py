"""What engine=vllm needs of vLLM, over a model of transformers: requests, a batch whose rows move, a greedy argmax.

It follows the contract of the V1 model runner as vLLM's `BatchUpdate` states it: rows removed, then added, then moved;
the list of a request's tokens is shared with the processor; a request that is preempted comes back with its tokens.
"""

import random
from dataclasses import dataclass, field
from enum import Enum, auto
from types import SimpleNamespace

import torch

from edt.adapters.vllm_rows import RowProcessor


class Direction(Enum):
    UNIDIRECTIONAL = auto()
    SWAP = auto()


@dataclass
class SamplingParams:
    temperature: float
    max_tokens: int
    stop_token_ids: list
    ignore_eos: bool
    detokenize: bool
    extra_args: dict


@dataclass
class TokensPrompt:
    prompt_token_ids: list


@dataclass
class Request:
    prompt: list
    params: SamplingParams
    output: list = field(default_factory=list)


class FakeLLM:
    """seqs: rows of a batch at most. restless: requests are preempted and rows swapped at random."""

    def __init__(self, model, *, seqs=5, restless=True, noise=0.0):
        self.model, self.seqs, self.restless, self.noise = model, seqs, restless, noise
        self.processor = RowProcessor(SimpleNamespace(), torch.device("cpu"))
        self.chance = random.Random(0)
        config = SimpleNamespace(max_model_len=model.context, dtype=torch.float32)
        self.llm_engine = SimpleNamespace(model_config=config)
        self.preempted = self.swapped = 0

    def collective_rpc(self, method, args=()):
        return [{"edt_begin": self.processor.begin, "edt_take": self.processor.take}[method](*args)]

    @torch.inference_mode()
    def generate(self, prompts, params, use_tqdm):
        assert not use_tqdm
        requests = [Request(p.prompt_token_ids, one) for p, one in zip(prompts, params, strict=True)]
        waiting, batch = list(requests), []
        while waiting or batch:
            self.step(waiting, batch)
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=list(r.output))]) for r in requests]

    def step(self, waiting, batch):
        """Add what fits, move and preempt some rows, read the logits, let the processor draw, take the argmax."""
        removed, added, moved = [], [], []
        if self.restless and len(batch) > 2 and self.chance.random() < 0.2:
            # The last row gives its memory away, and will be read again.
            removed.append(len(batch) - 1)
            waiting.insert(0, batch.pop())
            self.preempted += 1
        while waiting and len(batch) < self.seqs:
            request = waiting.pop(0)
            batch.append(request)
            added.append((len(batch) - 1, request.params, request.prompt, request.output))
        if self.restless and len(batch) > 2 and self.chance.random() < 0.3:
            batch[0], batch[1] = batch[1], batch[0]
            moved.append((0, 1, Direction.SWAP))
            self.swapped += 1
        self.tell(removed, added, moved, len(batch))

        logits_RV = torch.stack([self.logits(request) for request in batch])
        token_R = self.processor.apply(logits_RV).argmax(dim=-1).tolist()
        for request, token in zip(batch, token_R, strict=True):
            request.output.append(token)

        # Rows that ended are removed, and the last rows fill their places.
        gone = [n for n, request in enumerate(batch) if self.ended(request)]
        left = len(batch) - len(gone)
        fill = [n for n in range(len(batch) - 1, left - 1, -1) if n not in gone]
        moves = [
            (source, hole, Direction.UNIDIRECTIONAL)
            for hole, source in zip([n for n in gone if n < left], fill, strict=True)
        ]
        for source, hole, _ in moves:
            batch[hole] = batch[source]
        del batch[left:]
        if gone:
            self.tell(gone, [], moves, left)

    def tell(self, removed, added, moved, size):
        update = SimpleNamespace(batch_size=size, removed=removed, added=added, moved=moved)
        self.processor.update_state(update if removed or added or moved else None)

    def logits(self, request):
        ids = torch.tensor([request.prompt + request.output])
        logits = self.model.model(ids).logits[0, -1].float()
        return logits + self.noise * torch.randn_like(logits)

    @staticmethod
    def ended(request):
        return request.output[-1] in request.params.stop_token_ids or len(request.output) == request.params.max_tokens
