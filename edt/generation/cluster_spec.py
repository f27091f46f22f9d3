"""Where workers run: the configuration group `cluster`. How many there are is `engine.workers`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edt.errors import ConfigError

_HOST_PORT = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """The machines of the workers; null: this one."""

    address: str | None = None
    """auto: join the Ray cluster that this machine is part of; HOST:PORT: another one; null: this machine alone."""
    mixed: bool = False
    """true: let workers on different devices or with other versions decode parts of one run; each part names its own.
    """

    def __post_init__(self) -> None:
        if self.address is not None and self.address != "auto" and host_and_port(self.address) is None:
            raise ConfigError(
                f"cluster.address is '{self.address}'; it must be auto or HOST:PORT; without it, workers run "
                "on this machine."
            )


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the parts of HOST:PORT; None for anything else, as `ray://` addresses, whose driver is elsewhere."""
    match = _HOST_PORT.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        return None
    return match["host"].strip("[]"), int(match["port"])
