"""What `edt trace` does with its configuration."""

from __future__ import annotations

from typing import Any

from edt.cli import build
from edt.errors import ConfigError


def trace(config: dict[str, Any]) -> None:
    """Trace one prompt, or show a demo."""
    from edt.tracing.decode_in_memory import DecodeConfig

    decoding = DecodeConfig(
        model=build.construct(config["model"], "model"),
        engine=build.construct(config["engine"], "engine"),
        sampling=build.construct(config["sampling"], "sampling"),
        folder=build.folder(config["paths"]["traces"], "paths.traces"),
    )
    if config.get("demo") is None:
        trace_one(config, decoding)
    else:
        show_demo(config, decoding)


def trace_one(config: dict[str, Any], decoding: Any) -> None:
    """One prompt under the configured strategies."""
    from edt.tracing.trace_prompt import TraceRequest, show_trace

    request = TraceRequest(
        decoding=decoding,
        strategies=build.strategies(config["strategy"]),
        tasks=() if config["prompt"] is not None else build.task_requests(config["task"]),
        prompt=config["prompt"],
        unconditional_prompt=config["unconditional_prompt"],
        example=config["example"],
        top=config["top"],
    )
    if not isinstance(config["details"], bool):
        raise ConfigError(f"details is {config['details']!r}; it must be true or false.")
    show_trace(request, details=config["details"])


def show_demo(config: dict[str, Any], decoding: Any) -> None:
    """A demo has its own prompts and strategies."""
    from edt.tracing import demo

    for name in ("prompt", "unconditional_prompt", "example"):
        if config[name] is not None:
            raise ConfigError(f"{name} has no meaning in a demo, which has its own: demo.prompts=['…','…'].")
    demo.show_demo(build.construct(config["demo"], "demo"), decoding)
