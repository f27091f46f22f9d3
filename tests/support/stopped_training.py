"""Stop `edt train` in the middle of one of its steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest


@contextmanager
def stopped_in_step(number: int, stop: Callable[[], Any]) -> Iterator[None]:
    """Call `stop` when the Trainer begins its step of this number, counted from 1 and within this context."""
    from transformers import Trainer

    step, numbers = Trainer.training_step, count(1)

    def stopped(self: Any, *values: Any, **named: Any) -> Any:
        if next(numbers) == number:
            stop()
        return step(self, *values, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "training_step", stopped)
        yield


def interrupt() -> None:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt
