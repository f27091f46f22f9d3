"""A rule that gives no temperature is refused, with what to do about it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from edt.decoding.loop import check_temperatures
from edt.errors import ConfigError


def test_nan_reminds_of_the_signals_that_a_rule_must_name():
    table = SimpleNamespace(strategies=[SimpleNamespace(strategy_id="mine()")])
    with pytest.raises(ConfigError, match=r"strategy mine\(\) gives the temperature nan at step 0.*name in `needs`"):
        check_temperatures(torch.tensor([float("nan")]), torch.tensor([0]), table, 0)
