"""Settings of the command's own process that cost a shared machine less, made before torch is imported."""

from __future__ import annotations

import gc
import os

_NEW_OBJECTS = 50_000
"""Objects that may be new before Python looks for cycles among them; by default 700."""


def spare_processor_time() -> None:
    """Let idle threads sleep, and let Python look for cycles of objects less often."""
    # OpenMP's threads otherwise spin between two operations. Where other programs need the cores, each waits for the
    # one that was sent away, and a command takes many times its processor time. OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Imports make a million objects that stay; looking through them again and again is a seventh of their time.
    gc.set_threshold(_NEW_OBJECTS)
